"""The trials of a baseline file at the thresholds asked for, from one campaign or from several of other times."""

from collections.abc import Iterator, Sequence

import numpy as np

from orchestrator.compare.baseline import Baseline, BaselineThreshold, BaselineTrial
from orchestrator.compare.sides import bounds_if_slowed
from orchestrator.configuration.analysis import AnalysisConfig
from orchestrator.contracts import InputError
from orchestrator.stats.constants import FEWEST_REPEATS
from orchestrator.stats.pair import Design
from orchestrator.stats.thresholds import Threshold, primary_threshold, primary_threshold_of

AGAIN = "compare with the campaign's directory, or export the baseline again"


def stored_sides(before: Baseline, analysis: AnalysisConfig) -> Iterator[tuple[BaselineTrial, Design | None]]:
    """Yield the trials of a baseline file at the thresholds that ``analysis`` asks for, and how their figures are tested.

    Where at least 3 campaigns have a trial, its figures are the means of these campaigns; else the repeats of the latest that has it, which
    nothing tests. The first campaign that has it gives its thresholds.

    Raises
    ------
    InputError
        if an older file has no figures at a threshold.
    """
    trials: dict[str, list[BaselineTrial]] = {}
    for campaign in before.campaigns:
        for trial in campaign.trials:
            trials.setdefault(trial.match_key, []).append(trial)
    for stored in trials.values():
        measured = [trial for trial in stored if trial.thresholds]
        if not measured:
            yield stored[-1], None
            continue
        alike = [trial for trial in measured if (trial.metric, trial.samples) == (measured[-1].metric, measured[-1].samples)]
        thresholds = _asked(alike[0], before.analysis, analysis)
        found = [[_figures(trial, threshold) for threshold in _common(thresholds, alike)] for trial in alike]
        latest = alike[-1]
        if len(alike) < FEWEST_REPEATS:
            yield latest.model_copy(update={"thresholds": tuple(found[-1])}), None
            continue
        kept = [
            of_latest.model_copy(update={"means": tuple(float(np.mean(of_campaign[place].means)) for of_campaign in found)})
            for place, of_latest in enumerate(found[-1])
        ]
        rounds = tuple(min(trial.rounds) for trial in alike)
        load = {name: tuple(figure for trial in alike for figure in trial.load.get(name, ())) for name in latest.load}
        yield latest.model_copy(update={"thresholds": tuple(kept), "rounds": rounds, "load": load}), "earlier campaigns"


def fewest_repeats(before: Baseline, match_key: str) -> int:
    """Return the fewest repeats that any campaign of a baseline file has of a trial."""
    counts = [len(trial.rounds) for one in before.campaigns for trial in one.trials if trial.match_key == match_key and trial.rounds]
    return min(counts, default=0)


def _asked(first: BaselineTrial, stored: AnalysisConfig, analysis: AnalysisConfig) -> list[Threshold]:
    """Return the thresholds that are asked for, the primary one first."""
    known = {threshold.ns: threshold.threshold for threshold in first.thresholds}
    chosen = {threshold.ns for threshold in stored.thresholds}
    if analysis.primary == stored.primary:
        absolute = primary_threshold(stored.primary, None)
        found = [one for one in known.values() if one.origin == "reference" or (absolute is not None and one.ns == absolute.ns)]
    elif first.curve is None:
        raise InputError(f"analysis.primary={analysis.primary}: the baseline file was written at {stored.primary or 'p95'}; {AGAIN}")
    else:
        primary = primary_threshold_of(analysis.primary, first.curve.time_at)
        found = [] if primary is None else [primary]
    for threshold in analysis.thresholds:
        if threshold.ns not in chosen | known.keys() and first.curve is None:
            raise InputError(f"analysis.thresholds_ms: the baseline file has no figures at {threshold.label}; {AGAIN}")
        found.append(threshold)
    return list({threshold.ns: threshold for threshold in reversed(found)}.values())[::-1]


def _common(thresholds: Sequence[Threshold], trials: Sequence[BaselineTrial]) -> list[Threshold]:
    """Return thresholds at which every campaign has exact figures: the same, or the next fixed bound of their curves."""
    found: dict[int, Threshold] = {}
    for threshold in thresholds:
        curve = next((trial.curve for trial in trials if not _has(trial, threshold.ns)), None)
        moved = threshold if curve is None else _moved(threshold, curve.known_near(threshold.ns))
        if not all(_has(trial, moved.ns) for trial in trials):
            raise InputError(f"the baseline file has no figures at {threshold.label} of every campaign; {AGAIN}")
        found.setdefault(moved.ns, moved)
    return list(found.values())


def _has(trial: BaselineTrial, threshold_ns: int) -> bool:
    stored = any(threshold.ns == threshold_ns for threshold in trial.thresholds)
    return stored or (trial.curve is not None and trial.curve.knows(threshold_ns))


def _moved(threshold: Threshold, ns: int) -> Threshold:
    """Return a threshold at another time, which the label of an absolute one says."""
    label = f"{ns / 1e6:.4g} ms" if threshold.origin == "absolute" else threshold.label
    return Threshold(label, ns, threshold.origin)


def _figures(trial: BaselineTrial, threshold: Threshold) -> BaselineThreshold:
    """Return a trial's figures at a threshold: those stored, else those of its curve."""
    for stored in trial.thresholds:
        if stored.ns == threshold.ns:
            return stored
    curve = trial.curve
    assert curve is not None
    slowed = tuple(float(np.mean(curve.at(bound))) for bound in bounds_if_slowed(threshold))
    origin = "absolute" if threshold.origin == "absolute" else "reference"
    return BaselineThreshold(label=threshold.label, ns=threshold.ns, origin=origin, means=curve.at(threshold.ns), slowed=slowed)
