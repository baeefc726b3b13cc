"""The best system of each model against its others, and against the best of the other models: what decides whether two of them tie."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.comparison import (
    FROM_BEST_FRESH,
    FROM_BEST_HERE,
    ComparisonRow,
    Contest,
    Match,
    Side,
    difference_row,
    judged_matches,
    of_visits,
)
from orchestrator.analysis.tables.deadline import NEVER, Deadlines, longest
from orchestrator.stats.pair import LEVEL
from orchestrator.stats.thresholds import Threshold

EXACTLY = 9
"""Decimals in which means that differ by rounding alone are equal."""


@dataclass(frozen=True)
class System:
    """One system with its repeats, of each the quality of every round at a threshold, as gains, and the deadlines that all of them keep."""

    repeats: Sequence[Side]
    rounds: Sequence[NDArray[np.float64]]
    deadlines: Deadlines = NEVER

    @property
    def means(self) -> list[float]:
        """The mean of each repeat."""
        return [float(quality.mean()) for quality in self.rounds]

    @property
    def standing(self) -> tuple[float, ...]:
        """What sorts systems, the best first, as the answer does: the mean of the repeats' means, the worst round, then the deadlines."""
        worst = min(float(quality.min()) for quality in self.rounds)
        return -round(float(np.mean(self.means)), EXACTLY), -round(worst, EXACTLY), *self.deadlines


def rows_from_the_best(contests: Sequence[Contest], deadlines: Mapping[str, Deadlines] | None = None) -> Iterator[ComparisonRow]:
    """Yield per common threshold of one task the differences from the best of each model, and of the models' best ones from that of all.

    Which one is the best is found from the same rounds. So each difference is held to a level at which all pairs that could have been
    asked for, those of its model or those of the models' best systems, are right together with 95 % confidence (Bonferroni; of repeats
    Holm's method over the pairs with the best, at the level that leaves the same error for all pairs).

    ``deadlines`` are what `kept_from` returns.
    """
    known = deadlines or {}
    for index, threshold in enumerate(contests[0].bounds if contests else ()):
        heads = []
        for contest in contests:
            found = (
                System(
                    repeats,
                    [side.quality(index) for side in repeats],
                    longest(known.get(side.data.trial_id, NEVER) for side in repeats),
                )
                for repeats in contest.systems()
            )
            systems = sorted(found, key=lambda one: one.standing)
            yield from _from_best(systems, threshold)
            heads.append(systems[0])
        yield from _from_best(sorted(heads, key=lambda one: one.standing), threshold)


def _from_best(systems: Sequence[System], threshold: Threshold) -> Iterator[ComparisonRow]:
    best, *others = systems
    several = len(best.repeats) > 1
    others = [one for one in others if (len(one.repeats) > 1) == several]
    if several:
        matches = {str(place): Match(one.repeats, best.repeats, threshold, (best.means, one.means)) for place, one in enumerate(others)}
        yield from judged_matches(matches, FROM_BEST_FRESH, 2 * LEVEL / len(systems)).values()
        return
    confidence = 1 - 2 * LEVEL / (len(systems) * max(1, len(systems) - 1))
    for other in others:
        [partner], [side] = best.repeats, other.repeats
        found = of_visits(partner.data, side.data, best.rounds[0], other.rounds[0], confidence)
        yield difference_row(side, partner, threshold, FROM_BEST_HERE, (best.means[0], other.means[0]), found)
