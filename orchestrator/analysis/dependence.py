"""Rounds that depend on each other: for which figures that counts, and which flags they earn."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.trial_data import TrialData
from orchestrator.stats.long_run import (
    Dependence,
    constant,
    depend_by_quality_or_time,
    dependence,
    drift_p_values,
    enough,
    means_of_visits,
    visits_alike,
)
from orchestrator.stats.pair import holm_adjusted
from orchestrator.stats.times import Clock

FEW_ROUNDS = "few rounds for their dependence"
DRIFT = "drift"
MIN_ROUNDS = 60
"""From so many rounds on the interval of rounds to come holds where they depend on each other; see docs/statistics.md."""
LEVEL = 0.01
"""At which a drift is told, of all thresholds of one metric, slice and clock together."""


def dependent_rows(data: TrialData, series: NDArray[np.float64], clock: Clock, first_round: int = 0) -> NDArray[np.bool_]:
    """Return which figures of a trial come from rounds that depend on each other, [M]; see `long_run.depend_by_quality_or_time`.

    Under load all do: the rounds of a stream share a queue.

    Parameters
    ----------
    series : [M, R]
        one value per round from ``first_round`` on.
    clock
        of the figures.
    """
    if data.record.trial.load.is_open:
        return np.ones(len(series), dtype=bool)
    return depend_by_quality_or_time(series, data.log_medians(clock)[first_round:], visits_from(data, first_round))


def dependence_of_rows(data: TrialData, series: NDArray[np.float64], clock: Clock, first_round: int = 0) -> Dependence:
    """Return what `dependent_rows` does, and how far the interval of each figure goes to that of dependent rounds, [M].

    See `long_run.weights_of_dependence`. Under load all go the whole way.
    """
    if data.record.trial.load.is_open:
        return Dependence(np.ones(len(series), dtype=bool), np.ones(len(series)))
    return dependence(series, data.log_medians(clock)[first_round:], visits_from(data, first_round))


def alike_visits(data: TrialData, clock: Clock, first_round: int = 0) -> bool:
    """Return whether the times of a trial from ``first_round`` on say that neighbouring visits are alike; see `long_run.visits_alike`."""
    return visits_alike(data.log_medians(clock)[first_round:], visits_from(data, first_round))


def visits_from(data: TrialData, first_round: int) -> NDArray[np.int32] | None:
    """Return the visit of each round from a first one on, [R]; None where the trial was not measured in visits."""
    return None if data.visits is None else data.visits[first_round:]


def flags_of_rows(
    series: NDArray[np.float64], dependent: NDArray[np.bool_], visits: NDArray[np.int32] | None, close: bool = False
) -> list[tuple[str, ...]]:
    """Return per figure the flags of what it says of rounds to come. What it says of this session has none.

    Parameters
    ----------
    series : [M, R]
        one value per round of each figure: one metric, slice and clock at several thresholds. Constant ones take no part.
    dependent : [M]
        as `dependent_rows` finds it.
    visits : [R]
        number of each round's visit; None where there are none.
    close
        whether visits lie close to each other (`trial_data.TrialData.close_visits`), so that they do not make up for few rounds.
    """
    few = dependent & ~constant(series) & (series.shape[1] < MIN_ROUNDS and (close or not enough(visits)))
    units = means_of_visits(series, visits) if enough(visits) else series
    varies = ~constant(units)
    drifts = np.zeros(len(series), dtype=bool)
    drifts[varies] = holm_adjusted(drift_p_values(units[varies])) <= LEVEL
    return [
        (*([FEW_ROUNDS] if of_few else []), *([DRIFT] if of_drift else []))
        for of_few, of_drift in zip(few.tolist(), drifts.tolist(), strict=True)
    ]
