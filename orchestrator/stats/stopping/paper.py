"""The paper's rule: rJSD alone, on both clocks."""

from __future__ import annotations

from orchestrator.stats.stopping.rule import AllClocks, Decision, RoundObservation, RuleSettings, check_row

FIT_EVERY = 2
"""Rounds from one fit to the next, as in the paper's program."""


class Paper:
    """Stop once rJSD is within its bound on both clocks (Yang et al., arXiv 2212.13925v3, equation 5)."""

    name = "paper"

    def __init__(self, settings: RuleSettings) -> None:
        self._densities = AllClocks()

    def update(self, observation: RoundObservation, now_s: float) -> Decision:
        """Take in one round."""
        self._densities.add(observation)
        if observation.rounds % FIT_EVERY:
            return Decision(False)
        check = check_row(self._densities.check())
        return Decision(self._densities.converged, "converged" if self._densities.converged else None, check)
