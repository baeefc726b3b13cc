"""The answer in words: which system and which model keep most at the primary threshold, what ties, and how far the others are behind."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from orchestrator.analysis.groups import Group
from orchestrator.analysis.ranking import Ranking, Standing, by_model, order_of
from orchestrator.metrics.interface import PLAIN
from orchestrator.report.scopes import sample_count, scopes_of, sentence, told_of_samples
from orchestrator.report.standing_words import counted, difference, listed, mean_kept, share_less
from orchestrator.report.table import bound
from orchestrator.report.text import milliseconds, quality
from orchestrator.stats.latency import percentile_inverted_cdf
from orchestrator.stats.thresholds import NS_PER_MS

NO_P95 = " (more than 5 % of answers have no time)"


def winners(one: Ranking) -> Iterator[str]:
    """Yield which model and which system of a group keep most at its primary threshold, and by how much."""
    task = one.group.task
    primary = one.group.thresholds.primary
    if primary is None or not one.found:
        yield f"{task}: {_no_deadline(one.group)}"
        return
    metric = one.group.trials[0].metric
    models = list(by_model(one.found))
    if len(models) > 1:
        yield _across_models(f"{task} within {bound(primary)}:", one, models)
    for systems in models:
        start = systems[0].model if len(models) > 1 else f"{task}, {systems[0].model},"
        yield _across_systems(f"{start} within {bound(primary)}:", metric, systems)


def _no_deadline(group: Group) -> str:
    """Ask for a deadline in ms, near the times that were observed."""
    p95s = [percentile_inverted_cdf(data.served(group.clock), 95) for data in group.trials if data.served(group.clock).size]
    known = sorted(ns for ns in p95s if math.isfinite(ns))
    wanted = f"{float(f'{math.sqrt(known[0] * known[-1]) / NS_PER_MS:.2g}'):g}" if known else "VALUE"
    observed = f" (observed p95: {' to '.join(dict.fromkeys(milliseconds(ns) for ns in (known[0], known[-1])))})" if known else NO_P95
    what = "to rank systems" if len(group.systems()) > 1 else "to see what is kept within it"
    return f"""No common deadline: add 'analysis.primary="{wanted} ms"' {what}{observed}."""


def _across_models(start: str, one: Ranking, models: Sequence[Sequence[Standing]]) -> str:
    """Say which model keeps most on its best system, and whether that holds for other samples; a tie is said first."""
    metric = one.group.trials[0].metric
    best, *others = (systems[0] for systems in models)
    places = [_place(systems[0], systems) for systems in models]
    where = f"on {places[0]}, " if len(set(places)) == 1 else ""
    named = [f"{head.model}{'' if where else f' ({place})'}" for head, place in zip((best, *others), places, strict=True)]
    told = [f"{name} {metric} {_of_ideal(head)}" for name, head in zip(named, (best, *others), strict=True)]
    said = f"{where}{'; '.join([*told[:3], *([f'{len(told) - 3} more'] if len(told) > 3 else [])])}"
    if not one.tests_models:
        return f"{start} models were not tested against each other: {said}."
    tied, here_alone = one.models.tied, one.here_alone
    found, these = scopes_of(one), f"these {sample_count(one.group)} samples"
    elsewhere = sentence(told_of_samples(one.group, found.samples_like_these))
    if tied:
        keep = "keep" if len(here_alone) > 1 else "keeps"
        also = f" ({listed([other.model for other in here_alone])} {keep} less on them)" if here_alone else ""
        which = counted(1 + len(tied), len(models), "models")
        return f"{start} tie of {which}, no difference shown for {these}{also}: {said}. {elsewhere}"
    behind = f"{told[1]}, {_by_how_much(best, others[0])}"
    return f"{start} {where}{told[0]}, the most for {these}. Behind: {behind}. {elsewhere}"


def _of_ideal(one: Standing) -> str:
    """Write what is kept and of how much."""
    of_all = f" of its {quality(one.ideal)}" if one.scale == PLAIN else f", {round(100 * one.kept, 1) + 0.0:.1f} % of its ideal"
    return f"{quality(one.mean)}{of_all}"


def _across_systems(start: str, metric: str, systems: Sequence[Standing]) -> str:
    """Say which system keeps most, or what ties; then the first that is behind, by how much, and the last."""
    order = order_of(systems)
    best, alike, behind = order.best, order.tied, order.behind
    shared = [flag for flag in best.flags if len(systems) > 1 and all(flag in one.flags for one in systems)]
    if alike:
        said = _tie(best, alike, systems, metric, shared)
    else:
        most = ", the most" if behind else ""
        said = f"{_place(best, systems)} keeps {_kept(best, metric, _flagged([best], shared))}{most}"
    after = f" Behind: {_behind(best, behind, systems, shared)}." if behind else ""
    if order.untested:
        after += f" Not tested against it: {listed([_place(other, systems) for other in order.untested])}."
    whose = "Both" if len(systems) == 2 else f"All {len(systems)}"
    return f"{start} {said}.{after}{f' {whose} flagged: {listed(shared)}.' if shared else ''}"


def _tie(best: Standing, alike: Sequence[Standing], systems: Sequence[Standing], metric: str, shared: Sequence[str]) -> str:
    """Say how many systems tie, at what, how many of them exactly, and which they are."""
    tied = [best, *alike]
    exact = sum(one.level == best.level for one in tied)
    exactly = "" if exact == 1 else ", exactly" if exact == len(tied) else f", {exact} of them exactly"
    names = [_place(one, systems) for one in tied]
    names[0] += _first_by(best) if exact > 1 else ""
    flagged = _flagged(tied, shared).replace("flagged:", "flagged among them:")
    last = mean_kept(tied[-1])
    kept = _kept(best, metric, flagged, "" if last == mean_kept(best) else f" to {last}", exactly)
    return f"tie of {counted(len(tied), len(systems), 'systems')} at {kept}: {listed(names)}"


def _first_by(best: Standing) -> str:
    """Say which deadline puts the best before what keeps exactly as much."""
    kind = next((name for name, ns in zip(("certified", "observed"), best.deadlines, strict=True) if math.isfinite(ns)), None)
    return f" (first by its {kind} deadline)" if kind else ""


def _behind(best: Standing, behind: Sequence[Standing], systems: Sequence[Standing], shared: Sequence[str]) -> str:
    """Say which system is the first that does not tie with the best, by how much, and which is the last."""

    def at(one: Standing) -> str:
        flagged = _flagged([one], shared)
        return f"at {mean_kept(one)}{_of_its(one, best)}{f' ({flagged})' if flagged else ''}"

    first, last = behind[0], behind[-1]
    said = f"{_place(first, systems)} {at(first)}, {_by_how_much(best, first)}"
    return said if first is last else f"{said}; the last, {_place(last, systems)}, {at(last)}"


def _flagged(some: Sequence[Standing], shared: Sequence[str]) -> str:
    """Name the flags of some systems that not all systems share."""
    own = [flag for flag in dict.fromkeys(flag for one in some for flag in one.flags) if flag not in shared]
    return f"flagged: {listed(own)}" if own else ""


def _of_its(one: Standing, best: Standing) -> str:
    return f" of its {quality(one.ideal)}" if one.ideal != best.ideal and one.scale == PLAIN else ""


def _by_how_much(best: Standing, other: Standing) -> str:
    """Write the difference with its limits and as a share of ideal quality; of metrics that are not plain the share alone."""
    share = f"{100 * share_less(best, other):.1f} %"
    return (
        f"{difference(best, other, ' less')} ({share} of ideal quality)"
        if other.scale == PLAIN
        else f"{share} of what there is to keep less"
    )


def _place(one: Standing, others: Sequence[Standing]) -> str:
    """Name a system and runtime, and batch and other settings where these tell it from the others."""
    place = f"{one.names['system']} with {one.names['runtime']}"
    if len({other.names["batch"] for other in others}) > 1:
        place += f", batch {one.names['batch']}"
    return f"{place}, {one.names['settings']}" if one.names["settings"] else place


def _kept(one: Standing, metric: str, flagged: str, down_to: str = "", exactly: str = "") -> str:
    """Write what is kept, of several down to what, and of how much, with the number of processes and flags."""
    more = (f", mean of {one.processes} processes" if one.processes > 1 else "") + (f", {flagged}" if flagged else "")
    if one.scale == PLAIN:
        return f"{quality(one.mean)}{down_to} of {quality(one.ideal)}{exactly} ({metric}{more})"
    figures = f"{metric} {quality(one.mean)}, without a threshold {quality(one.ideal)}"
    return f"{mean_kept(one)}{down_to} of what there is to keep{exactly} ({figures}{more})"
