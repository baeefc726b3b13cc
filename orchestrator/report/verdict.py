"""The verdict in words: which system keeps its quality at the tail, and by how much."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from orchestrator.analysis.campaign_analysis import CampaignAnalysis
from orchestrator.analysis.groups import Group
from orchestrator.analysis.quality import scale_of
from orchestrator.metrics.interface import PLAIN, Scale
from orchestrator.report.table import bound
from orchestrator.report.text import quality, quality_within
from orchestrator.stats.times import PRIMARY_CLOCK


def verdict(results: CampaignAnalysis) -> Iterator[str]:
    """Yield one sentence per task and model: the best and the worst system at the primary threshold."""
    if not results.groups:
        yield "No trial has a stored round."
    for group in results.groups:
        yield from _of_group(results, group)
    yield from _different_data(results)
    yield from _shared_machines(results)


def _different_data(results: CampaignAnalysis) -> Iterator[str]:
    """Say why trials of one task stand in several tables."""
    tasks = Counter(group.trials[0].group[0] for group in results.groups)
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


def _of_group(results: CampaignAnalysis, group: Group) -> Iterator[str]:
    primary = group.thresholds.primary
    if primary is None:
        yield f"{group.task}: no trial can be the reference, so there is no common threshold."
        return
    metric = group.trials[0].metric
    scale = scale_of(group.trials[0].judged(metric))
    members = {data.trial_id for data in group.trials}
    rows = [
        row
        for row in results.tables["tail_quality"].to_pylist()
        if row["trial"] in members
        and (row["clock"], row["metric"], row["slice"]) == (PRIMARY_CLOCK, metric, "all")
        and row["threshold_origin"] != "own"
        and row["threshold_ns"] == primary.ns
    ]
    unique = {row["trial"]: row for row in rows}
    for model in dict.fromkeys(row["model"] for row in unique.values()):
        repeats: dict[str, list[dict[str, Any]]] = {}
        for row in unique.values():
            if row["model"] == model:
                repeats.setdefault(row["match_key"], []).append(row)
        systems = (_pooled(members, scale) for members in repeats.values())
        ranked = sorted(systems, key=lambda row: (-scale.gained(row["mean"]), -scale.gained(row["worst"])))
        best, last = ranked[0], ranked[-1]
        start = f"{group.task}, {model}, within {bound(primary)}:"
        sentence = f"{start} {_place(best, ranked, group)} keeps {_kept(best, scale)}"
        if len(ranked) > 1 and (best["mean"], best["worst"]) == (last["mean"], last["worst"]):
            yield f"{start} all {len(ranked)} trials keep {_kept(best, scale)}."
        else:
            yield f"{sentence}; {_place(last, ranked, group)} keeps {_kept(last, scale)}." if len(ranked) > 1 else f"{sentence}."


def _pooled(repeats: Sequence[dict[str, Any]], scale: Scale) -> dict[str, Any]:
    """Return the row of a system from those of its repeats: the mean of their means, the worst of all their rounds."""
    means = [row["mean"] for row in repeats]
    return {
        **repeats[0],
        "mean": sum(means) / len(means),
        "worst": min((row["worst"] for row in repeats), key=scale.gained),
        "means": means,
        "flags": list(dict.fromkeys(flag for row in repeats for flag in row["flags"])),
    }


def _place(row: dict[str, Any], others: Sequence[dict[str, Any]], group: Group) -> str:
    """Name a system and runtime, and batch and other settings where these tell it from the others."""
    place = f"{row['system']} with {row['runtime']}"
    if len({other["batch"] for other in others}) > 1:
        place += f", batch {row['batch']}"
    settings = group.settings[row["trial"]]
    return f"{place}, {settings}" if settings else place


def _kept(row: dict[str, Any], scale: Scale) -> str:
    means = row["means"]
    if len(means) == 1:
        interval = quality_within(row["interval_low"], row["interval_high"])
    else:
        interval = f"({len(means)} repeats, {quality(min(means))} to {quality(max(means))})"
    worst = f"{quality(row['worst'])} in its worst round"
    if scale != PLAIN:
        share = f"{100 * scale.kept(row['mean'], row['ideal']):.1f} % of what there is to keep"
        figures = f"{share}: {row['metric']} {quality(row['mean'])} {interval}, {quality(row['ideal'])} without a threshold, {worst}"
    else:
        figures = f"{quality(row['mean'])} {interval} of {quality(row['ideal'])} ({row['metric']}), {worst}"
    return f"{figures} (flagged: {', '.join(row['flags'])})" if row["flags"] else figures
