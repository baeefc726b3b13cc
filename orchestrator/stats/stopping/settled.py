"""The default rule: the densities have settled, tail quality is known well enough, and the rounds do not drift."""

from __future__ import annotations

from orchestrator.stats.exchangeability import exchangeability_flag
from orchestrator.stats.stopping.cadence import Cadence
from orchestrator.stats.stopping.densities import DENSITY_COLUMNS, BothClocks
from orchestrator.stats.stopping.primary import QUALITY_COLUMNS
from orchestrator.stats.stopping.primary import PrimaryQuality
from orchestrator.stats.stopping.rule import Decision, RoundObservation, check_row

TREND = "not settled: trend"


class Settled:
    """Stop when all of it holds at a check from ``min_rounds`` on.

    rJSD within its bound on both clocks; at the primary threshold, Student's t half-width of mean tail quality at most
    ``half_width`` x ideal; no exchangeability flag. The flag is computed once, when the rest holds for the first time: looked at
    again and again it would be raised falsely. Once it is raised the trial goes on to its bound.

    Parameters
    ----------
    min_rounds
        no check before counts as one that would stop.
    half_width
        largest half-width of a 95 % interval, as a share of ideal quality.
    primary
        the user's primary threshold, or None for the trial's own p95, frozen from its first 10 rounds.
    """

    columns = (*DENSITY_COLUMNS, *QUALITY_COLUMNS, "half_width_bound", "not_exchangeable")

    def __init__(self, min_rounds: int, half_width: float, primary: str | None = None) -> None:
        self._min_rounds = min_rounds
        self._bound = half_width
        self._densities = BothClocks()
        self._primary = PrimaryQuality(primary)
        self._cadence = Cadence()
        self._flagged: bool | None = None

    def update(self, observation: RoundObservation, now_s: float) -> Decision:
        """Take in one round."""
        self._densities.add(observation)
        self._primary.add(observation)
        if not self._cadence.due(observation.rounds, now_s):
            return Decision(False, TREND if self._flagged else None)
        half_width = self._primary.half_width()
        bound = self._bound * observation.ideal
        densities = self._densities.check()
        precise = half_width is not None and half_width <= bound
        enough = self._densities.converged and precise and observation.rounds >= self._min_rounds
        if enough and self._flagged is None:
            self._flagged = exchangeability_flag(self._primary.log_medians, self._primary.qualities).flagged
        check = check_row(densities, self._primary.columns(), {"half_width_bound": bound, "not_exchangeable": self._flagged})
        if enough and not self._flagged:
            return Decision(True, "settled", check)
        return Decision(False, TREND if self._flagged else None, check)
