"""What quality would be if the last answer on time were kept until the next one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.quality import AskedMetric, JudgedMean
from orchestrator.analysis.trial_data import TrialData
from orchestrator.metrics import Answers
from orchestrator.stats.slow_rounds import staleness
from orchestrator.stats.times import Clock

MOST_PAIRS = 200_000
"""Of an answer and another sample, which are judged one by one."""


class Answered(NamedTuple):
    """The N arrivals of a stream in order: the sample, whether it was late, and which count."""

    samples: NDArray[np.intp]
    late: NDArray[np.bool_]
    counts: slice


def held_mean(data: TrialData, streams: Iterable[Answered]) -> float | None:
    """Return mean quality with the last answer held, a mean over streams; before it nothing counts.

    None where the metric is no mean, there is no stream, or there are too many pairs to judge.
    """
    judged, metric = data.judged(data.metric), AskedMetric(data.metric)
    if not isinstance(judged, JudgedMean) or judged.by_round is not None or not metric.is_mean:
        return None
    samples = len(data.references)
    pairs = [_pairs(one, samples) for one in streams]
    if not pairs:
        return None
    different, places = np.unique(np.concatenate(pairs), return_inverse=True)
    if different.size > MOST_PAIRS:
        return None
    answer, asked = np.divmod(different, samples)
    known = answer >= 0
    answers = Answers(
        [data.predictions[place] for place in answer[known]],
        [data.references[place] for place in asked[known]],
        {name: [groups[place] for place in asked[known]] for name, groups in data.slices.items()},
    )
    gains = np.zeros(different.size)
    if known.any():
        gains[known] = judged.scale.gained(metric.score(answers))
    means = [
        of_stream.mean()
        for of_stream in np.split(gains[places], np.cumsum([one.size for one in pairs])[:-1])
    ]
    return float(judged.scale.shown(float(np.mean(means))))


def _pairs(stream: Answered, samples: int) -> NDArray[np.int64]:
    """Return, as one number per arrival that counts, whose answer stands, and for which sample."""
    held = np.arange(stream.samples.size) - staleness(stream.late)
    answer = np.where(held >= 0, stream.samples[held], -1)
    return np.asarray((answer * samples + stream.samples)[stream.counts], dtype=np.int64)


def answered_under_load(data: TrialData, deadline_ns: float) -> Iterator[Answered]:
    """Yield the whole streams of a trial under load; their ramps are not among them."""
    assert data.streams is not None
    assert data.arrivals is not None
    response = data.times[Clock.RESPONSE]
    for stream in np.unique(data.streams):
        own = data.streams == stream
        if not data.cut_short[own].any():
            order = np.argsort(data.arrivals[own], axis=None, kind="stable")
            samples = np.tile(np.arange(response.shape[1]), int(own.sum()))
            yield Answered(
                samples[order], (response[own] > deadline_ns).ravel()[order], slice(None)
            )
