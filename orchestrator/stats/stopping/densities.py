"""rJSD on both clocks."""

from __future__ import annotations

from orchestrator.stats.convergence import DensityConvergence
from orchestrator.stats.stopping.rule import CheckRow, RoundObservation

BOUND = 0.05
CLOCKS = ("inference", "total")
OF_A_CLOCK = ("rjsd_{}", "rjsd_{}_as_in_paper_code", "bandwidth_{}", "bandwidth_{}_method")
DENSITY_COLUMNS = ("rounds", "rjsd_bound", *(name.format(clock) for clock in CLOCKS for name in OF_A_CLOCK))
"""What `BothClocks.check` fills."""


class BothClocks:
    """Density convergence of the inference and the total clock side by side."""

    def __init__(self, bound: float = BOUND) -> None:
        self._clocks = {"inference": DensityConvergence(threshold=bound), "total": DensityConvergence(threshold=bound)}
        self._bound = bound
        self.converged = False

    def add(self, observation: RoundObservation) -> None:
        """Take in one round without a check."""
        self._clocks["inference"].add(observation.inference_ns)
        self._clocks["total"].add(observation.total_ns)

    def check(self) -> CheckRow:
        """Fit both densities and return the columns of the trajectory."""
        found = {clock: density.check() for clock, density in self._clocks.items()}
        self.converged = all(check.converged for check in found.values())
        row: CheckRow = {"rounds": found["total"].rounds, "rjsd_bound": self._bound}
        for clock, check in found.items():
            row[f"rjsd_{clock}"] = check.rjsd
            row[f"rjsd_{clock}_as_in_paper_code"] = check.rjsd_as_in_paper_code
            row[f"bandwidth_{clock}"] = check.bandwidth.value if check.bandwidth else None
            row[f"bandwidth_{clock}_method"] = check.bandwidth.method if check.bandwidth else None
        return row
