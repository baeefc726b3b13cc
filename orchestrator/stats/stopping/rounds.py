"""A fixed number of rounds."""

from __future__ import annotations

from orchestrator.stats.stopping.rule import DENSITY_COLUMNS, BothClocks, Cadence, Decision, RoundObservation, check_row


class Rounds:
    """Never stop: ``max_rounds`` does. The densities are followed all the same, for the record."""

    columns = DENSITY_COLUMNS

    def __init__(self) -> None:
        self._densities = BothClocks()
        self._cadence = Cadence()

    def update(self, observation: RoundObservation, now_s: float) -> Decision:
        """Take in one round."""
        self._densities.add(observation)
        due = self._cadence.due(observation.rounds, now_s)
        return Decision(False, None, check_row(self._densities.check()) if due else None)
