"""A candidate campaign against a baseline: one row per trial and threshold, with a verdict."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from orchestrator.analysis.law import check_interval
from orchestrator.analysis.trial_data import TrialData
from orchestrator.compare.baseline import Baseline, BaselineTrial
from orchestrator.compare.rows import FAILED, MISSING, NO_VERDICT, WORSE, Compared, measured, refused
from orchestrator.compare.sides import SLOW_DOWNS, Change, by_match_key, changes, described, load_repeats, reduce, stack_of
from orchestrator.configuration.config import AnalysisConfig
from orchestrator.contracts import InputError
from orchestrator.stats.gate import gate
from orchestrator.stats.thresholds import primary_threshold
from orchestrator.storage.reader import Campaign

PASSED, ALARM, UNDECIDED = 0, 1, 3
"""Exit codes of the gate."""
SEVERITY = (WORSE, FAILED, MISSING, NO_VERDICT, "better", "no difference shown")


@dataclass(frozen=True)
class Comparison:
    """Two campaigns side by side, what matters most first. ``only_after`` are match keys that the baseline does not have."""

    before: Baseline
    after: Baseline
    rows: tuple[Compared, ...]
    only_after: tuple[str, ...]
    changes: tuple[Change, ...]

    def exit_code(self, allow_no_verdict: bool = False) -> int:
        """Return what the gate says of the campaigns: passed, alarm, or undecided."""
        kinds = {row.kind for row in self.rows}
        if kinds & {WORSE, FAILED, MISSING}:
            return ALARM
        return UNDECIDED if NO_VERDICT in kinds and not allow_no_verdict else PASSED


def compare(before: Campaign | Baseline, after: Campaign, analysis: AnalysisConfig, *, power: bool = False) -> Comparison:
    """Compare every trial of a baseline with its counterpart.

    Thresholds are the baseline's: per trial the primary percentile of its own total times, and the user's absolute ones. All
    of them are one family, in which the probability of any false ``worse`` is held to 5 %. ``power`` asks for slow-downs that
    would be found; the timings of one match key at a time are in memory.

    Raises
    ------
    InputError
        for a baseline without trials, one that lacks a threshold asked for, and files that cannot be read.
    """
    theirs = by_match_key(after)
    known = {trial.match_key for trial in (before.trials if isinstance(before, Baseline) else before.record.trials)}
    unmatched = {key: repeats for key, repeats in theirs.items() if key not in known}
    rows: list[Compared] = []
    stacks = []
    for trial, loaded_before in _sides(before, analysis, power):
        repeats = theirs.get(trial.match_key, [])
        row = refused(trial, repeats, unmatched)
        if row is not None:
            rows.append(row)
            continue
        loaded = load_repeats(after, repeats, analysis.metrics)
        rows += measured(trial, loaded_before, loaded, analysis.seed, len(repeats))
        stacks.append((trial.trial.system.name, trial.stack, stack_of(data.record for data in loaded)))
    whole = before if isinstance(before, Baseline) else described(before, analysis)
    candidate = described(after, analysis)
    if not rows:
        raise InputError(f"the baseline {whole.name} holds no trial: name a campaign that has some")
    judged = sorted(_judged(rows, whole.slow_downs or SLOW_DOWNS), key=_severity)
    _check(judged)
    return Comparison(whole, candidate, tuple(judged), tuple(unmatched), changes(whole, candidate, stacks))


def _sides(before: Campaign | Baseline, analysis: AnalysisConfig, power: bool) -> Iterator[tuple[BaselineTrial, Sequence[TrialData]]]:
    """Yield the trials of a baseline, with their timings where it has them."""
    if isinstance(before, Baseline):
        chosen = _stored_thresholds(before, analysis)
        for trial in before.trials:
            kept = tuple(stored for stored in trial.thresholds if stored.origin == "reference" or stored.ns in chosen)
            yield trial.model_copy(update={"thresholds": kept}), ()
        return
    for repeats in by_match_key(before).values():
        loaded = load_repeats(before, repeats, analysis.metrics)
        yield reduce(repeats, loaded, analysis, slowed=power), loaded


def _stored_thresholds(before: Baseline, analysis: AnalysisConfig) -> set[int]:
    """Return the absolute thresholds in ns that are asked for. Raises InputError if a file has no figures at one."""
    stored = before.analysis
    if analysis.primary != stored.primary:
        raise InputError(
            f"analysis.primary={analysis.primary}: the baseline file was written at {stored.primary or 'p95'}; "
            "compare with the campaign's directory, or export the baseline again"
        )
    wanted, known = ({threshold.ns: threshold.label for threshold in one.thresholds} for one in (analysis, stored))
    if lacking := [label for ns, label in wanted.items() if ns not in known]:
        raise InputError(
            f"analysis.thresholds_ms: the baseline file has no figures at {lacking[0]}; compare with the campaign's directory, "
            "or export the baseline again"
        )
    primary = primary_threshold(stored.primary, None)
    return {*wanted, *([] if primary is None else [primary.ns])}


def _judged(rows: Sequence[Compared], slow_downs: Sequence[float]) -> Iterator[Compared]:
    """Yield the rows with the verdict of their repeats; every trial at every threshold is a member of one family."""
    names = {index: str(index) for index, row in enumerate(rows) if row.threshold is not None}
    found = gate(
        {name: rows[index].means_before for index, name in names.items()},
        {name: rows[index].means for index, name in names.items()},
        resolutions={name: rows[index].resolution for index, name in names.items()},
    )
    for index, row in enumerate(rows):
        verdict = found.get(names.get(index, ""))
        if verdict is None:
            yield row
        else:
            slow_down = _slow_down(row.slowed, slow_downs, verdict.detectable_drop)
            yield replace(row, outcome=verdict.outcome, verdict=verdict, slow_down=slow_down)


def _check(rows: Sequence[Compared]) -> None:
    """Raise BrokenInterval if a difference lies outside its own interval."""
    for row in rows:
        for found in (row.verdict, row.scopes.this_data_set, row.scopes.samples_like_these):
            if found is not None:
                label = row.threshold.label if row.threshold is not None else "no threshold"
                check_interval(f"difference of trial {row.match_key} ({label})", found.low, found.difference, found.high)


def _slow_down(slowed: Sequence[float], slow_downs: Iterable[float], drop: float) -> float | None:
    """Return the first slow-down that costs as much quality as a drop; None if none does, or none was looked at."""
    lost = [slowed[0] - quality for quality in slowed]
    return next((share for share, cost in zip(slow_downs, lost, strict=bool(lost)) if cost >= drop), None)


def _severity(row: Compared) -> tuple[int, float]:
    return SEVERITY.index(row.kind), row.verdict.difference if row.verdict is not None else 0.0
