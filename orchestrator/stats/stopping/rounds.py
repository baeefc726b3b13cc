"""A fixed number of rounds, or of streams of a rate."""

from __future__ import annotations

from orchestrator.stats.stopping.rule import AllClocks, Cadence, Decision, RoundObservation, RuleSettings, check_row


class Rounds:
    """Never stop: ``max_rounds`` does. The densities are followed all the same, for the record."""

    name = "rounds"

    def __init__(self, settings: RuleSettings) -> None:
        self._densities = AllClocks()
        self._cadence = Cadence()

    def update(self, observation: RoundObservation, now_s: float) -> Decision:
        """Take in one round."""
        self._densities.add(observation)
        due = self._cadence.due(observation.rounds, now_s)
        return Decision(False, None, check_row(self._densities.check()) if due else None)


class Capacity(Rounds):
    """Never stop: ``max_rounds`` does. The options say what the search asks, and whether the rate is to be certified."""

    name = "capacity"

    def __init__(self, settings: RuleSettings, *, deadline_ms: float = 50.0, keep: float = 0.99, certify: bool = False) -> None:
        super().__init__(settings)
