"""The first answer to each sample, where the first round had none, and how many answers of later rounds differ from it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Others = Mapping[int, Mapping[int, Any]]
"""By row of a round, ascending, the answers by sample that differ from the stored first ones."""


@dataclass(frozen=True)
class Known:
    """The answers that count.

    answers
        the first that there is to each sample, None if there is none.
    different, changed_samples
        how many answers of each round differ from these, [R], and how many samples they belong to.
    """

    answers: Sequence[Any]
    different: NDArray[np.float64]
    changed_samples: int


def known_answers(first: Sequence[Any], others: Others, rounds: int) -> Known:
    """Return the first answer to each sample, be it of a later round.

    A model that raised on a sample, or on another of its batch, has not answered it yet: an answer that comes later is no other one.
    """
    answers = list(first)
    different = np.zeros(rounds)
    changed = set()
    for row, of_round in others.items():
        for sample, answer in of_round.items():
            if answers[sample] is None:
                answers[sample] = answer
            elif answer != answers[sample]:
                different[row] += 1
                changed.add(sample)
    return Known(answers, different, len(changed))
