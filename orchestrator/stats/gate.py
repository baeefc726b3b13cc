"""Which trials of a family are worse: Student's t on replicates in fresh processes, with Holm's method over the trials."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal, TypeAlias

import scipy

from orchestrator.contracts import InputError
from orchestrator.stats.constants import CONFIDENCE, FEWEST_REPEATS, POWER
from orchestrator.stats.laws import t_isf
from orchestrator.stats.pair import ANYWHERE, Difference, Limits, holm_adjusted, one_more, paired

LEVEL = 1 - CONFIDENCE
"""Probability that any trial of a family without a change has a verdict."""
Design: TypeAlias = Literal["pairs", "earlier campaigns"]
"""How replicates belong together: repeats that alternate, or the means of campaigns of other days and the repeats of one more."""
Outcome: TypeAlias = Literal["worse", "better", "no difference shown", "no verdict: noise floor unknown", "no verdict: measured apart"]
"""The last is that of replicates without a design, which no gate takes."""


@dataclass(frozen=True)
class Replicates:
    """Mean quality of each replicate of one trial, at one threshold that was fixed beforehand.

    resolution
        change of a repeat's mean by one answer.
    within
        least and greatest difference that is possible.
    """

    a: Sequence[float]
    b: Sequence[float]
    design: Design = "pairs"
    resolution: float = 0.0
    within: Limits = ANYWHERE

    def difference(self, confidence: float) -> Difference:
        """Return the difference b - a by the test of the design."""
        test = paired if self.design == "pairs" else one_more
        return test(self.a, self.b, confidence=confidence, resolution=self.resolution, within=self.within)


@dataclass(frozen=True)
class Verdict:
    """What the replicates of one trial show about a change from a to b.

    found
        the difference b - a, negative where b is worse; its limits hold for all trials together (Bonferroni).
    p_value
        two-sided, adjusted by Holm's method; 1 where the noise is unknown.
    detectable_drop
        smallest drop that these replicates find with 80 % probability, their noise taken as known; else infinite.
    """

    outcome: Outcome
    found: Difference
    p_value: float = 1.0
    detectable_drop: float = math.inf


def gate(trials: Mapping[str, Replicates], level: float = LEVEL) -> dict[str, Verdict]:
    """Return for every trial whether b is worse than a, or better: two-sided, at one level for all trials with enough replicates.

    *No difference shown* does not say that there is none: see `Verdict.detectable_drop`. Limits are Bonferroni's, so that Holm's
    method may show what the limits of one trial leave open, and never the other way round.

    Examples
    --------
    >>> small = Replicates([0.86, 0.85, 0.85], [0.71, 0.70, 0.72])
    >>> large = Replicates([0.84, 0.86, 0.85], [0.85, 0.84, 0.86])
    >>> {trial: verdict.outcome for trial, verdict in gate({"small": small, "large": large}).items()}
    {'small': 'worse', 'large': 'no difference shown'}
    """
    if not 0 < level <= 0.5:
        raise InputError(f"level {level}: must be a fraction up to 0.5, such as 0.05")
    each = level / max(1, sum(len(one.a) >= FEWEST_REPEATS for one in trials.values()))
    found = {trial: one.difference(1 - each) for trial, one in trials.items()}
    known = [trial for trial, one in found.items() if one.method != "none"]
    adjusted = dict(zip(known, holm_adjusted([found[trial].parameters["p_value"] for trial in known]).tolist(), strict=True))
    return {trial: _verdict(one, adjusted.get(trial), level, each) for trial, one in found.items()}


def _verdict(found: Difference, p_value: float | None, level: float, each: float) -> Verdict:
    if p_value is None:
        return Verdict("no verdict: noise floor unknown", found)
    outcome: Outcome = "no difference shown" if p_value > level else "worse" if found.difference < 0 else "better"
    return Verdict(outcome, found, p_value, _noncentrality(each / 2, int(found.parameters["df"])) * found.parameters["se"])


@cache
def _noncentrality(level: float, degrees: int) -> float:
    """Return how many standard errors a drop measures that one tail of this level finds with 80 % probability.

    Cohen, *Statistical Power Analysis for the Behavioral Sciences*, section 2.5. Kept, as the trials of a gate share it.
    """
    critical = float(t_isf(level, degrees))
    highest = 2 * critical + 10  # far beyond it: chi-square over its degrees of freedom is rarely above 4
    return float(scipy.optimize.brentq(lambda shift: float(scipy.stats.nct.sf(critical, degrees, shift)) - POWER, 0, highest, xtol=1e-9))
