"""A rate of a search for the capacity: as many streams as were planned."""

from __future__ import annotations

from orchestrator.stats.stopping.rounds import Rounds
from orchestrator.stats.stopping.rule import RuleSettings


class Capacity(Rounds):
    """Never stop: ``max_rounds`` does. The options say what the search asks, and whether the rate is to be certified."""

    name = "capacity"

    def __init__(self, settings: RuleSettings, *, deadline_ms: float = 50.0, keep: float = 0.99, certify: bool = False) -> None:
        super().__init__(settings)
