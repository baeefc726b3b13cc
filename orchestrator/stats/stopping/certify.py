"""LoadGen's rule: enough samples to bound one percentile by the binomial tail."""

from __future__ import annotations

import numpy as np

from orchestrator.stats.certification import samples_to_certify
from orchestrator.stats.latency import CLUSTERED, percentile_inverted_cdf
from orchestrator.stats.stopping.densities import BothClocks, Cadence
from orchestrator.stats.stopping.rule import RoundObservation, Value, Verdict
from orchestrator.stats.thresholds import FREEZING_ROUNDS

CONFIDENCE = 0.99
OVERRUNS = 1


class Certify:
    """Stop once the samples suffice for one percentile at 99 % with one overrun (MLCommons LoadGen, early stopping).

    Samples of one round may be alike: with a design effect above 1.5, measured as the spread between rounds of the share beyond
    the percentile of the first 10 rounds, their number is divided by it.
    """

    def __init__(self, percentile: float = 99) -> None:
        self._percentile = percentile
        self._needed = samples_to_certify(percentile, CONFIDENCE, OVERRUNS)
        self._first_rounds: list[np.ndarray] = []
        self._bound_ns: float | None = None
        self._shares: list[float] = []
        self._samples = 0
        self._densities = BothClocks()
        self._cadence = Cadence()

    def update(self, observation: RoundObservation, now_s: float) -> Verdict:
        """Take in one round."""
        self._densities.add(observation)
        self._samples += observation.total_ns.size
        if self._bound_ns is None:
            self._first_rounds.append(observation.total_ns)
            if len(self._first_rounds) == FREEZING_ROUNDS:
                self._bound_ns = float(percentile_inverted_cdf(np.concatenate(self._first_rounds), self._percentile))
        else:
            self._shares.append(float((observation.total_ns > self._bound_ns).mean()))
        if not self._cadence.due(observation.number + 1, now_s):
            return Verdict()
        effect = self._design_effect(observation.total_ns.size)
        effective = self._samples / effect if effect > CLUSTERED else float(self._samples)
        check: dict[str, Value] = {
            **self._densities.check(),
            "percentile": self._percentile,
            "samples_needed": self._needed,
            "samples_effective": effective,
            "design_effect": effect,
        }
        return Verdict("certified" if effective >= self._needed else None, check)

    def unsettled(self) -> str | None:
        """Nothing special."""
        return None

    def _design_effect(self, samples: int) -> float:
        shares = np.array(self._shares)
        if shares.size < 2:
            return 1.0
        independent = shares.mean() * (1 - shares.mean()) / samples
        return max(1.0, float(shares.var(ddof=1) / independent)) if independent > 0 else 1.0
