"""LoadGen's rule: enough inferences to bound one percentile by the binomial tail."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from orchestrator.stats.certification import samples_to_certify
from orchestrator.stats.latency import percentile_inverted_cdf
from orchestrator.stats.stopping.rule import (
    AllClocks,
    Cadence,
    CheckRow,
    Decision,
    RoundObservation,
    RuleSettings,
    check_row,
)
from orchestrator.stats.thresholds import FREEZING_ROUNDS

PERCENTILE = 99
CONFIDENCE = 0.99
OVERRUNS = 1
CLUSTERED = 1.5
"""A larger design effect says that samples of one round are alike; the number of samples is then divided by it."""
LONGEST_NS = float(np.finfo(np.float64).max)


class Certify:
    """Stop once the samples suffice for the 99th percentile at 99 % with one overrun (MLCommons LoadGen, early stopping).

    Then the second-longest time bounds the percentile. Inferences without a time lie beyond every bound: where there are more of
    them than one, they are the overruns. LoadGen's samples are inferences here: a batch counts once.

    Those of one round may be alike: with a design effect above 1.5, measured as the spread between rounds of the share beyond
    the percentile of the first 10 rounds, their number is divided by it. The bound takes the number of samples as fixed beforehand
    and this rule looks again and again, as LoadGen does; it says when to stop and is no certificate by itself.
    """

    name = "certify"

    def __init__(self, settings: RuleSettings) -> None:
        self._first_rounds: list[NDArray[np.float64]] = []
        self._bound_ns: float | None = None
        self._shares: list[float] = []
        self._samples = 0
        self._without_time = 0
        self._densities = AllClocks()
        self._cadence = Cadence(rounds_apart=5)

    def update(self, observation: RoundObservation, now_s: float) -> Decision:
        """Take in one round."""
        self._densities.add(observation)
        self._take_share(observation.primary_times)
        if not self._cadence.due(observation.rounds, now_s):
            return Decision(False)
        effect = self._design_effect(observation.primary_times.size)
        effective = self._samples / effect if effect is not None and effect > CLUSTERED else float(self._samples)
        overruns = max(OVERRUNS, self._without_time)
        needed = samples_to_certify(PERCENTILE, CONFIDENCE, overruns)
        of_percentile: CheckRow = {
            "percentile": PERCENTILE,
            "overruns": overruns,
            "samples_needed": needed,
            "samples_effective": effective,
            "design_effect": effect,
        }
        check = check_row(self._densities.check(), of_percentile)
        certified = effect is not None and effective >= needed
        return Decision(certified, "certified" if certified else None, check)

    def _take_share(self, times_ns: NDArray[np.float64]) -> None:
        self._samples += times_ns.size
        self._without_time += int(np.isinf(times_ns).sum())
        if self._bound_ns is not None:
            self._shares.append(float((times_ns > self._bound_ns).mean()))
            return
        self._first_rounds.append(times_ns)
        if len(self._first_rounds) == FREEZING_ROUNDS:
            # A sample without a time lies beyond the percentile even where the percentile falls on one.
            self._bound_ns = min(percentile_inverted_cdf(np.concatenate(self._first_rounds), PERCENTILE), LONGEST_NS)

    def _design_effect(self, samples: int) -> float | None:
        """Return by how much shares vary more between rounds than between independent samples; None before that can be known."""
        shares = np.array(self._shares)
        if shares.size < 2:
            return None
        independent = shares.mean() * (1 - shares.mean()) / samples
        return max(1.0, float(shares.var(ddof=1) / independent)) if independent > 0 else 1.0
