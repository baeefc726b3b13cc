"""One CSV file of questions in the form of MMLU: no header; question, four choices, letter of the right one."""

from __future__ import annotations

import csv
from pathlib import Path

from orchestrator.contracts import Code, InputError
from tasks.questions import LETTERS, Question

COLUMNS = len(LETTERS) + 2


def read_questions(table: Path) -> list[Question]:
    """Return the questions of a table in its order.

    Raises
    ------
    InputError
        for the first bad row, naming file, row (from 1), value and remedy.
    """
    questions: list[Question] = []
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            for row in csv.reader(file, strict=True):
                questions.append(_question(row, table, len(questions) + 1))
    except (csv.Error, UnicodeDecodeError) as error:
        raise bad_row(table, len(questions) + 1, f"cannot be read ({error}); save the table as CSV in UTF-8", "damaged") from error
    if not questions:
        raise InputError(f"{table} holds no question; add rows or remove the file", "no_data", value=table)
    return questions


def _question(row: list[str], table: Path, number: int) -> Question:
    if len(row) != COLUMNS:
        raise bad_row(
            table,
            number,
            f"has {len(row)} fields and must have {COLUMNS} (question, {len(LETTERS)} choices, letter); "
            "remove surplus choices, and quote fields that contain commas",
        )
    text, *choices, answer = row
    if not text.strip():
        raise bad_row(table, number, "the question is empty; write it or remove the row")
    if answer.strip() not in LETTERS:
        raise bad_row(table, number, f"the answer {answer!r} must be one of: {', '.join(LETTERS)}; correct it", value=answer)
    return Question(text, tuple(choices), answer.strip())


def bad_row(table: Path, number: int, complaint: str, code: Code = "invalid", value: object = None) -> InputError:
    """Return the error about one row."""
    return InputError(f"{table} row {number}: {complaint}", code, value=value)
