from __future__ import annotations

from collections.abc import Sequence

from orchestrator.stats.stopping.rule import Decision, RoundObservation, RuleSettings, StoppingRule


class Bounded:
    """Any rule, held to ``min_rounds``, ``max_rounds`` and ``max_seconds``.

    The seconds count from the end of the last of ``min_rounds`` rounds, so that they never cost a trial a round it must have.
    """

    def __init__(self, rule: StoppingRule, settings: RuleSettings) -> None:
        self._rule = rule
        self._settings = settings
        self._enough_since_s: float | None = None

    @property
    def columns(self) -> Sequence[str]:
        """Those of the rule."""
        return self._rule.columns

    def update(self, observation: RoundObservation, now_s: float) -> Decision:
        """Ask the rule, then apply the bounds."""
        decision = self._rule.update(observation, now_s)
        bound = self._bound_reached(observation.rounds, now_s)
        if self._enough_since_s is not None and decision.stop:
            return decision
        if bound is not None:
            return Decision(True, decision.reason or bound, decision.check)
        return Decision(False, None, decision.check)

    def _bound_reached(self, rounds: int, now_s: float) -> str | None:
        """Return the name of the upper bound that ends the trial, if one does."""
        if rounds < self._settings.min_rounds:
            return None
        if self._enough_since_s is None:
            self._enough_since_s = now_s
        if rounds >= self._settings.max_rounds:
            return "max_rounds"
        allowed_s = self._settings.max_seconds
        return "max_seconds" if allowed_s is not None and now_s - self._enough_since_s >= allowed_s else None
