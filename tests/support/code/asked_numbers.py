"""A model whose answers a server gives, over plain JSON: numbers with themselves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from orchestrator.contracts import InputError, LoadContext
from tasks.runtimes.asking import AskedSession, open_asking

REQUEST = {"path": "/predict", "body": {"number": "{number}"}, "answer": "answer"}


class AskedNumbers:
    """Has one option, so that two trials may differ."""

    def __init__(self, mark: int = 0) -> None:
        self._mark = mark

    def check(self) -> None:
        if self._mark < 0:
            raise InputError(f"model.mark={self._mark}: must not be negative")

    def files(self) -> Sequence[Path]:
        return []

    def load(self, context: LoadContext) -> Loaded:
        return Loaded(open_asking(context, REQUEST))


class Loaded:
    def __init__(self, session: AskedSession) -> None:
        self.infer, self._session = session.infer, session
        self.facts = session.facts

    def input_size(self, sample: int) -> int:
        return len(str(sample))

    def preprocess(self, samples: Sequence[int]) -> Any:
        (number,) = samples
        return self._session.upload({"number": number})

    def postprocess(self, outputs: Any) -> list[list[int]]:
        return [[self._session.download(outputs), *range(1_000, 1_004)]]
