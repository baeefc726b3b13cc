"""The verdict in words: which system keeps its quality at the tail, and by how much."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from orchestrator.analysis.campaign_analysis import CampaignAnalysis
from orchestrator.metrics.interface import PLAIN
from orchestrator.report.capacity import capacity_sentences, unsearched
from orchestrator.report.pasted import ORCHESTRATOR, Command, measured_again, plain_word
from orchestrator.report.standings import Ranking, Standing, by_model, rankings
from orchestrator.report.table import bound
from orchestrator.report.text import quality, trials_counted
from orchestrator.storage.vocabulary import UNFINISHED

REPEATED = "measurement.repeat=5"


def verdict(results: CampaignAnalysis, ranked: Sequence[Ranking] | None = None) -> Iterator[str]:
    """Yield what the campaign answers at the primary threshold: the best model, and the best and the last system of each.

    ``ranked`` is what `rankings` returns, if that is known already.
    """
    ranked = rankings(results) if ranked is None else ranked
    if not ranked:
        yield "No trial has a stored round."
    yield from capacity_sentences(results)
    for one in unsearched(ranked):
        yield from winners(one)
    yield from what_next(results, unsearched(ranked))
    yield from cautions(results)


def cautions(results: CampaignAnalysis) -> Iterator[str]:
    """Yield what must be known of all trials together."""
    yield from _different_data(results)
    yield from _shared_machines(results)
    yield from _imported(results)


def _different_data(results: CampaignAnalysis) -> Iterator[str]:
    """Say why trials of one task stand in several tables."""
    tasks = Counter(task for task, _ in {group.trials[0].group[:2] for group in results.groups})
    for task, count in tasks.items():
        if count > 1:
            yield f"Trials of {task} measured {count} different sets of data (their digests differ), and each set has tables of its own."


def _shared_machines(results: CampaignAnalysis) -> Iterator[str]:
    """Say that hosts counted as machines of their own although they are one: their trials ran at once and slowed each other down."""
    hosts: dict[str, set[str]] = {}
    for record in results.records:
        if record.placement:
            hosts.setdefault(str(record.placement.get("boot_id")), set()).add(str(record.placement.get("host")))
    if results.campaign.config.cluster.machines == "node":
        for together in (sorted(names) for names in hosts.values() if len(names) > 1):
            yield (
                f"The hosts {', '.join(together)} are one physical machine (one boot id). With cluster.machines=node they counted as "
                "machines of their own: their trials ran at the same time and slowed each other down."
            )


def _imported(results: CampaignAnalysis) -> Iterator[str]:
    """Say once what holds for imported trials: which figures their files support, and why not the others."""
    told = [
        str(sentence) for record in results.records if record.imported for sentence in record.facts.get("imported", {}).get("notes", ())
    ]
    yield from dict.fromkeys(told)


def winners(one: Ranking) -> Iterator[str]:
    """Yield which model and which system of a group keep most at its primary threshold, and by how much."""
    task = one.group.task
    primary = one.group.thresholds.primary
    if primary is None:
        yield f"{task}: {_no_threshold(one)}"
        return
    metric = one.group.trials[0].metric
    models = list(by_model(one.found))
    if len(models) > 1:
        yield _across_models(f"{task} within {bound(primary)}:", one, models)
    for systems in models:
        yield _across_systems(f"{task}, {systems[0].names['model']}, within {bound(primary)}:", metric, systems)


def _no_threshold(one: Ranking) -> str:
    """Say why trials have no common threshold, and how to set one."""
    reference = one.group.thresholds.reference
    if reference is None:
        return "no trial can be the reference, since each has failed, so there is no common threshold."
    data = next(data for data in one.group.trials if data.trial_id == reference.trial)
    late = int(np.count_nonzero(data.outcome))
    if not late:
        return "the reference has no time at the percentile asked for, so there is no common threshold."
    return (
        f"{late:,} of {data.outcome.size:,} answers of the reference {reference.trial} have no time, so that there is no common threshold "
        'at its percentile; set one in ms, such as analysis.primary="200 ms".'
    )


RESUME = Command(f"{ORCHESTRATOR} resume DIR  # DIR: the folder of this report")
"""What goes on with an unfinished campaign, wherever it lies."""


def what_next(results: CampaignAnalysis, ranked: Sequence[Ranking]) -> Iterator[str]:
    """Yield what to do next: end what was begun, else the repeats that would show what is not shown yet."""
    trials = results.campaign.trials
    left = [planned.state for planned in trials if planned.state in UNFINISHED]
    if not left or results.campaign.capacity is not None or results.campaign.pairing is not None:
        yield from repeats_needed(results, ranked)
        return
    states = ", ".join(f"{count} {state}" for state, count in Counter(left).items())
    yield f"This campaign is not finished: of {trials_counted(len(trials))}, {states}. First go on with it:"
    yield RESUME


def repeats_needed(results: CampaignAnalysis, ranked: Sequence[Ranking]) -> Iterator[str]:
    """Say that differences between single processes are not shown for others yet, and the commands that would show them."""
    single = [one for one in ranked if len(one.found) > 1 and all(system.processes == 1 for system in one.found)]
    if not single or results.campaign.capacity is not None:  # rates of one search are no trials to repeat
        return
    tasks = ", ".join(dict.fromkeys(one.group.task for one in single))
    start = f"{tasks}: each trial is one process. Whether fresh processes do the same, repeats show:"
    if all(data.record.imported for one in single for data in one.group.trials):
        yield f"{start} import repeats of the same names."
    elif results.commands:
        dropped = _dropped(results, single)
        yield f"{start[:-1]} (without {' and '.join(dropped)}, for which trials are flagged):" if dropped else start
        yield from dict.fromkeys(_repeated(words, results, dropped) for words in results.commands)
    else:
        yield f"{start} measure again with {REPEATED}."


PRIMARY = "analysis.primary="


TO_DROP = {"unpinned": "cluster=inline", "machine shared": "system.exclusive=false"}
"""Settings that cause flags, by how these begin: whoever measures again leaves them out."""


def _dropped(results: CampaignAnalysis, single: Sequence[Ranking]) -> list[str]:
    """Return the settings that are to be left out for the flags that they have caused."""
    flags = {flag for one in single for system in one.found for flag in system.flags}
    given = {word for words in results.commands for word in words}
    return [word for start, word in TO_DROP.items() if word in given and any(flag.startswith(start) for flag in flags)]


def _repeated(words: Sequence[str], results: CampaignAnalysis, dropped: Sequence[str]) -> Command:
    """Return the command that measures with repeats, and at the deadline that is in use, if another was used when it was measured.

    It lacks the words that are ``dropped``.
    """
    used = results.analysis.primary
    words = [word for word in words if word not in dropped]
    if used is None or used == results.campaign.config.analysis.primary:
        return measured_again(words, REPEATED)
    others = [word for word in words if not word.startswith(PRIMARY)]
    return measured_again(others, REPEATED, plain_word(f'{PRIMARY}"{used}"', f"{PRIMARY}VALUE"))


def _across_models(start: str, one: Ranking, models: Sequence[Sequence[Standing]]) -> str:
    """Say which model keeps most on its best system, and by how much, where that holds for samples like these; else that none does."""
    metric = one.group.trials[0].metric
    best, *others = (systems[0] for systems in models)
    told = [f"{systems[0].names['model']} ({_place(systems[0], systems)}) {metric} {_share(systems[0])}" for systems in models]
    said = "; ".join([*told[:3], *([f"{len(told) - 3} more"] if len(told) > 3 else [])])
    if one.like_these is None:
        return f"{start} models are not tested here: {said}."
    if any(not one.is_apart(best, other) for other in others):
        return f"{start} these {len(one.group.trials[0].references)} samples cannot tell models apart: {said}."
    first = f"{best.names['model']} ({_place(best, models[0])}) keeps the most, {metric} {_share(best)}"
    return f"{start} {first}, and would on other samples like these; next is {told[1]}, {_by_how_much(best, others[0])}."


def _share(one: Standing) -> str:
    """Write what is kept with its share of ideal quality."""
    return f"{quality(one.mean)}, {round(100 * one.kept, 1) + 0.0:.1f} % of its ideal"


def _across_systems(start: str, metric: str, systems: Sequence[Standing]) -> str:
    """Say which system keeps most, what is not told apart from it, the next, by how much, and the last."""
    best, last = systems[0], systems[-1]
    if len(systems) > 1 and best.level == last.level:
        return f"{start} all {len(systems)} systems keep {_kept(best, metric)}."
    sentence = f"{start} {_place(best, systems)} keeps {_kept(best, metric)}"
    if len(systems) == 1:
        return f"{sentence}."
    below = [one for one in systems[1:] if not one.ties(best)]
    if not below:
        down_to = f"{_place(last, systems)}, which keeps {_mean(last)}"
        return f"{sentence}, the most{_as_much(systems)}; none is told apart from it, down to {down_to}."
    alike = [one for one in systems[1:] if one.ties(best)]
    return f"{sentence}, the most{_as_much(systems)}{''.join(_not_below(alike, best, systems))}. {_next(best, below, systems)}."


def _as_much(systems: Sequence[Standing]) -> str:
    """Say how many keep exactly as much as the best, and which deadline then puts it first."""
    best = systems[0]
    count = sum(one.level == best.level for one in systems)
    kind = next((name for name, ns in zip(("certified", "observed"), best.deadlines, strict=True) if math.isfinite(ns)), None)
    if count == 1:
        return ""
    return f" ({count} systems keep exactly as much{f'; its {kind} deadline is the shortest' if kind else ''})"


def _not_below(alike: Sequence[Standing], best: Standing, systems: Sequence[Standing]) -> Iterator[str]:
    """Yield which systems tie with the best, by a stored difference, and which only their intervals do not tell from it."""
    for compared, one_does, several_do in (
        (True, "ties with it", "tie with it"),
        (False, "is not told apart from it by their intervals", "are not told apart from it by their intervals"),
    ):
        names = [_place(one, systems) for one in alike if one.is_compared(best) == compared]
        if names:
            yield f"; {listed(names)} {one_does if len(names) == 1 else several_do}"


def _next(best: Standing, below: Sequence[Standing], systems: Sequence[Standing]) -> str:
    """Say which system is the first that does not tie with the best, by how much, and which is the last."""
    first, last = below[0], systems[-1]
    sentence = f"{_place(first, systems)} keeps {_mean(first)}{_of_its(first, best)}, {_by_how_much(best, first)}"
    return sentence if first is last else f"{sentence}; the last, {_place(last, systems)}, {_mean(last)}{_of_its(last, best)}"


def _of_its(one: Standing, best: Standing) -> str:
    return f" of its {quality(one.ideal)}" if one.ideal != best.ideal and one.scale == PLAIN else ""


def _by_how_much(best: Standing, other: Standing) -> str:
    return f"{100 * _less(best, other):.1f} % of ideal quality less{_difference(best, other)}"


def _difference(best: Standing, other: Standing) -> str:
    """Write the interval of the stored difference, rounded outward, of two whose own intervals overlap: it may tell them apart."""
    found = other.less.get(best.trials[0])
    overlap = best.low <= other.high and other.low <= best.high
    if found is None or not overlap or not other.is_compared(best) or other.scale != PLAIN:
        return ""
    low, high = found
    return f" (interval of the difference [{math.floor(low * 1000 + 1e-9) / 1000:.3f}, {math.ceil(high * 1000 - 1e-9) / 1000:.3f}])"


def _less(best: Standing, last: Standing) -> float:
    """Return what the last one keeps less, as a share of what the best one would keep without a threshold."""
    ideal = best.scale.gained(best.ideal)
    return (best.scale.gained(best.mean) - best.scale.gained(last.mean)) / ideal if ideal else 0.0


def listed(names: Sequence[str], last: str = ", ") -> str:
    """Return names with commas, of many the first three."""
    if len(names) > 3:
        return f"{', '.join(names[:3])} and {len(names) - 3} more"
    return last.join(part for part in (", ".join(names[:-1]), names[-1]) if part)


def _place(one: Standing, others: Sequence[Standing]) -> str:
    """Name a system and runtime, and batch and other settings where these tell it from the others."""
    place = f"{one.names['system']} with {one.names['runtime']}"
    if len({other.names["batch"] for other in others}) > 1:
        place += f", batch {one.names['batch']}"
    return f"{place}, {one.names['settings']}" if one.names["settings"] else place


def _kept(one: Standing, metric: str) -> str:
    """Write what is kept and of how much, with the number of processes, and that there are flags."""
    several = f", mean of {one.processes} processes" if one.processes > 1 else ""
    flagged = f", flagged: {listed(one.flags)}" if one.flags else ""
    if one.scale == PLAIN:
        return f"{quality(one.mean)} of {quality(one.ideal)} ({metric}{several}{flagged})"
    figures = f"{metric} {quality(one.mean)}, without a threshold {quality(one.ideal)}"
    return f"{_mean(one)} of what there is to keep ({figures}{several}{flagged})"


def _mean(one: Standing) -> str:
    """Write what is kept: quality where more is better and nothing is 0, else the share of what there is to keep."""
    return quality(one.mean) if one.scale == PLAIN else f"{100 * one.kept:.1f} %"
