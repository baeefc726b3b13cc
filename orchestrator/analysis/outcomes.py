"""What became of each answer: the first of these fates that holds of it within a deadline."""

from contextlib import suppress

import numpy as np
from numpy.typing import ArrayLike, NDArray

from orchestrator.analysis.quality import JudgedMean, NothingToKeep
from orchestrator.analysis.trial_data import TrialData
from orchestrator.metrics import ON_TIME
from orchestrator.stats.times import Clock
from orchestrator.storage import schema

# The last is of answers that no metric grades one by one.
FATES = ("error", "late", "truncated", "unparsable", "wrong", "right", "answered")
ERROR, LATE, TRUNCATED, UNPARSABLE, WRONG, RIGHT, ANSWERED = range(len(FATES))


def right_of(data: TrialData) -> NDArray[np.bool_] | None:
    """Return which answers are right, however late, [R, S]; None where no metric grades each.

    One that its limit of tokens cut off is not right, whatever its score.
    """
    fates = fates_of(data)
    graded = not (fates == ANSWERED).any()
    return (fates == RIGHT) & (data.outcome == schema.OK) if graded else None


def fates_of(data: TrialData) -> NDArray[np.int8]:
    """Return the fate of each answer as if it were on time, [R, S]: an index into `FATES`."""
    graded = _graded(data)
    fates = np.full(data.outcome.shape, ANSWERED, dtype=np.int8)
    if graded is not None:
        fates[:] = np.where(graded, RIGHT, WRONG)
    # Other programs do not say which answers they could not read; a picture may hold no object.
    if not data.record.imported and data.record.trial.task.kind != "object_detection":
        fates[:, [answer is None for answer in data.predictions]] = UNPARSABLE
        for row, others in data.others.items():
            fates[row, [at for at, answer in others.items() if answer is None]] = UNPARSABLE
    if data.truncated is not None:
        fates[data.truncated] = TRUNCATED
    fates[np.isin(data.outcome, schema.FAILED)] = ERROR
    return fates


def _graded(data: TrialData) -> NDArray[np.bool_] | None:
    """Return which answers score 1 by the first metric that gives all 0 or 1, [S] or [R, S]."""
    for metric in data.record.metrics:
        with suppress(NothingToKeep):
            judged = data.judged(metric)
            if metric != ON_TIME and isinstance(judged, JudgedMean) and judged.plain:
                scores = judged.raw if judged.by_round is None else judged.by_round
                if np.isin(scores, (0, 1)).all():
                    return np.asarray(scores == 1)
    return None


def counted(data: TrialData, clock: Clock, bounds_ns: ArrayLike) -> dict[str, NDArray[np.int64]]:
    """Return how many answers of all rounds have each fate within bounds [M] in ns, by fate, [M].

    They add up to the number of answers at each bound. Fates that nothing could tell are left out.
    """
    fates, times, bounds = fates_of(data), data.times[clock], np.asarray(bounds_ns)
    told = [ANSWERED] if (fates == ANSWERED).any() else [WRONG, RIGHT]
    told += [UNPARSABLE] if data.truncated is None else [TRUNCATED, UNPARSABLE]
    found = {
        FATES[fate]: np.searchsorted(np.sort(times[fates == fate]), bounds, side="right")
        for fate in sorted(told)
    }
    failed = np.full(bounds.shape, np.count_nonzero(fates == ERROR))
    late = times.size - failed - np.sum([*found.values()], axis=0)
    return {"error": failed, "late": late} | found
