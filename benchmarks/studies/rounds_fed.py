"""Simulated trials as a stopping rule sees them."""

from functools import partial

import numpy as np
from numpy.typing import NDArray

from benchmarks.studies.scenarios import IDEAL
from orchestrator.stats.stopping import Decision, RoundObservation, StoppingRule
from orchestrator.stats.tail_quality import quality_curve
from orchestrator.stats.times import Clock

# A round takes a second, so that the clock never holds a check back.
ROUND_S = 1.0


def rounds_until_stop(rule: StoppingRule, times: NDArray[np.float64], score: NDArray[np.float64]) -> tuple[int, Decision]:
    """Feed rounds of total times, [R, S] in ns, to a rule; return how many it took and its last word.

    The inference clock stands still: its density has settled at once, so that the total clock alone decides.
    """
    still = np.full(times.shape[1], 1e6)
    decision = Decision(False)
    for number, total in enumerate(times):
        observation = RoundObservation(number, {Clock.INFERENCE: still, Clock.TOTAL: total}, partial(_quality, score, total), IDEAL)
        decision = rule.update(observation, (number + 1) * ROUND_S)
        if decision.stop:
            return number + 1, decision
    return len(times), decision


def _quality(score: NDArray[np.float64], total: NDArray[np.float64], threshold_ns: float) -> float:
    return float(quality_curve(score, total[np.newaxis], [threshold_ns])[0, 0])
