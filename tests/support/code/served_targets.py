"""A model of numbers that a server answers, in any of the languages; and a reader of texts that servers can run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from null_targets import Loaded, NullModel

from orchestrator.contracts import LoadContext
from tasks.runtimes.asking import open_asking


class ServedNumbers:
    """Answers as ``null_targets.NullModel`` does, with what the server says of a number."""

    def __init__(self, request: Mapping[str, Any], wrong: Sequence[int] = ()) -> None:
        self._request, self._wrong = request, wrong

    def check(self) -> None:
        pass

    def files(self) -> Sequence[Path]:
        return []

    def load(self, context: LoadContext) -> Asked:
        return Asked(open_asking(context, self._request), context.runtime)


class Asked:
    def __init__(self, session: Any, runtime: str) -> None:
        self._session, self._runtime = session, runtime
        self.infer, self.facts = session.infer, session.facts

    def input_size(self, sample: int) -> int:
        return len(str(sample))

    def preprocess(self, samples: Sequence[int]) -> Any:
        if self._runtime == "open_inference":
            return self._session.upload(np.array(samples, dtype=np.int64))
        return self._session.upload(f"Which number is {samples[0]}" if self._runtime == "openai" else {"number": samples[0]})

    def postprocess(self, outputs: Any) -> list[list[int]]:
        said = self._session.download(outputs)
        numbers = [int(str(said[0]).split()[-1])] if isinstance(said, list) else np.atleast_1d(said).tolist()
        return [[int(number), *range(1_000, 1_004)] for number in numbers]


class ByLength(NullModel):
    """Answers a text by its length. It has no use for the options of the model in whose place it is."""

    def __init__(self, **_: Any) -> None:
        super().__init__()

    def load(self, context: LoadContext) -> Lengths:
        return Lengths(0, [], [])


class Lengths(Loaded):
    def preprocess(self, samples: Sequence[Any]) -> list[int]:
        return [len(text) % 2 for text in samples]

    def postprocess(self, outputs: list[int]) -> list[Any]:
        return ["fresh" if odd else "rotten" for odd in outputs]
