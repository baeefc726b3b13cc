"""The task ``mmlu_dev``: MMLU's development questions as they stand inside the PyPI package lm-eval."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from orchestrator.contracts import InputError, Sample
from tasks.packages import ASSETS, Need, install_command, locate
from tasks.questions import CHOICES_OF_LETTERS, LETTERS, Question, question_samples

PACKAGE = "lm-eval"
NEEDS = (Need("task mmlu_dev", PACKAGE, "questions", ASSETS),)
FILES = "lm_eval/tasks/mmlu/flan_cot_fewshot/mmlu_*.yaml"

CHOICES = re.compile(r"(.*?)\s\(A\)\s(.*)\s\(B\)\s(.*)\s\(C\)\s(.*)\s\(D\)\s(.*)", re.DOTALL)
ANSWER = re.compile(r"answer is \(([A-Z])\)")


class MmluDev:
    """Four or five questions of each of 57 subjects. One has a fifth choice there, which is the right one: it is left out."""

    metrics: Sequence[str] = ("accuracy", "subject_accuracy")

    def check(self) -> None:
        """Raise InputError where the package is missing or its files have another form."""
        self.samples()

    def samples(self) -> Sequence[Sample]:
        """Return the questions, sorted by subject."""
        return [sample for path in locate(PACKAGE, FILES) for sample in _subject_samples(path)]

    def decode(self, encoded: bytes) -> str:
        """Return the question and its choices."""
        return encoded.decode()

    def answer(self, text: str) -> str | None:
        """Return the letter that an answer in words names, None where it names none, or several."""
        return CHOICES_OF_LETTERS.named(text)


def _subject_samples(path: Path) -> list[Sample]:
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    questions = [_question(example, path) for example in content["fewshot_config"]["samples"]]
    return question_samples(content["dataset_name"], [question for question in questions if question.answer in LETTERS])


def _question(example: Mapping[str, Any], path: Path) -> Question:
    """Return what one example of lm-eval holds: the choices stand in the question's text, the answer ends the explanation."""
    choices, answer = CHOICES.fullmatch(example["question"]), ANSWER.search(example["target"])
    if choices is None or answer is None:
        raise InputError(
            f"{path}: a question has another form than in {PACKAGE} 0.4.13; run `{install_command('--force-reinstall')}`",
            "damaged",
            value=path,
        )
    text, *options = choices.groups()
    return Question(text, tuple(option.strip() for option in options), answer[1])
