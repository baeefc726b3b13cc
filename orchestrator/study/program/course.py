"""What the loop of the program sees of stored rounds, and where it stops."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

from numpy.typing import ArrayLike

from orchestrator.stats.paper_loop import FIT_EVERY, THRESHOLD, WARM, WINDOW, Comparison, Fit, PaperLoop


class Course(NamedTuple):
    """What the loop saw of one clock: every fit, every comparison, and the message of the error that ended it."""

    fits: tuple[Fit, ...]
    comparisons: tuple[Comparison, ...]
    error: str | None = None


def course(rounds_s: Iterable[ArrayLike], warm: int = WARM, fit_every: int = FIT_EVERY, window: int = WINDOW) -> Course:
    """Return what the loop sees of one clock's rounds, each an array of records in seconds, if it never stops."""
    loop = PaperLoop(warm, fit_every, window)
    fits: list[Fit] = []
    comparisons: list[Comparison] = []
    for times_s in rounds_s:
        try:
            fit, comparison = loop.add(times_s)
        except ValueError as error:
            return Course(tuple(fits), tuple(comparisons), f"ValueError: {error}")
        fits += [] if fit is None else [fit]
        comparisons += [] if comparison is None else [comparison]
    return Course(tuple(fits), tuple(comparisons))


def stops_after(courses: Iterable[Course], threshold: float = THRESHOLD) -> int | None:
    """Return the first round at which the rJSD of every clock is within the threshold; None if there is none."""
    seen = [{comparison.rounds: comparison.rjsd for comparison in one.comparisons} for one in courses]
    largest = {rounds: max(of.get(rounds, math.inf) for of in seen) for rounds in seen[-1]}
    return min((rounds for rounds, value in largest.items() if value <= threshold), default=None)
