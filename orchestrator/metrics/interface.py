"""What a quality metric offers: the mean of a score per sample, or a verdict on the whole task.

A late sample counts as failed: it scores 0, and a task of which all is late has quality 0. A metric
that differs, because a smaller score is the better one or failing has a price, has an attribute
``late``: the score of a late sample, which is the quality of a task of which all is late.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class Answers:
    """What a model answered and what was right: one entry per sample everywhere.

    ``slices`` holds for every grouping the group of each sample, None if it has none:
    ``{"subject": ["law", "art"]}``.
    """

    predictions: Sequence[Any] | NDArray[Any]
    references: Sequence[Any] | NDArray[Any]
    slices: Mapping[str, Sequence[str | None]] = field(default_factory=dict)


@runtime_checkable
class MeanMetric(Protocol):
    """A metric that is the mean of one score per sample, such as accuracy."""

    name: str

    def score(self, answers: Answers) -> NDArray[np.float64]:
        """Return the score of each sample, [S]: finite, not negative unless there is ``late``."""


@runtime_checkable
class Judged(Protocol):
    """Answers compared with references: the work that does not depend on times is done."""

    def ideal(self) -> float:
        """Return quality without a threshold; NaN where nothing can be right."""

    def curve(self, times: ArrayLike, thresholds: ArrayLike) -> NDArray[np.float64]:
        """Return tail quality, [M, R], of times [R, S] in ns (+inf: none) at time bounds [M] in ns.

        Late samples are failed: where all are late it is 0 or the metric's ``late``, where all are
        on time it is `ideal`, and NaN where `ideal` is.
        """


@runtime_checkable
class WholeTaskMetric(Protocol):
    """A metric that is no mean over samples, such as F1 or mAP.

    One that can also judge parts of samples, such as the boxes of one size, names the slices that
    are made of these in an attribute ``parts``; its ``judge_parts(name, answers)`` returns the
    groups of one such slice, a `Part` each, in the order in which they are shown.

    One that need not judge each mix of answers anew has ``judge_choices(answers, samples)``: of
    several answers to each sample, ``samples`` are their numbers, rising, [P], at most one is ever
    on time, and `Judged.curve` takes the times of all, [R, P].
    """

    name: str

    def judge(self, answers: Answers) -> Judged:
        """Compare answers with references, once for all thresholds, rounds and clocks."""


@dataclass(frozen=True)
class Part:
    """Some of what samples hold, judged as if there were nothing else, and how many these are."""

    judged: Judged
    count: int


Metric: TypeAlias = MeanMetric | WholeTaskMetric
