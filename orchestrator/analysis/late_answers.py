"""The latest answers of a trial: those without a time, then the slowest, each with its neighbours in time."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.quality import JudgedMean
from orchestrator.analysis.trial_data import TrialData
from orchestrator.contracts import InputError
from orchestrator.stats.thresholds import Threshold
from orchestrator.stats.times import primary_of
from orchestrator.storage import schema
from orchestrator.storage.matrix import RoundMatrix
from orchestrator.storage.reader import Campaign
from orchestrator.storage.stored_form import finite
from orchestrator.subject.samples import batches_that_ran

RANK = tuple(schema.OUTCOMES.index(name) for name in ("error", "timeout", "lost", "dropped", "ok"))
"""The order in which outcomes are listed: those with a cause first."""


@dataclass(frozen=True)
class Answer:
    """One inference: a sample, or all samples of a batch that share its outcome.

    before_ns, after_ns
        total time of the inference before and after it in the same round; None if there is none, or if it has no time.
    """

    names: tuple[str, ...]
    round: int
    outcome: str
    total_ns: float | None
    preprocess_ns: float | None
    inference_ns: float | None
    postprocess_ns: float | None
    before_ns: float | None
    after_ns: float | None


def latest_answers(campaign: Campaign, trial_id: str, count: int) -> list[Answer]:
    """Return ``count`` answers of a trial: those not ``ok``, by outcome, round and sample, then the others by falling total time.

    Raises
    ------
    InputError
        if the trial has no stored round.
    """
    record = campaign.trial(trial_id)
    matrix = campaign.matrix(trial_id)
    if not matrix.outcome.size:
        raise InputError(f"{trial_id} has no stored round (it is {record.state}): choose another trial")
    samples = campaign.samples(trial_id)
    names = dict(zip(samples.column("sample").to_pylist(), samples.column("name").to_pylist(), strict=True))
    if unknown := set(matrix.samples.tolist()) - names.keys():
        raise InputError(f"{trial_id} has timings of sample {min(unknown)}, which its predictions.parquet lacks: restore it from a copy")
    found: list[Answer] = []
    seen: set[tuple[int, int, int]] = set()
    orders: dict[int, list[list[int]]] = {}
    for row, column in _by_lateness(matrix):
        number, outcome = int(matrix.rounds[row]), int(matrix.outcome[row, column])
        if number not in orders:
            total_ns = np.full(len(names), np.inf)
            total_ns[matrix.samples] = matrix.times[primary_of(matrix.times.keys())][row]
            orders[number] = batches_that_ran(record.trial, number, total_ns, bool(matrix.incomplete[row]))
        batches = orders[number]
        place = next(at for at, batch in enumerate(batches) if int(matrix.samples[column]) in batch)
        if (number, place, outcome) not in seen:
            seen.add((number, place, outcome))
            found.append(_answer(matrix, row, column, batches, place, names))
        if len(found) == count:
            break
    return found


def _by_lateness(matrix: RoundMatrix) -> Iterator[tuple[int, int]]:
    """Yield row and column of every answer, the latest first."""
    ranks = np.empty(len(RANK), dtype=np.int64)
    ranks[list(RANK)] = np.arange(len(RANK))
    total = np.where(matrix.late, np.inf, matrix.times[primary_of(matrix.times.keys())])
    order = np.lexsort((-total.ravel(), ranks[matrix.outcome].ravel()))
    for place in order:
        row, column = np.unravel_index(place, total.shape)
        yield int(row), int(column)


def _answer(matrix: RoundMatrix, row: int, column: int, batches: Sequence[Sequence[int]], place: int, names: Mapping[int, str]) -> Answer:
    columns = {int(sample): at for at, sample in enumerate(matrix.samples)}
    outcomes, outcome = matrix.outcome[row], int(matrix.outcome[row, column])
    members = [sample for sample in batches[place] if sample in columns and outcomes[columns[sample]] == outcome]

    def neighbour(at: int) -> float | None:
        known = [columns[sample] for sample in batches[at] if sample in columns] if 0 <= at < len(batches) else []
        return finite(matrix.times[primary_of(matrix.times.keys())][row, known[0]]) if known else None

    return Answer(
        names=tuple(names[sample] for sample in members),
        round=int(matrix.rounds[row]),
        outcome=schema.OUTCOMES[outcome],
        total_ns=finite(matrix.times[primary_of(matrix.times.keys())][row, column]),
        preprocess_ns=finite(matrix.stages["preprocess_ns"][row, column]),
        inference_ns=finite(matrix.stages["inference_ns"][row, column]),
        postprocess_ns=finite(matrix.stages["postprocess_ns"][row, column]),
        before_ns=neighbour(place - 1),
        after_ns=neighbour(place + 1),
    )


def one_inference(trials: Sequence[TrialData]) -> float:
    """Return the largest share of a round that one inference makes up in any trial: answers of a batch are on time together."""
    fewest: int = min(data.inferences[data.clock].shape[1] for data in trials)
    return 1 / fewest


def on_time_scores(
    before: Sequence[TrialData], after: Sequence[TrialData], threshold: Threshold
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Return per side the score of each unit in each round of its trials, [R, U], the late ones 0; None if there is no such score."""
    size = unit_size([*before, *after])
    if size is None:
        return None
    here, there = (np.concatenate([scores_of_units(data, threshold, size) for data in side]) for side in (before, after))
    return here, there


def unit_size(trials: Sequence[TrialData]) -> int | None:
    """Return how many samples make a unit of a comparison of these trials; None for a metric that is no mean over samples.

    A unit is a sample. Where a trial puts the same samples into a batch in every round, these come on time together round after round,
    and drawn one by one they would pass for independent: a unit is then all samples of a batch, the same ones on both sides, so that
    batches of 4 and of 6 make units of 12. Means over units are means over samples.
    """
    if any(not isinstance(data.judged(data.metric), JudgedMean) for data in trials):
        return None
    return math.lcm(*(1 if data.batch_of is None else data.record.trial.measurement.batch for data in trials))


def scores_of_units(data: TrialData, threshold: Threshold, size: int) -> NDArray[np.float64]:
    """Return the score of each unit of so many samples in each round of a trial, [R, U], the late ones 0."""
    judged = data.judged(data.metric)
    assert isinstance(judged, JudgedMean)
    scores: NDArray[np.float64] = judged.scores * (data.times[data.clock] <= threshold.ns)
    samples = scores.shape[1]
    if size == 1:
        return scores
    sums = np.add.reduceat(scores, np.arange(0, samples, size), axis=1)
    return np.asarray(sums * (sums.shape[1] / samples))
