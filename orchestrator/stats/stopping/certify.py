"""LoadGen's rule: enough samples to bound one percentile by the binomial tail."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from orchestrator.stats.certification import samples_to_certify
from orchestrator.stats.latency import CLUSTERED, percentile_inverted_cdf
from orchestrator.stats.stopping.cadence import Cadence
from orchestrator.stats.stopping.densities import BothClocks
from orchestrator.stats.stopping.rule import CheckRow, Decision, RoundObservation
from orchestrator.stats.thresholds import FREEZING_ROUNDS

PERCENTILE = 99
CONFIDENCE = 0.99
OVERRUNS = 1


class Certify:
    """Stop once the samples suffice for the 99th percentile at 99 % with one overrun (MLCommons LoadGen, early stopping).

    Samples of one round may be alike: with a design effect above 1.5, measured as the spread between rounds of the share beyond
    the percentile of the first 10 rounds, their number is divided by it.
    """

    def __init__(self) -> None:
        self._needed = samples_to_certify(PERCENTILE, CONFIDENCE, OVERRUNS)
        self._first_rounds: list[NDArray[np.float64]] = []
        self._bound_ns: float | None = None
        self._shares: list[float] = []
        self._samples = 0
        self._densities = BothClocks()
        self._cadence = Cadence()

    def update(self, observation: RoundObservation, now_s: float) -> Decision:
        """Take in one round."""
        self._densities.add(observation)
        self._take_share(observation.total_ns)
        if not self._cadence.due(observation.rounds, now_s):
            return Decision(False)
        effect = self._design_effect(observation.total_ns.size)
        effective = self._samples / effect if effect > CLUSTERED else float(self._samples)
        check: CheckRow = {
            **self._densities.check(),
            "percentile": PERCENTILE,
            "samples_needed": self._needed,
            "samples_effective": effective,
            "design_effect": effect,
        }
        certified = effective >= self._needed
        return Decision(certified, "certified" if certified else None, check)

    def _take_share(self, times_ns: NDArray[np.float64]) -> None:
        self._samples += times_ns.size
        if self._bound_ns is not None:
            self._shares.append(float((times_ns > self._bound_ns).mean()))
            return
        self._first_rounds.append(times_ns)
        if len(self._first_rounds) == FREEZING_ROUNDS:
            self._bound_ns = float(percentile_inverted_cdf(np.concatenate(self._first_rounds), PERCENTILE))

    def _design_effect(self, samples: int) -> float:
        """Return by how much shares vary more between rounds than between independent samples; 1 below 2 rounds."""
        shares = np.array(self._shares)
        if shares.size < 2:
            return 1.0
        independent = shares.mean() * (1 - shares.mean()) / samples
        return max(1.0, float(shares.var(ddof=1) / independent)) if independent > 0 else 1.0
