"""The task ``prompts``: texts of your own with the answers that are right, one JSON object a line."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from orchestrator.contracts import InputError, Sample

KEYS = {"prompt", "answers", "name", "group"}


class Prompts:
    """``path`` is a JSONL file: ``{"prompt": "...", "answers": ["...", "..."]}``, with ``name`` and ``group`` if you like.

    Answers are judged by their words; any one of ``answers`` is right.
    """

    metrics: Sequence[str] = ("exact_match", "word_f1")

    def __init__(self, path: str | None) -> None:
        self._path = None if path is None else Path(path).expanduser()

    def check(self) -> None:
        """Raise InputError where there is no file, or for the first line that is none of ours."""
        self.samples()

    def samples(self) -> Sequence[Sample]:
        """Return the prompts in the order of the file."""
        if self._path is None:
            raise InputError(
                "task.path is not set; set it to a file with one JSON object a line, with prompt and answers", "missing", "task.path"
            )
        try:
            lines = self._path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(
                f"task.path={self._path} cannot be read as text ({error}); correct the path", "unreadable", "task.path", self._path
            ) from error
        return [_sample(line, number, self._path) for number, line in enumerate(lines, start=1) if line.strip()]

    def decode(self, encoded: bytes) -> str:
        """Return the prompt."""
        return encoded.decode()


def _sample(line: str, number: int, path: Path) -> Sample:
    where = f"{path}, line {number}"
    try:
        row: Any = json.loads(line)
    except ValueError as error:
        raise InputError(f"{where}: is no JSON ({error}); write one object a line", "damaged") from error
    if not isinstance(row, dict) or not {"prompt", "answers"} <= set(row) <= KEYS:
        raise InputError(f"{where}: must be an object with prompt and answers, and may have name and group; correct it")
    answers = [row["answers"]] if isinstance(row["answers"], str) else row["answers"]
    texts = [row["prompt"], row.get("name", ""), row.get("group", ""), *(answers if isinstance(answers, list) else [None])]
    if not answers or not all(isinstance(text, str) for text in texts) or not row["prompt"].strip():
        raise InputError(f"{where}: prompt, name and group must be text, and answers at least one; correct it")
    name, group = row.get("name", f"prompt-{number:05d}"), row.get("group", "all")
    return Sample(name=name, reference=answers, stratum=group, slices={"group": group}, payload=row["prompt"].encode())
