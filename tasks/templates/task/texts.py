"""Your task: labelled texts. Replace `made` by what reads your own; keys of `conf/task/my_task.yaml` are arguments of the class."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from orchestrator.contracts import Sample

CLASSES = ("praise", "complaint")
WORDS = (["good", "warm", "lovely", "quick"], ["bad", "cold", "noisy", "slow"])
OTHERS = ["the", "food", "room", "was", "and", "very"]
VOCABULARY = [*WORDS[0], *WORDS[1], *OTHERS]


class MyTask:
    """Made-up reviews, with words of both classes."""

    metrics: Sequence[str] = ("accuracy",)  # the primary one first

    def __init__(self, count: int) -> None:
        self.count = count

    def check(self) -> None:
        """Raise orchestrator.contracts.InputError for a mistake in the keys or the data, before anything is measured."""

    def samples(self) -> Sequence[Sample]:
        """Return all samples in a fixed order. Texts in files have `path=` in place of `payload=`."""
        return [
            Sample(f"text-{number:04d}", reference=CLASSES[one], stratum=CLASSES[one], payload=text.encode())
            for number, (text, one) in enumerate(zip(*made(self.count, seed=0), strict=True))
        ]

    def decode(self, encoded: bytes) -> str:
        """Return the text; no clock runs."""
        return encoded.decode()


def made(count: int, seed: int) -> tuple[list[str], Any]:
    """Return texts and their classes, [count]."""
    random = np.random.default_rng(seed)
    classes = random.integers(len(CLASSES), size=count)
    texts = [" ".join([*random.choice(OTHERS, 4), *random.choice(WORDS[one], 3), *random.choice(WORDS[1 - one], 1)]) for one in classes]
    return texts, classes


def inputs(samples: Sequence[str]) -> Any:
    """Return decoded samples as a model takes them: float32, [samples, numbers]."""
    return np.array([[text.split().count(word) for word in VOCABULARY] for text in samples], dtype=np.float32)


def answers(scores: Any) -> list[Any]:
    """Return one answer for each row of scores, [samples, classes]: its class as references name it."""
    return [CLASSES[one] for one in np.argmax(scores, axis=1)]


def training() -> tuple[Any, Any]:
    """Return inputs and classes from which the tiny model learns. Remove this once your model has weights."""
    texts, classes = made(400, seed=1)
    return inputs(texts), classes
