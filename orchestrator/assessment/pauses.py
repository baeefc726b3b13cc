"""First inferences after a pause, one per visit: what a share of visits must keep, where neighbouring visits may share a slow spell."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from orchestrator.assessment.unseen import risk_of_look
from orchestrator.stats.guard import risk_of_mean, units_to_show
from orchestrator.stats.korn_graubard import ROUNDING, korn_graubard
from orchestrator.stats.long_run import depend, long_run_spreads
from orchestrator.stats.requirements import Kept, more_for_mean, rounds_keep

LEAST_VISITS = 34
"""Of fewer visits, all of one slow or quick spell now and then, nothing tells whether they resemble their neighbours."""

MOST_ALIKE = 0.8
"""Visits must be enough to have shown slow ones even where each stays like the one before it with this probability."""

ALIKE = 0.2
"""Level of the test whether neighbouring visits resemble each other. By simulation of 34 visits in spells, with the truth just outside, at
most 2.4 % are falsely met; at 0.1 it is 3.0 %, and at 0.3 a system well inside is found in 75 % of campaigns instead of 86 %."""


def visits_keep(values: ArrayLike, bound: float, *, late_share: float, error: float, extended: int = 0) -> Kept:
    """Return whether at least 1 - ``late_share`` of visits keep a bound, by one value of each.

    *Met* takes the certificate of `rounds_keep` on all visits, and three things more: `least_visits`; the limit that counts a visit in
    which the bound was broken beside those that were seen (`unseen`); and, where neighbouring visits resemble each other, the interval of
    their mean by 2 cosines, as means of visits have it.

    Parameters
    ----------
    values : [V]
        in order, positive; +inf keeps no bound.
    bound
        the largest value that keeps it.
    late_share
        share of visits that may break it.
    error
        of the verdict, half of it on either side.
    extended
        how often the trial was looked at before: each look risks half of what is left, as of means.

    Examples
    --------
    >>> quick = np.random.default_rng(0).permutation(40) + 1.0
    >>> visits_keep(quick, 99, late_share=0.5, error=0.05).verdict
    'met'
    >>> visits_keep(quick[:30], 99, late_share=0.5, error=0.05).reason
    '28 more visits: so few may hold none of slow ones that come in spells'
    """
    given = np.asarray(values, dtype=np.float64)
    risk = risk_of_look(error, extended)
    kept = rounds_keep(given, bound, late_share=late_share, error=2 * risk, looks=(given.size,))
    if kept.verdict == "not met":
        return kept
    enough_for_spells = given.size >= least_visits(late_share, risk)
    few = 0 if enough_for_spells else least_visits(late_share, risk_of_look(error, extended + 1)) - given.size
    if few and (kept.more or 0) <= few and (kept.verdict == "met" or kept.more is not None):
        return replace(kept, verdict="not shown", more=few, reason=f"{_more(few)}: so few may hold none of slow ones that come in spells")
    if kept.verdict == "not shown":
        return replace(kept, reason=f"{_more(kept.more)} needed" if kept.more else kept.reason.replace("rounds", "visits"))
    gained, at_least = (given <= bound).astype(np.float64), 1 - late_share
    if depend(gained[None], level=ALIKE).any():
        [spread] = long_run_spreads(gained[None], np.arange(given.size))
        low = korn_graubard(1 - gained, 1.0, 1.0, 1 - 2 * risk, spread).low
        if low < at_least:
            more = more_for_mean(given.size, float(gained.mean()), low, at_least)
            told = "visits resemble their neighbours, so that they count as fewer"
            return replace(kept, verdict="not shown", more=more, reason=f"{told}: about {_more(more)}" if more else told)
    if risk_of_mean(gained, at_least) > risk:
        enough = units_to_show(gained, at_least, risk_of_look(error, extended + 1))
        more = None if enough is None else max(enough - given.size, 1)
        told = f"{given.size} visits do not rule out bad ones that are too rare to be among them"
        return replace(kept, verdict="not shown", more=more, reason=f"{told}: {_more(more)}" if more else told)
    return kept


def least_visits(late_share: float, risk: float) -> int:
    """Return how many visits hold slow ones, but for this risk, where a share of all is slow, in spells.

    Each visit is like the one before it with the probability s = `MOST_ALIKE`, and else drawn anew: of n visits none is slow with
    the probability (1 - p)(1 - (1 - s) p)^(n - 1). That may be half of the risk: about as often there is a single slow one, which
    tells nothing of spells either. Independent visits take a fifth as many. Not below `LEAST_VISITS`.

    Examples
    --------
    >>> [least_visits(late_share, 0.02) for late_share in (0.5, 0.1, 0.05)]
    [39, 224, 455]
    """
    needed = 1 + math.log(min(risk / 2 / (1 - late_share), 1)) / math.log1p(-(1 - MOST_ALIKE) * late_share)
    return max(LEAST_VISITS, math.ceil(needed - ROUNDING))


def _more(visits: int | None) -> str:
    return f"{visits or 0:,} more {'visit' if visits == 1 else 'visits'}"
