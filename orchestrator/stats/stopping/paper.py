"""The paper's rule, as its program applies it: its rJSD alone, on both clocks."""

from __future__ import annotations

from orchestrator.contracts import InputError
from orchestrator.stats.paper import FIT_EVERY, NS_PER_S, THRESHOLD, WARM, PaperLoop
from orchestrator.stats.stopping.rule import (
    AllClocks,
    CheckRow,
    Decision,
    RoundObservation,
    RuleSettings,
    check_row,
)
from orchestrator.stats.times import SERVICE_CLOCKS, Clock

MOST_ROUNDS = 2000
"""Later rounds bring no figures: every fit reads all times so far, a comparison six such pools."""


class Paper:
    """Stop where the program of Yang et al. does: its rJSD is within the threshold on both clocks.

    It fits every ``fit_every`` rounds after the first ``warm``, whose times stay in the pool, and
    compares at fits 6, 11, 16 and so on with the five before; only there is a row of the
    trajectory. Where the program ends with an error, as it finds no bandwidth, there is no fit.
    """

    name = "paper"

    def __init__(
        self,
        settings: RuleSettings,
        *,
        warm: int = WARM,
        fit_every: int = FIT_EVERY,
        threshold: float = THRESHOLD,
    ) -> None:
        for name, value, least in (("warm", warm, 0), ("fit_every", fit_every, 1)):
            if value < least:
                where = f"measurement.rule_options.{name}={value}"
                raise InputError(f"{where}: must be {least} or more")
        if not threshold > 0:
            raise InputError(f"measurement.rule_options.threshold={threshold}: must be above 0")
        self._warm, self._fit_every, self._threshold = warm, fit_every, threshold
        self._densities = AllClocks(threshold)
        self._loops = {clock: PaperLoop(warm, fit_every) for clock in SERVICE_CLOCKS}
        self._last: dict[Clock, float] = {}

    def update(self, observation: RoundObservation, now_s: float) -> Decision:
        """Take in one round."""
        if observation.rounds > MOST_ROUNDS:
            return Decision(False)
        self._densities.add(observation)
        compared: CheckRow = {}
        for clock, loop in self._loops.items():
            try:
                _, comparison = loop.add(observation.times[clock] / NS_PER_S)
            except ValueError:
                continue
            if comparison is not None:
                compared[f"rjsd_{clock}_as_in_paper_code"] = self._last[clock] = comparison.rjsd
        after = observation.rounds - self._warm
        if after <= 0 or after % self._fit_every:
            return Decision(False)
        by_definition = self._densities.check()
        if not compared:
            return Decision(False)
        stop = len(self._last) == len(self._loops) and max(self._last.values()) <= self._threshold
        row = check_row(by_definition, compared)
        return Decision(stop, "converged" if stop else None, row)
