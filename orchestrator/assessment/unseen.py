"""What visits that have not been seen may still hold: a verdict is *met* only where they could have shown bad ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.trial_data import TrialData
from orchestrator.stats.guard import risk_of_mean, units_to_show

ROUNDS_IN_A_ROW = 10
"""Of one stretch so many rounds count as a visit: they are not apart in time, and share most slow spells."""
FIRST_LOOK = 0.8
"""What a trial may risk of its part before it is extended; each look after that risks half of what is left."""


@dataclass(frozen=True)
class Lacking:
    """What is missing to rule out bad visits that are too rare to be among those measured; ``rounds`` is None where none would do."""

    rounds: int | None
    words: str


def risk_of_look(error: float, extended: int = 0) -> float:
    """Return the risk of a false *met* that a look at a trial may take, of half of ``error`` for all looks together.

    Examples
    --------
    >>> [round(risk_of_look(0.05, extended), 5) for extended in (0, 1, 2)]
    [0.02, 0.0025, 0.00125]
    """
    return error / 2 * (FIRST_LOOK if not extended else (1 - FIRST_LOOK) / 2**extended)


def lacking(data: TrialData, gained: NDArray[np.float64], at_least: float, error: float) -> Lacking | None:
    """Return what a trial lacks to show that rounds gain so much in the mean, whatever bad visits there may be; None if nothing.

    Parameters
    ----------
    gained : [R]
        what each round gained, where 0 is the least.
    at_least
        what rounds must gain in the mean.
    error
        of the verdict, half of it for a false *met*.
    """
    units = units_of(data, gained.size)
    means = np.bincount(units, weights=gained) / np.bincount(units)
    extended = len(data.record.looks)
    if risk_of_mean(means, at_least, 1) <= risk_of_look(error, extended):
        return None
    enough = units_to_show(means, at_least, risk_of_look(error, extended + 1))
    visits = None if enough is None else max(enough - means.size, 1)
    rounds = None if visits is None else visits * round(gained.size / means.size)
    return Lacking(rounds, _words(means.size, _way_apart(data) if data.visits is None else "", visits, rounds))


def units_of(data: TrialData, rounds: int) -> NDArray[np.int64]:
    """Return the number of each round's visit, from 0 on, [R]; of ten rounds in a row where all are one stretch."""
    if data.visits is None:
        return np.minimum(np.arange(rounds) // ROUNDS_IN_A_ROW, max(rounds // ROUNDS_IN_A_ROW, 1) - 1)
    return np.unique(data.visits, return_inverse=True)[1]


def _way_apart(data: TrialData) -> str:
    """Return what would make visits of rounds that are one stretch."""
    if data.record.imported:
        return "rounds with pauses between them"
    if data.record.trial.measurement.rounds_per_visit is None:
        return "visits (measurement.schedule=visits)"
    return "longer pauses between its visits (more trials that take turns with it)"


def _words(units: int, way_apart: str, visits: int | None, rounds: int | None) -> str:
    """Return what is missing, in words; ``way_apart`` is empty where rounds are no single stretch."""
    said = f"{units:,} {'visit does' if units == 1 else 'visits do'} not rule out bad ones that are too rare to be among them"
    if way_apart:
        said = f"one stretch tells as little of slow spells as {units:,} {'visit' if units == 1 else 'visits'} of {ROUNDS_IN_A_ROW} rounds"
    if visits is None:
        return f"{said}, and more of the same would not show it"
    more = f"{rounds:,} more rounds" if way_apart else f"{visits:,} more like these, {rounds:,} {'round' if rounds == 1 else 'rounds'}"
    return f"{said}: {more}{f', or {way_apart}' if way_apart else ''}"
