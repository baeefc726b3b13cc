"""The paper's rule, as its program applies it: its rJSD alone, on both clocks."""

from __future__ import annotations

from orchestrator.contracts import InputError
from orchestrator.stats.divergence import NS_PER_S
from orchestrator.stats.paper_loop import FIT_EVERY, THRESHOLD, WARM, PaperLoop
from orchestrator.stats.stopping.rule import AllClocks, CheckRow, Decision, RoundObservation, RuleSettings, check_row
from orchestrator.stats.times import SERVICE_CLOCKS, Clock

MOST_ROUNDS = 2000
"""Later rounds bring no figures: every fit reads all times so far, a comparison six such pools."""


class Paper:
    """Stop where the program of Yang et al. (arXiv 2212.13925v3) does: its rJSD is within the threshold on both clocks.

    It fits every ``fit_every`` rounds after the first ``warm``, whose times stay in the pool, and compares at fits 6, 11, 16 and so on with
    the five before; only there is a row of the trajectory. Where the program ends with an error, since it finds no bandwidth, there is no
    fit here.

    Raises InputError for a parameter out of range.
    """

    name = "paper"

    def __init__(self, settings: RuleSettings, *, warm: int = WARM, fit_every: int = FIT_EVERY, threshold: float = THRESHOLD) -> None:
        for name, value, least in (("warm", warm, 0), ("fit_every", fit_every, 1)):
            if value < least:
                raise InputError(f"measurement.rule_options.{name}={value}: must be {least} or more")
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
        compared = {clock: rjsd for clock, loop in self._loops.items() if (rjsd := _compared(loop, observation, clock)) is not None}
        if observation.rounds <= self._warm or (observation.rounds - self._warm) % self._fit_every:
            return Decision(False)
        by_definition = self._densities.check()
        if not compared:
            return Decision(False)
        self._last |= compared
        stop = all(self._last.get(clock, self._threshold + 1) <= self._threshold for clock in SERVICE_CLOCKS)
        as_in_paper_code: CheckRow = {f"rjsd_{clock}_as_in_paper_code": rjsd for clock, rjsd in compared.items()}
        return Decision(stop, "converged" if stop else None, check_row(by_definition, as_in_paper_code))


def _compared(loop: PaperLoop, observation: RoundObservation, clock: Clock) -> float | None:
    """Return the program's rJSD after this round; None where it compares nothing."""
    try:
        _, comparison = loop.add(observation.times[clock] / NS_PER_S)
    except ValueError:
        return None
    return None if comparison is None else comparison.rjsd
