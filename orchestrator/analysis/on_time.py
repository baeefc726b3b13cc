"""Answers on time as a comparison of samples takes them: one score per round and unit that comes out otherwise on its own."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.quality import JudgedMean
from orchestrator.analysis.trial_data import TrialData
from orchestrator.stats.thresholds import Threshold


def one_inference(trials: Sequence[TrialData]) -> float:
    """Return the largest share of a round that one inference of any of the trials is: answers of a batch come on time together."""
    fewest: int = min(data.inferences["total"].shape[1] for data in trials)
    return 1 / fewest


def on_time_scores(
    before: Sequence[TrialData], after: Sequence[TrialData], threshold: Threshold
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Return per side the score of each unit in each round of its trials, [R, U], the late ones 0; None where there is no such score.

    A unit is a sample. Where a trial puts the same samples into a batch in every round, these come on time together round after round,
    and drawn one by one they would pass for independent: a unit is then all samples of a batch, the same ones on both sides, so that
    batches of 4 and of 6 make units of 12. Means over units are means over samples.
    """
    trials = [*before, *after]
    if any(not isinstance(data.judged(data.metric), JudgedMean) for data in trials):
        return None
    size = math.lcm(*(1 if data.batch_of is None else data.record.trial.measurement.batch for data in trials))
    here, there = (np.concatenate([_scores(data, threshold, size) for data in side]) for side in (before, after))
    return here, there


def _scores(data: TrialData, threshold: Threshold, size: int) -> NDArray[np.float64]:
    judged = data.judged(data.metric)
    assert isinstance(judged, JudgedMean)
    scores: NDArray[np.float64] = judged.scores * (data.times["total"] <= threshold.ns)
    samples = scores.shape[1]
    if size == 1:
        return scores
    sums = np.add.reduceat(scores, np.arange(0, samples, size), axis=1)
    return np.asarray(sums * (sums.shape[1] / samples))
