"""Which trials of two sides belong together, and on what they are compared."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.late_answers import on_time_scores, one_inference
from orchestrator.analysis.trial_data import TrialData
from orchestrator.compare.baseline import BaselineTrial
from orchestrator.compare.sides import digests_of
from orchestrator.configuration.config import Target, Trial
from orchestrator.planning.identity import NO_WORK
from orchestrator.stats.comparison import Difference, compare_rounds, compare_samples
from orchestrator.stats.thresholds import Threshold
from orchestrator.storage.records import PlannedTrial

WHOSE = {"data": "data", "model": "weights"}


def nearest(before: BaselineTrial, unmatched: Mapping[str, Sequence[PlannedTrial]]) -> tuple[str, list[str]] | None:
    """Return the unmatched candidate that is named alike and differs least, with the settings in which it differs, or None.

    Where no setting differs, what differs is the content of the data or the weights, which the match key covers.
    """
    name = _name(before.match_key)
    alike = {key: differences(before.trial, repeats[0].trial) for key, repeats in unmatched.items() if _name(key) == name}
    return min(alike.items(), key=lambda item: len(item[1])) if alike else None


def differences(before: Trial, after: Trial) -> list[str]:
    """Return the settings that make two trials different work, such as ``model.sleep_ms 2.0 -> 2.2``; paths are none."""
    here, there = (dict(_settings(trial)) for trial in (before, after))
    keys = dict.fromkeys((*here, *there))
    return [f"{key} {here.get(key)} -> {there.get(key)}" for key in keys if here.get(key) != there.get(key)]


def why_not_comparable(before: BaselineTrial, loaded: Sequence[TrialData]) -> str | None:
    """Return what keeps the figures of two matched trials from being held against each other, or None."""
    theirs = digests_of(loaded)
    for name, whose in WHOSE.items():
        mine = before.digests.get(name, ())
        if len({*mine, *theirs[name]}) > 1:
            return f"the {whose} differ"
    metric = loaded[0].metric
    if metric != before.metric:
        return f"the metric was {before.metric} and is {metric}"
    samples = loaded[0].times["total"].shape[1]
    return f"{before.samples} samples were measured before and {samples} now" if samples != before.samples else None


def _name(key: str) -> str:
    """Return a match key without its hash."""
    return key.rpartition("-")[0]


def _settings(trial: Trial) -> Iterator[tuple[str, Any]]:
    for block, left_out in NO_WORK.items():
        settings = getattr(trial, block)
        yield from ((f"{block}.{name}", value) for name, value in settings.model_dump(mode="json", exclude=left_out).items())
        if isinstance(settings, Target):
            yield from ((f"{block}.{name}", value) for name, value in settings.options.items() if not _is_path(value))


def _is_path(value: Any) -> bool:
    return isinstance(value, str) and "/" in value


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
