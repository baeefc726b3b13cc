"""The tables of a report, in the order a reader asks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from orchestrator.analysis.results import Group, Results
from orchestrator.report.comparisons import comparison_tables
from orchestrator.report.deadlines import deadline_tables
from orchestrator.report.predictions import prediction_tables
from orchestrator.report.rows import Row, flag_note, mark, rows_of, who, who_columns
from orchestrator.report.table import Table
from orchestrator.report.text import milliseconds, percentile, quality, seconds
from orchestrator.storage.records import TrialRecord


def all_tables(results: Results) -> list[Table]:
    """Return every table of the report."""
    return [
        *cross_system_tables(results),
        *deadline_tables(results),
        *comparison_tables(results),
        *own_threshold_tables(results),
        *prediction_tables(results),
        *latency_tables(results),
        trials_table(results),
        *problem_tables(results),
        stack_table(results.records),
    ]


def summary_tables(results: Results) -> list[Table]:
    """Return what is printed at the end of a campaign: what went wrong, and how systems compare."""
    return [*problem_tables(results), *cross_system_tables(results), *deadline_tables(results)]


def cross_system_tables(results: Results) -> Iterator[Table]:
    """Yield tail quality of all systems side by side at common thresholds, on the total clock and for the primary metric.

    One table at the reference trial's percentiles, one at absolute thresholds.
    """
    for group in results.groups:
        metric = group.trials[0].metric
        rows = [row for row in rows_of(results, "tail_quality", group) if row["slice"] == "all"]
        rows = [row for row in rows if row["clock"] == "total" and row["metric"] == metric]
        reference = group.thresholds.reference
        if reference is not None:
            note = f"Thresholds are percentiles of the total time of {reference.trial}"
            if reference.instead_of is not None:
                note += f", in place of {reference.instead_of}, which failed"
            yield _cross_system(group, results, metric, "reference", rows, f"{note}.")
        yield _cross_system(group, results, metric, "absolute", rows, "Thresholds are the same time for every system.")


def _cross_system(group: Group, results: Results, metric: str, origin: str, rows: Sequence[Row], note: str) -> Table:
    rows = [row for row in rows if row["threshold_origin"] == origin]
    labels = {row["threshold_ns"]: row["threshold"] for row in rows}
    heads = [f"{labels[ns]} ({milliseconds(ns)})" if origin == "reference" else labels[ns] for ns in sorted(labels)]
    cells: dict[str, list[str]] = {}
    for row in rows:
        cells.setdefault(row["trial"], [*who(row, group), quality(row["ideal"])])
    for ns in sorted(labels):
        for row in rows:
            if row["threshold_ns"] == ns and row["threshold"] == labels[ns]:
                cells[row["trial"]].append(f"{quality(row['mean'])} / {quality(row['worst'])}{mark(row['flags'])}")
    kind = "the reference trial's percentiles" if origin == "reference" else "absolute thresholds"
    return Table(
        title=f"Tail quality of {group.task} ({metric}) at {kind}: mean / worst round",
        columns=[*who_columns(group), "ideal", *heads],
        rows=list(cells.values()),
        note=note + flag_note(rows),
        right=frozenset(["ideal", *heads]),
    )


def own_threshold_tables(results: Results) -> Iterator[Table]:
    """Yield tail quality of each trial at its own percentiles; these rank nothing, and the note says so."""
    for group in results.groups:
        metric = group.trials[0].metric
        rows = [row for row in rows_of(results, "tail_quality", group) if row["slice"] == "all"]
        rows = [row for row in rows if row["threshold_origin"] == "own" and row["metric"] == metric]
        yield Table(
            title=f"Tail quality of {group.task} ({metric}) at each trial's own percentiles",
            columns=[*who_columns(group), "clock", "threshold", "ideal", "mean", "95 % interval", "worst", "rounds", "flags"],
            rows=[
                [
                    *who(row, group),
                    row["clock"],
                    f"{row['threshold']} = {milliseconds(row['threshold_ns'])}",
                    quality(row["ideal"]),
                    quality(row["mean"]),
                    f"{quality(row['interval_low'])} to {quality(row['interval_high'])}",
                    quality(row["worst"]),
                    str(row["rounds"]),
                    ", ".join(row["flags"]),
                ]
                for row in rows
            ],
            note="A trial's own percentile fixes the share of samples on time: these figures describe one system and rank none. "
            "Thresholds are frozen from the first 10 rounds and applied to the others; with fewer than 20 rounds they are "
            "in-sample. The interval is over rounds of this process with these samples.",
            right=frozenset(["ideal", "mean", "worst", "rounds"]),
        )


def latency_tables(results: Results) -> Iterator[Table]:
    """Yield percentiles of inference and total time with their intervals."""
    for group in results.groups:
        rows = rows_of(results, "latency", group)
        heads = [percentile(value) for value in sorted({row["percentile"] for row in rows})]
        cells: dict[tuple[str, str], list[str]] = {}
        for row in rows:
            cells.setdefault((row["trial"], row["clock"]), [*who(row, group), row["clock"]]).append(_latency_cell(row))
        yield Table(
            title=f"Latency of {group.task}",
            columns=[*who_columns(group), "clock", *heads],
            rows=list(cells.values()),
            note="In brackets the 95 % interval. not certified: fewer than 10 independent samples lie beyond the percentile.",
            right=frozenset(heads),
        )


def _latency_cell(row: Row) -> str:
    if not row["certified"]:
        return f"{milliseconds(row['value_ns'])} not certified"
    low, high = (
        milliseconds(row["interval_low_ns"]).removesuffix(" ms"),
        milliseconds(row["interval_high_ns"]).removesuffix(" ms"),
    )
    return f"{milliseconds(row['value_ns'])} [{low}, {high}]"


def trials_table(results: Results) -> Table:
    """Return where each trial ran, how it stopped and what it cost before its first round."""
    rounds = {data.trial_id: len(data.times["total"]) for group in results.groups for data in group.trials}
    rows = []
    for record in results.records:
        placement, cold = record.placement, record.cold_start
        stopping = record.stopping.reason if record.stopping is not None else None
        cores = ",".join(map(str, placement.get("cores", [])))
        rows.append(
            [
                record.trial_id,
                record.state,
                stopping or record.reason or "",
                str(rounds.get(record.trial_id, 0)),
                str(placement.get("host", "")),
                f"{placement.get('device', '')} cores {cores}, {placement.get('threads', '')} threads" if placement else "",
                seconds(cold["load_ns"] / 1e9) if cold else "",
                milliseconds(cold.get("first_inference_ns")) if cold else "",
            ]
        )
    return Table(
        title="Trials",
        columns=["trial", "state", "stopped", "rounds", "host", "placement read back", "load", "first inference"],
        rows=rows,
        right=frozenset(["rounds", "load", "first inference"]),
    )


def problem_tables(results: Results) -> Iterator[Table]:
    """Yield trials without a result, and models whose answers depend on where they run."""
    bad = [planned for planned in results.campaign.trials if planned.state != "done"]
    if bad:
        yield Table(
            title="Trials that are not done",
            columns=["trial", "state", "reason"],
            rows=[[planned.trial_id, planned.state, planned.reason or ""] for planned in bad],
        )
    different = [found for group in results.groups for found in group.disagreements]
    if different:
        yield Table(
            title="Answers that differ",
            columns=["trial", "answers other than", "samples"],
            rows=[[found.other, found.first, f"{found.samples} of {found.out_of}"] for found in different],
            note="The same model and data, another system or runtime.",
        )
    if results.campaign.left_out:
        yield Table(
            title="Left out",
            columns=["pair", "why"],
            rows=[[" x ".join(left.pair), left.reason] for left in results.campaign.left_out],
        )


def stack_table(records: Sequence[TrialRecord]) -> Table:
    """Return the versions each system ran with, one row per distinct stack."""
    stacks: dict[tuple[str, ...], list[str]] = {}
    for record in records:
        if record.stack:
            text = ", ".join(f"{name} {version}" for name, version in record.stack.items() if version and name != "platform")
            key = (str(record.environment.get("host", "")), str(record.environment.get("processor", "")), text)
            stacks.setdefault(key, []).append(f"{record.trial.system.name} / {record.trial.runtime.name}")
    return Table(
        title="Machines and stacks",
        columns=["system / runtime", "host", "processor", "stack"],
        rows=[[", ".join(sorted(set(names))), *key] for key, names in stacks.items()],
    )
