"""A fixed number of rounds."""

from __future__ import annotations

from orchestrator.stats.stopping.densities import BothClocks, Cadence
from orchestrator.stats.stopping.rule import RoundObservation, Verdict


class Rounds:
    """Never stop by itself: ``max_rounds`` does. The densities are followed all the same, for the record."""

    def __init__(self) -> None:
        self._densities = BothClocks()
        self._cadence = Cadence()

    def update(self, observation: RoundObservation, now_s: float) -> Verdict:
        """Take in one round."""
        self._densities.add(observation)
        due = self._cadence.due(observation.number + 1, now_s)
        return Verdict(None, self._densities.check() if due else None)

    def unsettled(self) -> str | None:
        """Nothing special."""
        return None
