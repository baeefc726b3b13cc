"""The task ``prompts``: texts of your own with the answers that are right, one JSON object a line."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from orchestrator.contracts import InputError, Sample, first_line

KEYS = {"prompt", "answers", "name", "group"}


class OneFile(ABC):
    """A task in a text file of your own, which ``key`` names. Where nothing says what is right, answers are in time or late."""

    metrics: Sequence[str] = ("on_time",)
    key = "task.file"

    def __init__(self, file: str | None) -> None:
        self._file = None if file is None else Path(file).expanduser()

    def check(self) -> None:
        """Raise InputError where there is no file, or for the first part of it that is none of ours."""
        self.samples()

    def samples(self) -> Sequence[Sample]:
        """Return the samples in the order of the file."""
        if self._file is None:
            raise InputError(f"{self.key} is not set; set it to a file in the form of docs/tasks.md", "missing", self.key)
        try:
            return list(self.of(self._file.read_text(encoding="utf-8")))
        except InputError:
            raise
        except (ArithmeticError, LookupError, OSError, TypeError, ValueError) as error:
            raise InputError(
                f"{self.key}={self._file} is no file in the form of docs/tasks.md ({type(error).__name__}: {first_line(error)}); mend it",
                "unreadable" if isinstance(error, OSError | UnicodeDecodeError) else "damaged",
                self.key,
                self._file,
            ) from error

    @abstractmethod
    def of(self, text: str) -> Iterable[Sample]:
        """Yield the samples in the text of the file."""


class Prompts(OneFile):
    """``path`` is a JSONL file: ``{"prompt": "...", "answers": ["...", "..."]}``, with ``name`` and ``group`` if you like.

    Answers are judged by their words; any one of ``answers`` is right.
    """

    metrics = ("exact_match", "word_f1")
    key = "task.path"

    def __init__(self, path: str | None) -> None:
        super().__init__(path)

    def of(self, text: str) -> Iterator[Sample]:
        """Yield the prompts."""
        for number, row in json_lines(text, self._file):
            where = f"{self._file}, line {number}"
            if not isinstance(row, dict) or not {"prompt", "answers"} <= set(row) <= KEYS:
                raise InputError(f"{where}: must be an object with prompt and answers, and may have name and group; correct it")
            answers = [row["answers"]] if isinstance(row["answers"], str) else row["answers"]
            texts = [row["prompt"], row.get("name", ""), row.get("group", ""), *(answers if isinstance(answers, list) else [None])]
            if not answers or not all(isinstance(text, str) for text in texts) or not row["prompt"].strip():
                raise InputError(f"{where}: prompt, name and group must be text, and answers at least one; correct it")
            name, group = row.get("name", f"prompt-{number:05d}"), row.get("group", "all")
            yield Sample(name=name, reference=answers, stratum=group, slices={"group": group}, payload=row["prompt"].encode())

    def decode(self, encoded: bytes) -> str:
        """Return the prompt."""
        return encoded.decode()


def json_lines(text: str, path: Path | None) -> Iterator[tuple[int, Any]]:
    """Yield the number of each line of a file that is not empty, and what it holds. Raises InputError."""
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            try:
                yield number, json.loads(line)
            except ValueError as error:
                raise InputError(f"{path}, line {number}: is no JSON ({error}); write one object a line", "damaged") from error
