"""Which system keeps most within the deadline and from when on, what follows it, and servers."""

import math
from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

from orchestrator.analysis.campaign_analysis import CampaignAnalysis, rows_of
from orchestrator.analysis.groups import Group
from orchestrator.analysis.ranking import WHO, Ranking, Standing, Tie, differing, is_shown_worse
from orchestrator.analysis.reading import entries_of
from orchestrator.analysis.table import Row
from orchestrator.analysis.tables.comparison import EXACTLY
from orchestrator.analysis.tables.streaming import changes
from orchestrator.contracts import by_key
from orchestrator.report.findings import Finding
from orchestrator.report.record_tables import client_part
from orchestrator.report.table import bound

ROUNDED = 0.0005  # the difference of common visits may miss that of printed means by more
BUDGET = "model.request.max_tokens="  # Most tokens of an answer, thinking included.
VERDICTS = {"tied": "tie", "worse": "shown", "behind": "not shown", "not tested": "not tested"}


def of_task(results: CampaignAnalysis, one: Ranking) -> Iterator[Finding]:
    primary = one.group.thresholds.primary
    if one.found and primary is not None:
        yield from _best(results, one, bound(primary), primary.ns)
    else:
        yield Finding("no_deadline", one.group.task, _asked_for(results, one))
    if one.found and one.found[0].level[0] > 0:
        # The next of the model of the best, or the best of another model: which keeps more.
        systems, models = one.orders[0].others, one.models.others
        after = sorted([*systems[:1], *models], key=lambda other: other[0].level, reverse=True)
        if after:
            told = _difference(one, *after[0])
            told["more_tied"] = sum(
                kind == "tied" for other, kind in (*systems, *models) if other is not after[0][0]
            )
            yield Finding("runner_up", one.group.task, told, told["flags"])
        if rest := [_difference(one, *other) for other in models if other is not after[0]]:
            yield Finding("other_models", one.group.task, {"models": rest})
    yield from _envelopes(results, one.group)
    yield from _neighbours(results, one.group)
    yield from _streaming(results, one.group)
    asked = [data.record for data in one.group.trials if data.record.trial.server.is_asked]
    asked.sort(key=lambda record: record.trial.server.name)
    for name, records in groupby(asked, key=lambda record: record.trial.server.name):
        of_server = list(records)
        alone, at_once = (
            [part for record in of_server if (part := client_part(record, "total", many))]
            for many in (False, True)
        )
        yield Finding(
            "servers",
            one.group.task,
            {
                "server": name,
                "alone": [max(ns) for ns in zip(*alone, strict=True)],
                "at_once": [max(ns) for ns in zip(*at_once, strict=True)],
            },
        )


def _envelopes(results: CampaignAnalysis, group: Group) -> Iterator[Finding]:
    """Yield per envelope what leads from which deadline on, where anything is kept."""
    found = by_key(rows_of(results, "envelope", group), lambda row: int(row["envelope"])).values()
    for rows in found:
        several = len({data.record.trial.model.name for data in group.trials}) > 1
        led = [row for row in rows if row["leads"]]
        names = [[row["model"]] * several + [group.settings[row["trial"]]] for row in led]
        if led:
            values = {
                "where": " · ".join(rows[0][name] for name in WHO[1:]) if len(found) > 1 else "",
                "names": [" · ".join(filter(None, words)) for words in names],
                "from_ns": [row["threshold_ns"] for row in led],
                "tested": all(row["tied"] is not None for row in rows),
                "budget": all(BUDGET in words[-1] for words in names),
            }
            yield Finding("envelope", group.task, values)


def _neighbours(results: CampaignAnalysis, group: Group) -> Iterator[Finding]:
    """Yield what neighbours cost at the primary threshold, for each system without one."""

    def cost_of(row: Row) -> dict[str, Any]:
        sign = -group.trials[0].judged(row["metric"]).sign
        told, cost = is_shown_worse(row), sign * row["difference"]
        limits = (row["interval_low"], row["interval_high"]) if told is not None else ()
        return {
            "name": group.settings[row["trial"]],
            "within": row["threshold"],
            "cost": cost,
            **dict(zip(("low", "high"), sorted(sign * one for one in limits), strict=False)),
            "kind": "not tested" if told is None else "shown" if told and cost > 0 else "not shown",
        }

    of_systems = by_key(rows_of(results, "neighbours", group), lambda row: str(row["baseline"]))
    for rows in of_systems.values():
        costs, most = (
            sorted(map(cost_of, filter(itemgetter(which), rows)), key=lambda one: -one["cost"])
            for which in ("primary", "most")
        )
        yield Finding(
            "neighbours",
            group.task,
            {
                "where": " · ".join(rows[0][name] for name in WHO if len(of_systems) > 1),
                "alone": next(row["baseline_mean"] for row in rows if row["primary"]),
                "costs": costs,
                "most": most[0],
            },
        )


def _streaming(results: CampaignAnalysis, group: Group) -> Iterator[Finding]:
    """Yield what leads at each frame rate, where that changes, and where tail quality differs."""
    if not (rows := rows_of(results, "streaming", group)):
        return
    names = {entry.data.trial_id: entry.system_label for entry in entries_of(group)}
    rates, otherwise = [], dict[str, list[float]]()
    asked = by_key((row for row in rows if row["asked"]), lambda row: row["rate_per_s"])
    for rate, of in asked.items():
        [best] = [row for row in of if row["trial"] == row["best"]]
        tied = sum(row["worse"] is False for row in of)
        rates.append({**best, "rate": rate, "name": names[best["trial"]], "tied": tied})
        lead, first = (
            [names[row["trial"]] for row in of if row[kind] == 1]
            for kind in ("place", "tail_place")
        )
        if any(row["place"] != row["tail_place"] for row in of):
            how = f"{' and '.join(first)} first" if first != lead else "lower places"
            otherwise.setdefault("all equal" if len(first) == len(of) else how, []).append(rate)
    led = [
        {**change._asdict(), "before": names[change.before], "after": names[change.after]}
        for change in changes(rows)
    ]
    values = {"metric": group.trials[0].metric, "systems": len({row["trial"] for row in rows})}
    values |= {"rates": rates, "changes": led, "otherwise": otherwise}
    yield Finding("streaming", group.task, values)


def _name_of(one: Standing, found: Sequence[Standing]) -> str:
    """Name a system by what tells it from the others; one alone by model, system and runtime."""
    heads = differing(found) if len(found) > 1 else WHO
    words = {"batch": f"batch {one.names['batch']}"}
    return " · ".join(words.get(head, one.names[head]) for head in heads if one.names[head])


def _kept_from(one: Standing) -> float:
    """Return from which deadline on, in ns, it keeps its quality: certified, else as observed."""
    certified, observed = one.deadlines
    return certified if math.isfinite(certified) else observed


def _best(
    results: CampaignAnalysis, one: Ranking, within: str, primary_ns: float
) -> Iterator[Finding]:
    group, found, best = one.group, one.found, one.found[0]
    tied = one.orders[0].those("tied")
    values = {
        "within": within,
        "name": _name_of(best, found),
        "metric": group.trials[0].metric,
        "mean": best.mean,
        "low": best.low,
        "high": best.high,
        "ideal": best.ideal,
        "plain": best.judged.plain,
        "processes": best.processes,
        "systems": len(found),
        "tied": len(tied) + len(one.models.those("tied")),
    }
    kind = "winner" if best.level[0] > 0 else "nothing_kept"
    yield Finding(kind, group.task, values, best.marks)
    more_rounds = [
        0 if row["flags"] else row["more_rounds"] or 0
        for row in rows_of(results, "deadline", group)
        if row["trial"] in best.trials and (row["clock"], row["reference"]) == (group.clock, "own")
    ]
    first, from_ns = min(found, key=_kept_from), _kept_from(best)
    kept = {
        "kept": from_ns <= primary_ns,
        "from_ns": from_ns if math.isfinite(from_ns) else None,
        "certified": math.isfinite(best.deadlines[0]),
        "share": results.analysis.deadline.quality,
        "rounds": 1 - results.analysis.deadline.late_share,
        "more_rounds": max(more_rounds, default=0) if all(more_rounds) else 0,
        "missed_by": [_name_of(other, found) for other in tied if _kept_from(other) > primary_ns],
        "first": _name_of(first, found) if _kept_from(first) < from_ns else None,
        "first_ns": _kept_from(first),
    }
    yield Finding("deadline_kept", group.task, kept, best.flags)


def _difference(one: Ranking, other: Standing, kind: Tie) -> dict[str, Any]:
    best = one.found[0]
    less = other.less.get(best.trials[0]) if kind != "not tested" else None
    gained = best.judged.gained(best.mean) - best.judged.gained(other.mean)
    difference = less.difference if less and best.judged.plain else round(gained, EXACTLY)
    ideal = best.judged.gained(best.ideal)
    return {
        "name": _name_of(other, one.found),
        "model": other.model,
        "mean": other.mean,
        "from_ns": _kept_from(other),
        "plain": best.judged.plain,
        "difference": difference,
        "common": less is not None and abs(difference - gained) > ROUNDED,
        "share": difference / ideal if ideal else 0.0,
        "low": less.low if less else None,
        "high": less.high if less else None,
        "p": less.p if less else None,
        "verdict": VERDICTS[kind],
        "only_here": other.model != best.model and other.model not in (one.like_these or ()),
        "samples": len(one.group.trials[0].references),
        "flags": other.marks,
    }


def _asked_for(results: CampaignAnalysis, one: Ranking) -> dict[str, Any]:
    """Return a deadline in the middle of a high percentile of all trials, None without times."""
    rows = rows_of(results, "latency", one.group)
    percentile = max((row["percentile"] for row in rows if row["percentile"] <= 95), default=50.0)
    wanted = one.group.clock, percentile
    found = [row["value_ns"] for row in rows if (row["clock"], row["percentile"]) == wanted]
    ns = sorted(filter(None, found))
    middle = math.sqrt(ns[0] * ns[-1]) / 1e6 if ns else math.nan
    return {
        "asked": results.analysis.primary,
        "ms": f"{float(f'{middle:.2g}'):g}" if ns else None,
        "percentile": f"p{percentile:g}",
        "observed": [ns[0], ns[-1]] if ns else [],
    }
