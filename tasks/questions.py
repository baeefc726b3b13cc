"""Questions with choices: what they hold, and the text that a language model reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.contracts import Sample, doubling_range
from tasks.choices import Choices

LETTERS = ("A", "B", "C", "D")
CHOICES_OF_LETTERS = Choices(LETTERS)


@dataclass(frozen=True)
class Question:
    """A question, its four choices in order, and the letter of the right one."""

    text: str
    choices: tuple[str, ...]
    answer: str


def question_samples(subject: str, questions: Sequence[Question], examples: Sequence[Question] = (), gap: str = " ") -> list[Sample]:
    """Return one sample per question of a subject. Its name counts the questions from 1, its bytes are the prompt in UTF-8.

    Its length is that of the question and its choices in words, without the examples.
    """
    return [
        Sample(
            name=f"{subject}-{number:04d}",
            reference=question.answer,
            stratum=subject,
            slices={"subject": subject, "length": doubling_range(len(" ".join([question.text, *question.choices]).split()))},
            payload=prompt(subject, question, examples, gap).encode(),
        )
        for number, question in enumerate(questions, start=1)
    ]


def prompt(subject: str, question: Question, examples: Sequence[Question] = (), gap: str = " ") -> str:
    """Return the text of MMLU's authors: a line about the subject, answered examples, and the question up to ``Answer:``.

    ``gap`` stands before the subject. The program of MMLU's authors, and that of Yang et al. after it, leaves two spaces there.
    """
    introduction = f"The following are multiple choice questions (with answers) about{gap}{subject.replace('_', ' ')}."
    answered = [f"{asked(example)} {example.answer}" for example in examples]
    return "\n\n".join([introduction, *answered, asked(question)])


def asked(question: Question) -> str:
    """Return a question and its choices, ending where the letter is to follow."""
    choices = [f"{letter}. {choice}" for letter, choice in zip(LETTERS, question.choices, strict=True)]
    return "\n".join([question.text, *choices, "Answer:"])
