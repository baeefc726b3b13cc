"""What a quality metric must offer. Two kinds: means over samples, and metrics that look at the whole task at once.

A late sample counts as failed: it scores 0, and a task of which all is late has quality 0. A metric that differs, because a smaller score
is the better one or failing has a price, has an attribute ``late``: the score of a late sample, which is the quality of a task of which all
is late. What is kept of quality Q is then (late - Q) / (late - ideal).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias, TypeVar, runtime_checkable

from numpy import float64
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class Answers:
    """What a model answered and what was right: one entry per sample everywhere, in order of sample.

    predictions, references
        in the form that belongs to the task's kind; sequences of plain values, or arrays.
    slices
        for every grouping the group of each sample, None if it has none, for metrics that average over groups:
        ``{"subject": ["law", "art"]}``.
    """

    predictions: Sequence[Any] | NDArray[Any]
    references: Sequence[Any] | NDArray[Any]
    slices: Mapping[str, Sequence[str | None]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        lengths = {len(self.predictions), len(self.references), *map(len, self.slices.values())}
        if len(lengths) != 1:
            raise ValueError(f"answers with {sorted(lengths)} entries: predictions, references and slices need one per sample")


@runtime_checkable
class MeanMetric(Protocol):
    """A metric that is the mean of one score per sample; ``stats.tail_quality.quality_curve`` makes tail quality of scores."""

    name: str

    def score(self, answers: Answers) -> NDArray[float64]:
        """Return the score of each sample, [S], finite, and not negative unless the metric has ``late``."""


@runtime_checkable
class WholeTaskMetric(Protocol):
    """A metric that is no mean over samples, such as F1 or mAP."""

    name: str

    def judge(self, answers: Answers) -> Judged:
        """Compare answers with references, once for all thresholds, rounds and clocks."""


@runtime_checkable
class Judged(Protocol):
    """Answers compared with references: the work that does not depend on times is done."""

    def ideal(self) -> float:
        """Return quality without a threshold; NaN where the task has nothing to be right about."""

    def curve(self, times: ArrayLike, thresholds: ArrayLike) -> NDArray[float64]:
        """Return tail quality, [M, R], of times [R, S] in ns (+inf: none) at time bounds [M] in ns, late samples failed; NaN as ideal.

        Where all samples are late it is 0, or the metric's ``late``; where all are on time it is `ideal`. A metric of the user's own is
        given arrays that it can only read.
        """


@dataclass(frozen=True)
class Part:
    """Some of what samples hold, such as the boxes of one size, judged as if there were nothing else.

    count
        how many there are to be right about.
    """

    judged: Judged
    count: int


@runtime_checkable
class PartedMetric(Protocol):
    """A metric that can also judge parts of what a sample holds: quality by the size of boxes, say, and not of pictures."""

    parts: Sequence[str]
    """Names of the slices that are made of such parts."""

    def judge_parts(self, name: str, answers: Answers) -> Mapping[str, Part]:
        """Return the groups of one of these slices, in the order in which they are shown."""


Metric: TypeAlias = MeanMetric | WholeTaskMetric

Quality = TypeVar("Quality", float, NDArray[float64])


@dataclass(frozen=True)
class Scale:
    """How quality is counted: as the gain over the quality of a task whose answers are all late.

    The gain is never more than without a threshold and 0 if all is late, whichever way a metric runs and wherever it begins; the share kept
    is gain / gain without a threshold = (late - Q) / (late - ideal), without clipping.

    sign
        1 where a larger score is the better one, -1 where a smaller one is.
    """

    late: float = 0.0
    sign: float = 1.0

    def gained(self, quality: Quality) -> Quality:
        """Return the gain of a quality."""
        return quality if self == PLAIN else self.sign * (quality - self.late)

    def shown(self, gained: Quality) -> Quality:
        """Return quality on the metric's scale."""
        return gained if self == PLAIN else self.late + self.sign * gained

    def kept(self, quality: float, ideal: float) -> float:
        """Return the share of ideal quality that is kept, (late - Q) / (late - ideal)."""
        return (self.late - quality) / (self.late - ideal)

    def shown_difference(self, gained: float) -> float:
        """Return a difference on the metric's scale."""
        return gained if self == PLAIN else self.sign * gained

    def shown_limits(self, low: float, high: float) -> tuple[float, float]:
        """Return an interval's limits on the metric's scale, the lower one first."""
        return (self.shown(low), self.shown(high)) if self.sign > 0 else (self.shown(high), self.shown(low))


PLAIN = Scale()
"""A larger score is better, and a late sample scores 0."""
