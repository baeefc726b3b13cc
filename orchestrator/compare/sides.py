"""One side of a comparison: the repeats of each match key, reduced to what a baseline file holds."""

import copy
import shlex
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from orchestrator.analysis.capacity import is_probe
from orchestrator.analysis.load import load_flags
from orchestrator.analysis.loading import load_trials
from orchestrator.analysis.quality import JudgedMean, mean_curve
from orchestrator.analysis.trial_data import TrialData
from orchestrator.compare.baseline import (
    COARSE_STEP,
    SLOW_DOWNS,
    STEP,
    Baseline,
    BaselineThreshold,
    BaselineTrial,
    StoredCurve,
    bounds_if_slowed,
    bounds_up_to,
    read_baseline,
)
from orchestrator.compare.differences import load_of, stack_of
from orchestrator.configuration.analysis import AnalysisConfig
from orchestrator.contracts import InputError, by_key
from orchestrator.report.pasted import ORCHESTRATOR, pair_again
from orchestrator.stats.thresholds import Threshold, primary_threshold
from orchestrator.storage.files import write_json
from orchestrator.storage.layout import CAMPAIGN
from orchestrator.storage.reader import Campaign, open_campaign
from orchestrator.storage.records import PlannedTrial
from orchestrator.storage.stored_form import finite

# Rounds of a repeat that are made slower for a metric that is no mean, which takes long to compute at 61 thresholds.
FEW_ROUNDS = 10
# Decimals of a stored quality: sums may differ by more.
DIGITS = 12


def write_baseline(campaign: Campaign, analysis: AnalysisConfig, path: Path) -> None:
    """Write what `compare` needs of a campaign, at the thresholds of ``analysis``, into one small file."""
    write_json(path, baseline_of(campaign, analysis).model_dump(mode="json"))


def add_to_baseline(campaign: Campaign, path: Path) -> Baseline:
    """Add a further campaign to a baseline file, at the thresholds that the file has, and return all of it.

    Raises InputError for a file that is no baseline, and for a campaign that it has already.
    """
    before = read_baseline(path)
    frozen = {
        trial.match_key: tuple(threshold.threshold for threshold in trial.thresholds)
        for campaign_before in reversed(before.campaigns)  # the first that has a trial gives its thresholds
        for trial in campaign_before.trials
        if trial.thresholds
    }
    one_more = baseline_of(campaign, before.analysis, frozen)
    if any(one_more.known_by == earlier.known_by for earlier in before.campaigns):
        raise InputError(f"{path} has {one_more.measured_when} already: add another campaign", "exists")
    whole = before.model_copy(update={"added": (*before.added, one_more)})
    write_json(path, whole.model_dump(mode="json"))
    return whole


def baseline_of(campaign: Campaign, analysis: AnalysisConfig, frozen: Mapping[str, Sequence[Threshold]] | None = None) -> Baseline:
    """Return a campaign as a baseline; the timings of one match key at a time are in memory.

    ``frozen`` are thresholds by match key; trials that are missing have their own.
    """
    trials = tuple(
        reduce(
            planned, load_repeats(campaign, planned, analysis.metrics), analysis, slowed=True, frozen=(frozen or {}).get(key), curve=True
        )
        for key, planned in by_match_key(campaign).items()
    )
    return described(campaign, analysis).model_copy(update={"trials": trials, "slow_downs": SLOW_DOWNS})


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
    """Return the repeats of each match key, in the order of the plan; rates of a search, which no other campaign shares, are left out."""
    return by_key((one for one in campaign.record.trials if not is_probe(one.trial)), lambda one: one.match_key)


def partners(keys: Iterable[str], others: Iterable[str]) -> dict[str, str]:
    """Return the partner of each match key of two campaigns measured in pairs: the equal one if all have one, else first and first."""
    mine, theirs = list(dict.fromkeys(keys)), list(dict.fromkeys(others))
    return dict(zip(mine, mine if set(mine) == set(theirs) else theirs, strict=False))


def going_on(campaign: Campaign) -> str:
    """Return the command that goes on with a campaign; with a side of a pair, that of both.

    `resume` would measure a side by itself, and nothing could be said of the pair.
    """
    if campaign.record.pairing is None:
        return f"{ORCHESTRATOR} resume {shlex.quote(str(campaign.directory))}"
    folder = campaign.directory.resolve().parent
    begun = [side for side in (folder / "a", folder / "b") if (side / CAMPAIGN).exists()]
    commands = [open_campaign(side).record.command for side in begun]
    words = (pair_again(*commands) if len(commands) == 2 else None) or "A B KEY=VALUE"
    pairs = len({planned.trial.repeat for planned in campaign.record.trials})
    return f"{ORCHESTRATOR} compare --run {words} --pairs {pairs} --to {shlex.quote(str(folder))}"


LONGEST_GAP = timedelta(minutes=10)
TORN = "torn pair"


def torn(campaigns: Sequence[Campaign], before: Iterable[TrialData], after: Iterable[TrialData]) -> bool:
    """Return whether any two repeats that are a pair were not measured one right after the other, as after an interruption.

    Then another trial of either campaign began between them, or more than 10 minutes passed.
    """
    starts = [record.started_at for campaign in campaigns for record in campaign.trials() if record.started_at is not None]
    spans: dict[int, list[tuple[datetime, datetime]]] = {}
    for data in (*before, *after):
        if data.record.started_at is not None and data.record.ended_at is not None:
            spans.setdefault(data.record.trial.repeat, []).append((data.record.started_at, data.record.ended_at))
    for pair in spans.values():
        (first, ended), (second, _) = min(pair), max(pair)
        if second - ended > LONGEST_GAP or any(first < start < second for start in starts):
            return True
    return False


def load_repeats(campaign: Campaign, repeats: Iterable[PlannedTrial], metrics: Sequence[str] = ()) -> list[TrialData]:
    """Return those repeats that are done, with their timings.

    Raises InputError for a metric whose late answers have a score of their own, which no baseline holds.
    """
    chosen = tuple(planned for planned in repeats if planned.state == "done")
    part = copy.copy(campaign)
    part.record = campaign.record.model_copy(update={"trials": chosen})
    loaded = load_trials(part, metrics)
    for data in loaded:
        if not data.judged(data.metric).plain:
            raise InputError(
                f"{data.trial_id}: compare takes metrics whose late answers score 0, and {data.metric} is another; use `report`",
                "unsupported",
                value=data.metric,
            )
    return loaded


def reduce(
    repeats: Sequence[PlannedTrial],
    loaded: Sequence[TrialData],
    analysis: AnalysisConfig,
    *,
    slowed: bool,
    frozen: Sequence[Threshold] | None = None,
    curve: bool = False,
) -> BaselineTrial:
    """Return the figures of one match key at its own thresholds, or at those ``frozen`` before.

    ``slowed`` asks for those of longer times too, ``curve`` for those at all other thresholds.
    """
    if not loaded:
        return BaselineTrial(match_key=repeats[0].match_key, trial=repeats[0].trial, not_done=not_done(repeats))
    ideal = mean_ideal(loaded)
    thresholds = () if ideal is None else frozen_thresholds(loaded, analysis) if frozen is None else tuple(frozen)
    data = loaded[0]
    return BaselineTrial(
        match_key=data.record.match_key,
        trial=data.record.trial,
        not_done=not_done(repeats),
        metric=data.metric,
        ideal=ideal,
        samples=data.times[data.clock].shape[1],
        rounds=tuple(len(one.times[one.clock]) for one in loaded),
        thresholds=tuple(
            BaselineThreshold(
                label=threshold.label,
                ns=threshold.ns,
                origin="absolute" if threshold.origin == "absolute" else "reference",
                means=tuple(of_repeats),
                slowed=_at_other_speeds(loaded, bounds_if_slowed(threshold)) if slowed else (),
            )
            for threshold, of_repeats in zip(thresholds, means_at(loaded, thresholds), strict=True)
        ),
        digests=digests_of(loaded),
        stack=stack_of(one.record for one in loaded),
        flags=flags_of_repeats(loaded, thresholds),
        load=load_of(loaded),
        curve=curve_of(loaded) if curve and thresholds else None,
    )


def curve_of(loaded: Sequence[TrialData]) -> StoredCurve:
    """Return mean tail quality of each repeat at the fixed bounds within which more inferences ended than within the one before."""
    times = np.concatenate([data.inferences[data.clock].ravel() for data in loaded])
    means = all(isinstance(data.judged(data.metric), JudgedMean) for data in loaded)
    step = STEP if means else COARSE_STEP
    ended = times[np.isfinite(times)]
    fixed = bounds_up_to(float(ended.max()), step)
    places, counts = np.unique(np.searchsorted(fixed, ended), return_counts=True)
    bounds = fixed[places]
    qualities = [mean_curve(data.judged(data.metric), data.times[data.clock], bounds.tolist()) for data in loaded]
    return StoredCurve(
        step=step,
        bounds_ns=tuple(bounds.tolist()),
        on_time=tuple(np.cumsum(counts).tolist()),
        inferences=times.size,
        qualities=tuple(tuple(of_repeat.round(DIGITS).tolist()) for of_repeat in qualities),
    )


def frozen_thresholds(loaded: Sequence[TrialData], analysis: AnalysisConfig) -> tuple[Threshold, ...]:
    """Return the thresholds that the trial of the baseline is held to, the primary one first.

    The primary one is the percentile of the total times of its inferences, all repeats pooled, so that every trial is judged where its
    speed matters; the candidate has no part in it. The user's absolute thresholds follow.
    """
    pooled = np.concatenate([data.inferences[data.clock].ravel() for data in loaded])
    primary = primary_threshold(analysis.primary, pooled)
    found = [*([] if primary is None else [primary]), *analysis.thresholds]
    return tuple({threshold.ns: threshold for threshold in reversed(found)}.values())[::-1]


def means_at(loaded: Sequence[TrialData], thresholds: Sequence[Threshold]) -> list[list[float]]:
    """Return mean tail quality on the total clock per threshold and repeat."""
    bounds = [threshold.ns for threshold in thresholds]
    curves = [mean_curve(data.judged(data.metric), data.times[data.clock], bounds) for data in loaded]
    return [[float(curve[index]) for curve in curves] for index in range(len(bounds))]


def mean_ideal(loaded: Sequence[TrialData]) -> float | None:
    """Return quality without a threshold, a mean over repeats; None if there is nothing to be right about."""
    return finite(float(np.mean([data.judged(data.metric).ideal() for data in loaded])))


def digests_of(loaded: Sequence[TrialData]) -> dict[str, tuple[str, ...]]:
    """Return the distinct digests of data and weights that the repeats had."""
    return {name: tuple(dict.fromkeys(str(data.record.digests.get(name)) for data in loaded)) for name in ("data", "model")}


def flags_of_repeats(loaded: Sequence[TrialData], thresholds: Sequence[Threshold]) -> tuple[str, ...]:
    """Return the flags of all the repeats, and under load those of their schedules, as the shortest threshold asks."""
    shortest = min(thresholds, key=lambda threshold: threshold.ns, default=None)
    return tuple(dict.fromkeys(flag for data in loaded for flag in (*data.flags, *load_flags(data, shortest))))


def not_done(repeats: Iterable[PlannedTrial]) -> tuple[str, ...]:
    """Return the repeats that have no result, each with its state and reason."""
    return tuple(
        f"repeat {planned.trial.repeat} {planned.state}" + (f": {planned.reason}" if planned.reason else "")
        for planned in repeats
        if planned.state != "done"
    )


def _at_other_speeds(loaded: Sequence[TrialData], bounds: Sequence[float]) -> tuple[float, ...]:
    """Return mean quality over the repeats at each bound in ns."""
    means = []
    for data in loaded:
        judged = data.judged(data.metric)
        times = data.times[data.clock] if isinstance(judged, JudgedMean) else data.times[data.clock][:FEW_ROUNDS]
        means.append(mean_curve(judged, times, bounds))
    return tuple(float(mean) for mean in np.mean(means, axis=0))
