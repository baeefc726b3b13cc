"""rJSD on both clocks, looked at as often as the machine can bear."""

from __future__ import annotations

from orchestrator.stats.convergence import DensityConvergence
from orchestrator.stats.stopping.rule import RoundObservation, Value

BOUND = 0.05
CHECK_EVERY_ROUNDS = 5
CHECK_EVERY_S = 1.0
GROWTH = 1.05
"""No check before the history has grown by this factor since the last one."""


class BothClocks:
    """Density convergence of the inference and the total clock side by side."""

    def __init__(self, bound: float = BOUND) -> None:
        self._inference = DensityConvergence(threshold=bound)
        self._total = DensityConvergence(threshold=bound)
        self.bound = bound
        self.converged = False

    def add(self, observation: RoundObservation) -> None:
        """Take in one round without a check."""
        self._inference.add(observation.inference_ns)
        self._total.add(observation.total_ns)

    def check(self) -> dict[str, Value]:
        """Fit both densities and return the trajectory's columns."""
        inference, total = self._inference.check(), self._total.check()
        self.converged = inference.converged and total.converged
        row: dict[str, Value] = {"rounds": total.rounds, "rjsd_bound": self.bound}
        for clock, found in (("inference", inference), ("total", total)):
            row[f"rjsd_{clock}"] = found.rjsd
            row[f"rjsd_{clock}_as_in_paper_code"] = found.rjsd_as_in_paper_code
            row[f"bandwidth_{clock}"] = found.bandwidth.value if found.bandwidth else None
            row[f"bandwidth_{clock}_method"] = found.bandwidth.method if found.bandwidth else None
        return row


class Cadence:
    """Every 5 rounds, at most once a second, and not before the history has grown by 5 %."""

    def __init__(self) -> None:
        self._last_rounds = 0
        self._last_s = float("-inf")

    def due(self, rounds: int, now_s: float) -> bool:
        """Return whether to check after so many rounds, and remember that it was done."""
        due = (
            rounds % CHECK_EVERY_ROUNDS == 0
            and now_s - self._last_s >= CHECK_EVERY_S
            and rounds >= self._last_rounds * GROWTH
        )
        if due:
            self._last_rounds, self._last_s = rounds, now_s
        return due
