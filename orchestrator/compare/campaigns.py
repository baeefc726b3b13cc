"""A candidate campaign against a baseline: one row per trial and threshold, with a verdict."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from orchestrator.analysis.capacity import Search, is_probe, searches_of, words_without_rate
from orchestrator.analysis.loading import load_trials
from orchestrator.analysis.table import check_interval
from orchestrator.analysis.trial_data import TrialData
from orchestrator.compare.baseline import SLOW_DOWNS, Baseline, BaselineTrial, read_baseline, stored_sides
from orchestrator.compare.differences import (
    LOAD_DIFFERS,
    Change,
    changes,
    closest,
    differences,
    differing_load,
    load_of,
    partners_by,
    stack_of,
)
from orchestrator.compare.rows import FAILED, MISSING, NO_VERDICT, SAME, WORSE, Compared, judged_rows, measured, refused, unjudged
from orchestrator.compare.sides import TORN, by_match_key, described, load_repeats, partners, reduce, torn
from orchestrator.configuration.analysis import AnalysisConfig
from orchestrator.configuration.composition import override_analysis
from orchestrator.contracts import InputError
from orchestrator.stats.pair import Design
from orchestrator.storage.layout import CAMPAIGN
from orchestrator.storage.reader import Campaign, open_campaign

# Exit codes of the gate.
PASSED, ALARM, UNDECIDED = 0, 1, 3
SEVERITY = (WORSE, FAILED, MISSING, NO_VERDICT, "better", SAME)


def compared_capacities(before: Campaign, after: Campaign, metrics: Sequence[str]) -> tuple[tuple[Search, Search], ...]:
    """Return the searches that both campaigns have. Raises InputError for files that cannot be read."""
    if not all(any(is_probe(planned.trial) for planned in campaign.record.trials) for campaign in (before, after)):
        return ()
    mine, theirs = (
        {names_of_search(search): search for search in searches_of(load_trials(campaign, metrics)) if search.rates and search.asked}
        for campaign in (before, after)
    )
    return tuple((search, theirs[names]) for names, search in mine.items() if names in theirs)


def names_of_search(search: Search) -> tuple[str, ...]:
    """Return model, task, system, runtime, batch and load of a search, and what it asks."""
    trial, asked = search.like, search.asked
    assert asked is not None
    what = (trial.model.name, trial.task.name, trial.system.name, trial.runtime.name, str(trial.measurement.batch))
    return (*what, words_without_rate(trial.load), f"{asked.deadline.label}, {100 * asked.keep:g} %")


@dataclass(frozen=True)
class Comparison:
    """Two campaigns side by side, what matters most first.

    before
        the baseline: one campaign, or the latest of several, which are its ``earlier``.
    only_after
        match keys that the baseline does not have.
    min_effect
        what the gate must be able to find; None where no gate was asked for.
    paired, in_one_process, differing
        whether both were measured in pairs with each other, whether without processes of their own (``cluster=inline``), and the settings
        in which they then differ.
    capacities
        searches of `capacity` that both have.
    trials
        how many the candidate has, without their repeats.
    commands
        the words that measured either, the baseline where that is a campaign.
    """

    before: Baseline
    after: Baseline
    rows: tuple[Compared, ...]
    only_after: tuple[str, ...]
    changes: tuple[Change, ...]
    earlier: tuple[Baseline, ...] = ()
    min_effect: float | None = None
    paired: bool = False
    in_one_process: bool = False
    differing: tuple[str, ...] = ()
    capacities: tuple[tuple[Search, Search], ...] = ()
    trials: int = 0
    commands: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())

    @property
    def with_itself(self) -> bool:
        """Whether name and time of the candidate are those of a campaign of the baseline."""
        return self.after.known_by in [one.known_by for one in self.earlier]

    @property
    def apart(self) -> bool:
        return any(row.apart for row in self.rows)

    def exit_code(self, allow_no_verdict: bool = False) -> int:
        """Return what the gate says of the campaigns: passed, alarm, or undecided, as whatever was measured apart is."""
        kinds = {row.kind for row in self.rows}
        if kinds & {FAILED, MISSING, WORSE}:
            return ALARM
        return UNDECIDED if self.apart or (NO_VERDICT in kinds and not allow_no_verdict) else PASSED


def compare_places(baseline: Path, candidate: Path, overrides: Sequence[str], **asked: Any) -> Comparison:
    """Compare the campaign of one directory with a baseline, a directory or a file of ``export baseline``, as `compare` does.

    ``overrides`` are keys of the analysis, in place of the stored ones. Raises InputError.
    """
    if baseline.suffix == ".json" and not baseline.exists():
        raise InputError(
            f"{baseline}: there is no such file; write it with `export baseline {baseline} DIR`, or name a results directory",
            "not_found",
            value=baseline,
        )
    before = read_baseline(baseline) if baseline.is_file() and baseline.name != CAMPAIGN else open_campaign(baseline)
    stored = before.analysis if isinstance(before, Baseline) else before.record.config.analysis
    return compare(before, open_campaign(candidate), override_analysis(stored, overrides), **asked)


def compare(
    before: Campaign | Baseline,
    after: Campaign,
    analysis: AnalysisConfig,
    *,
    power: bool = False,
    min_effect: float | None = None,
    by: Sequence[str] = (),
) -> Comparison:
    """Compare every trial of a baseline with its counterpart.

    Thresholds are the baseline's: per trial the primary percentile of its own total times, and the user's absolute ones. All
    of them are one family, in which the probability of any false verdict is held to 5 %. The timings of one match key at a time are in
    memory.

    Parameters
    ----------
    power
        whether to find slow-downs that would be found.
    min_effect
        a share of all times: trials in which no slow-down of this size would be found have no verdict, unless a difference is shown. None:
        no gate is asked for.
    by
        settings, such as ``model.slower``: trials that differ in these alone belong together, whatever their weights. Pairs need none.

    Raises
    ------
    InputError
        for a baseline without trials or with the candidate among its campaigns, one that lacks a threshold asked for, and files that
        cannot be read.
    """
    theirs = by_match_key(after)
    mine = by_match_key(before) if isinstance(before, Campaign) else {}
    whole = before.campaigns if isinstance(before, Baseline) else (described(before, analysis),)
    candidate = described(after, analysis)
    paired_with = pairs_of(before, after) if isinstance(before, Campaign) else {}
    first_of = {key: repeats[0].trial for key, repeats in theirs.items()}
    trials = {trial.match_key: trial.trial for one in whole for trial in one.trials} | {key: one[0].trial for key, one in mine.items()}
    partner_of = paired_with or (partners_by(by, trials, first_of) if by else {})
    known = {partner_of.get(key, key) for key in trials}
    unmatched = {key: trial for key, trial in first_of.items() if key not in known}
    nearest = closest({key: trial for key, trial in trials.items() if partner_of.get(key, key) not in theirs}, unmatched)
    rows: list[Compared] = []
    differing: dict[str, None] = {}
    stacks = []
    for trial, loaded_before, design in _sides(before, after, paired_with, analysis, power or min_effect is not None):
        repeats = theirs.get(partner_of.get(trial.match_key, trial.match_key), [])
        alike = theirs.get(nearest.get(trial.match_key, ""), [None])
        row = refused(trial, repeats, alike[0])
        if row is not None:
            rows.append(row)
            continue
        if design == "pairs":
            done = {planned.trial.repeat for planned in mine[trial.match_key] if planned.state == "done"}
            repeats = [planned for planned in repeats if planned.trial.repeat in done]
        loaded = load_repeats(after, repeats, analysis.metrics)
        stored = [len(one.rounds) for campaign in whole for one in campaign.trials if one.match_key == trial.match_key and one.rounds]
        fewest = min(stored, default=0)
        if design == "earlier campaigns" and len(repeats) < fewest:
            why = f"{len(repeats)}, and its campaigns have {fewest}"
            rows.append(unjudged(trial, f"{NO_VERDICT}: fewer repeats than the baseline", why))
            continue
        differing.update(dict.fromkeys(differences(trial.trial, repeats[0].trial) if repeats and (by or design == "pairs") else ()))
        load = differing_load(trial.load, load_of(loaded))
        is_torn = design == "pairs" and isinstance(before, Campaign) and torn((before, after), loaded_before, loaded)
        marks = [*([TORN] if is_torn else []), *([LOAD_DIFFERS] if load else [])]
        found = measured(trial, loaded_before, loaded, len(repeats), design, two_models=bool(by) or design == "pairs")
        rows += (replace(row, flags=(*row.flags, *marks)) for row in found)
        stack_before = trial.stack | {name: (text,) for name, (text, _) in load.items()}
        stack = stack_of(data.record for data in loaded) | {name: (text,) for name, (_, text) in load.items()}
        stacks.append((trial.trial.system.name, stack_before, stack))
    if not rows:
        raise InputError(f"the baseline {whole[0].name} holds no trial: name a campaign that has some", "no_data")
    if len(whole) > 1 and candidate.known_by in [one.known_by for one in whole]:
        raise InputError(
            f"{candidate.measured_when}, is one of the {len(whole)} campaigns of the baseline: compare another candidate", "incomparable"
        )
    judged = sorted(
        judged_rows(rows, whole[0].slow_downs or SLOW_DOWNS, min_effect),
        key=lambda row: (SEVERITY.index(row.kind), row.difference.difference if row.difference is not None else 0.0),
    )
    for row in judged:
        for difference in filter(None, (row.difference, row.samples_like_these)):
            label = row.threshold.label if row.threshold is not None else "no threshold"
            where = f"difference of trial {row.match_key} ({label})"
            check_interval(where, difference.low, difference.difference, difference.high)
    return Comparison(
        before=whole[-1],
        after=candidate,
        rows=tuple(judged),
        only_after=tuple(unmatched),
        changes=changes(whole[-1], candidate, stacks),
        earlier=whole,
        min_effect=min_effect,
        paired=bool(paired_with),
        in_one_process=after.record.config.cluster.name == "inline",
        differing=tuple(differing),
        capacities=compared_capacities(before, after, analysis.metrics) if isinstance(before, Campaign) else (),
        trials=len(theirs),
        commands=(before.record.command if isinstance(before, Campaign) else (), after.record.command),
    )


def pairs_of(before: Campaign, after: Campaign) -> dict[str, str]:
    """Return the match key in the second campaign of each in the first; empty unless both were measured in pairs with each other."""
    mine, theirs = before.record.pairing, after.record.pairing
    if mine is None or theirs is None or mine.id != theirs.id or mine.side == theirs.side:
        return {}
    return partners(by_match_key(before), by_match_key(after))


def _sides(
    before: Campaign | Baseline, after: Campaign, partner_of: Mapping[str, str], analysis: AnalysisConfig, power: bool
) -> Iterator[tuple[BaselineTrial, Sequence[TrialData], Design | None]]:
    """Yield the trials of a baseline, with their timings where it has them, and how its repeats belong to the candidate's."""
    if isinstance(before, Baseline):
        yield from ((trial, (), design) for trial, design in stored_sides(before, analysis))
        return
    theirs, paired = by_match_key(after), bool(partner_of)
    for key, repeats in by_match_key(before).items():
        done = {planned.trial.repeat for planned in theirs.get(partner_of.get(key, key), ()) if planned.state == "done"}
        loaded = load_repeats(before, [one for one in repeats if not paired or one.trial.repeat in done], analysis.metrics)
        yield reduce(repeats, loaded, analysis, slowed=power and paired), loaded, "pairs" if paired else None
