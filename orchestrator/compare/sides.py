"""One side of a comparison: the repeats of each match key, reduced to what a baseline file holds."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from orchestrator.analysis.quality import JudgedMean, mean_curve, scale_of
from orchestrator.analysis.trial_data import TrialData, load_trials
from orchestrator.compare.baseline import Baseline, BaselineThreshold, BaselineTrial, store_baseline
from orchestrator.configuration.config import AnalysisConfig
from orchestrator.contracts import InputError
from orchestrator.metrics.interface import PLAIN
from orchestrator.stats.thresholds import Threshold, primary_threshold
from orchestrator.stats.times import PRIMARY_CLOCK
from orchestrator.storage.reader import Campaign
from orchestrator.storage.records import PlannedTrial, TrialRecord

ENVIRONMENT = ("host", "processor", "logical_cores", "memory_bytes", "governor", "turbo")
PLACEMENT = ("device", "uuid", "cores", "numa", "quota_cores", "threads", "pinned", "niceness")
DERIVED = ("platform",)
"""Left out of the stack: it repeats the kernel's version."""


@dataclass(frozen=True)
class Change:
    """One thing that had one value in the baseline and another in the candidate; ``systems`` are those of the trials it touches."""

    name: str
    before: str
    after: str
    systems: tuple[str, ...]


def stack_of(records: Iterable[TrialRecord]) -> dict[str, tuple[str, ...]]:
    """Return what may explain a change, each with the distinct values that the trials had."""
    found: dict[str, dict[str, None]] = {}
    for record in records:
        parts = [
            {name: value for name, value in record.stack.items() if name not in DERIVED},
            _chosen(record.environment, ENVIRONMENT),
            _chosen(record.placement, PLACEMENT) | {"gpu": record.placement.get("name")},
        ]
        for part in parts:
            for name, value in part.items():
                if value is not None:
                    found.setdefault(name, {})[_text(value)] = None
    return {name: tuple(values) for name, values in found.items()}


def changes(before: Baseline, after: Baseline, pairs: Sequence[tuple[str, Mapping[str, Any], Mapping[str, Any]]]) -> tuple[Change, ...]:
    """Return what differs.

    Parameters
    ----------
    before, after
        the campaigns as a whole.
    pairs
        of each matched trial its system and both sides' `stack_of`.
    """
    found: dict[tuple[str, str, str], dict[str, None]] = {}
    whole = {
        "version of this program": (before.code_version, after.code_version),
        "digest of the code": (_short(before.code_digest), _short(after.code_digest)),
    }
    for name, (here, there) in whole.items():
        if here != there:
            found[name, here, there] = {}
    for system, mine, theirs in pairs:
        for name in dict.fromkeys((*mine, *theirs)):
            here, there = (", ".join(side.get(name, ())) or "none" for side in (mine, theirs))
            if here != there:
                found.setdefault((name, here, there), {})[system] = None
    return tuple(Change(*key, tuple(systems)) for key, systems in found.items())


def _chosen(facts: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: facts.get(name) for name in names}


def _text(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _short(digest: str | None) -> str:
    return digest[:12] if digest else "none"


SLOW_DOWNS = (0.0, *(float(f"{share:.4g}") for share in np.geomspace(0.001, 10, 61)))
"""Shares by which all times are made longer: not at all, then 0.1 % to 11 times as long, each 17 % more than the one before."""
FEW_ROUNDS = 10
"""Rounds of a repeat that are made slower for a metric that is no mean, which takes long to compute at 61 thresholds."""


def write_baseline(campaign: Campaign, analysis: AnalysisConfig, path: Path) -> None:
    """Write what `compare` needs of a campaign, at the thresholds of ``analysis``, into one small file. Raises InputError."""
    store_baseline(baseline_of(campaign, analysis), path)


def baseline_of(campaign: Campaign, analysis: AnalysisConfig) -> Baseline:
    """Return a campaign as a baseline; the timings of one match key at a time are in memory."""
    trials = [
        reduce(planned, load_repeats(campaign, planned, analysis.metrics), analysis, slowed=True)
        for planned in by_match_key(campaign).values()
    ]
    return described(campaign, analysis).model_copy(update={"trials": tuple(trials), "slow_downs": SLOW_DOWNS})


def described(campaign: Campaign, analysis: AnalysisConfig) -> Baseline:
    """Return what a baseline says of the campaign as a whole, without its trials."""
    record = campaign.record
    return Baseline(
        name=record.name,
        measured_at=record.created_at,
        code_version=record.code_version,
        code_digest=record.code_digest,
        analysis=analysis,
    )


def by_match_key(campaign: Campaign) -> dict[str, list[PlannedTrial]]:
    """Return the repeats of each match key, in the order of the plan."""
    found: dict[str, list[PlannedTrial]] = {}
    for planned in campaign.record.trials:
        found.setdefault(planned.match_key, []).append(planned)
    return found


def load_repeats(campaign: Campaign, repeats: Iterable[PlannedTrial], metrics: Sequence[str] = ()) -> list[TrialData]:
    """Return those repeats that are done, with their timings.

    Raises InputError for a metric whose late answers have a score of their own, which no baseline holds.
    """
    chosen = tuple(planned for planned in repeats if planned.state == "done")
    part = copy.copy(campaign)
    part.record = campaign.record.model_copy(update={"trials": chosen})
    loaded = load_trials(part, metrics)
    for data in loaded:
        if scale_of(data.judged(data.metric)) != PLAIN:
            raise InputError(
                f"{data.trial_id}: compare takes metrics whose late answers score 0, and {data.metric} is another; use `report`"
            )
    return loaded


def reduce(repeats: Sequence[PlannedTrial], loaded: Sequence[TrialData], analysis: AnalysisConfig, *, slowed: bool) -> BaselineTrial:
    """Return the figures of one match key at its own thresholds; ``slowed`` asks for those of longer times too."""
    first = BaselineTrial(match_key=repeats[0].match_key, trial=repeats[0].trial, not_done=not_done(repeats))
    if not loaded:
        return first
    ideal = mean_ideal(loaded)
    thresholds = () if ideal is None else frozen_thresholds(loaded, analysis)
    curves = [_slowed(loaded, threshold) if slowed else () for threshold in thresholds]
    data = loaded[0]
    return BaselineTrial(
        match_key=data.record.match_key,
        trial=data.record.trial,
        not_done=not_done(repeats),
        metric=data.metric,
        ideal=ideal,
        samples=data.times[PRIMARY_CLOCK].shape[1],
        rounds=tuple(len(one.times[PRIMARY_CLOCK]) for one in loaded),
        thresholds=tuple(
            BaselineThreshold(
                label=threshold.label,
                ns=threshold.ns,
                origin="absolute" if threshold.origin == "absolute" else "reference",
                means=tuple(of_repeats),
                slowed=curve,
            )
            for threshold, of_repeats, curve in zip(thresholds, means_at(loaded, thresholds), curves, strict=True)
        ),
        digests=digests_of(loaded),
        stack=stack_of(one.record for one in loaded),
        flags=flags_of_repeats(loaded, thresholds[0] if thresholds else None),
    )


def frozen_thresholds(loaded: Sequence[TrialData], analysis: AnalysisConfig) -> tuple[Threshold, ...]:
    """Return the thresholds that the trial of the baseline is held to, the primary one first.

    The primary one is the percentile of the total times of its inferences, all repeats pooled, so that every trial is judged where its
    speed matters; the candidate has no part in it. The user's absolute thresholds follow.
    """
    pooled = np.concatenate([data.inferences[PRIMARY_CLOCK].ravel() for data in loaded])
    primary = primary_threshold(analysis.primary, pooled)
    found = [*([] if primary is None else [primary]), *analysis.thresholds]
    return tuple({threshold.ns: threshold for threshold in reversed(found)}.values())[::-1]


def means_at(loaded: Sequence[TrialData], thresholds: Sequence[Threshold]) -> list[list[float]]:
    """Return mean tail quality on the total clock per threshold and repeat."""
    bounds = [threshold.ns for threshold in thresholds]
    curves = [mean_curve(data.judged(data.metric), data.times[PRIMARY_CLOCK], bounds) for data in loaded]
    return [[float(curve[index]) for curve in curves] for index in range(len(bounds))]


def mean_ideal(loaded: Sequence[TrialData]) -> float | None:
    """Return quality without a threshold, a mean over repeats; None if there is nothing to be right about."""
    ideal = float(np.mean([data.judged(data.metric).ideal() for data in loaded]))
    return ideal if np.isfinite(ideal) else None


def digests_of(loaded: Sequence[TrialData]) -> dict[str, tuple[str, ...]]:
    """Return the distinct digests of data and weights that the repeats had."""
    names = ("data", "model")
    return {name: tuple(dict.fromkeys(str(data.record.digests.get(name)) for data in loaded)) for name in names}


def flags_of_repeats(loaded: Sequence[TrialData], primary: Threshold | None) -> tuple[str, ...]:
    """Return the flags of all the repeats."""
    return tuple(dict.fromkeys(flag for data in loaded for flag in data.flags))


def not_done(repeats: Iterable[PlannedTrial]) -> tuple[str, ...]:
    """Return the repeats that have no result, each with its state and reason."""
    return tuple(
        f"repeat {planned.trial.repeat} {planned.state}" + (f": {planned.reason}" if planned.reason else "")
        for planned in repeats
        if planned.state != "done"
    )


def _slowed(loaded: Sequence[TrialData], threshold: Threshold) -> tuple[float, ...]:
    """Return mean quality with all times longer by each of `SLOW_DOWNS`: a time t (1 + s) is on time where t <= theta / (1 + s)."""
    bounds = [threshold.ns / (1 + share) for share in SLOW_DOWNS]
    means = []
    for data in loaded:
        judged = data.judged(data.metric)
        times = data.times[PRIMARY_CLOCK] if isinstance(judged, JudgedMean) else data.times[PRIMARY_CLOCK][:FEW_ROUNDS]
        means.append(mean_curve(judged, times, bounds))
    return tuple(float(mean) for mean in np.mean(means, axis=0))
