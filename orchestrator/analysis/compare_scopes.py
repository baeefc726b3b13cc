"""What the rounds of two trials show: of these samples, and of samples like these. Neither bears a verdict."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.on_time import on_time_scores, one_inference
from orchestrator.analysis.trial_data import TrialData
from orchestrator.stats.comparison import Difference, compare_rounds, compare_samples
from orchestrator.stats.thresholds import Threshold


@dataclass(frozen=True)
class Scopes:
    """Differences of mean tail quality, candidate minus baseline; None where a scope has none.

    this_data_set
        rounds of all repeats could have come out otherwise.
    samples_like_these
        rounds and samples could have been others; None for a metric that is no mean over samples.
    """

    this_data_set: Difference | None = None
    samples_like_these: Difference | None = None


def scopes_of(before: Sequence[TrialData], after: Sequence[TrialData], threshold: Threshold, seed: int) -> Scopes:
    """Return both scopes for the repeats of one match key, their rounds pooled.

    The two sides were never interleaved with each other, so that no round has a partner.

    Parameters
    ----------
    before, after
        repeats of the baseline, of which there are none where it is a file, and of the candidate.
    threshold
        on the total clock.
    seed
        of the bootstrap; equal seeds give equal figures.
    """
    if not before or not after:
        return Scopes()
    here, there = (np.concatenate([_qualities(data, threshold) for data in side]) for side in (before, after))
    this = compare_rounds(here, there, resolution=one_inference([*before, *after]))
    scores = on_time_scores(before, after, threshold)
    if scores is None:
        return Scopes(this)
    random = np.random.default_rng([seed, zlib.crc32(f"{before[0].record.match_key} {threshold.label}".encode())])
    return Scopes(this, compare_samples(*scores, random))


def _qualities(data: TrialData, threshold: Threshold) -> NDArray[np.float64]:
    qualities: NDArray[np.float64] = data.judged(data.metric).curve(data.times["total"], [threshold.ns])[0]
    return qualities
