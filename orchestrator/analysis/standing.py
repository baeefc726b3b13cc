"""Which answers stand where others are late or dropped, and what those that stand gain."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.quality import AskedMetric, quality_of_choices
from orchestrator.analysis.trial_data import TrialData
from orchestrator.stats.units import Floats

# Numbers of answers: those of a first trial's samples, then those of a second one's, -1 for none.
Numbers = NDArray[np.intp]


def fresher(own: Numbers, theirs: Numbers, samples: int) -> Numbers:
    """Return the answers that stand where a second trial's count if they are to later samples.

    Both are places of samples, -1 for none. A trial whose late answers are dropped has none there,
    so that the second one's stand in for them.
    """
    return np.where(theirs > own, theirs + samples, own)


def gains_of_sets(trials: Sequence[TrialData], answers: Numbers) -> Floats:
    """Return what each set of answers gains, [N], with one answer for each sample, [N, S]."""
    data = trials[0]
    judged = data.judged(data.metric)
    if judged.is_mean:
        samples = np.broadcast_to(np.arange(answers.shape[1]), answers.shape)
        return np.asarray(gains_of_pairs(trials, answers, samples).mean(axis=1))
    different, places = np.unique(answers, axis=0, return_inverse=True)
    predictions = [answer for trial in trials for answer in trial.predictions]
    everything = data.answers(data.everything)
    quality = quality_of_choices(data.metric, everything, predictions, different)
    return judged.gained(quality)[places.ravel()]


def gains_of_pairs(trials: Sequence[TrialData], answers: Numbers, samples: Numbers) -> Floats:
    """Return what each answer gains that stands for a sample, both [...], by a mean over samples.

    Different pairs are scored once, in whole tasks: a score may depend on all other samples.
    """
    data = trials[0]
    judged, everything = data.judged(data.metric), data.answers(data.everything)
    predictions = [answer for trial in trials for answer in trial.predictions]
    size, count = len(predictions) + 1, len(everything.references)
    different, places = np.unique(samples * size + answers + 1, return_inverse=True)
    sample, answer = np.divmod(different, size)
    answer, gains = answer - 1, np.zeros(different.size)
    for number, trial in enumerate(trials):
        own = answer == number * count + sample
        gains[own] = judged.gained(trial.judged(data.metric).raw[sample[own]])
    [others] = np.nonzero((answer >= 0) & (answer % count != sample))
    turn = np.arange(others.size) - np.searchsorted(sample[others], sample[others])
    for number in range(int(turn.max(initial=-1)) + 1):
        at = others[turn == number]
        mixed = list(everything.predictions)
        for place, which in zip(sample[at].tolist(), answer[at].tolist(), strict=True):
            mixed[place] = predictions[which]
        scores = AskedMetric(data.metric).score(replace(everything, predictions=mixed))
        gains[at] = judged.gained(scores)[sample[at]]
    return gains[places].reshape(answers.shape)
