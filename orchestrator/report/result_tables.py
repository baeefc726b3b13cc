"""The tables of a report, in the order a reader asks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from orchestrator.analysis.campaign_analysis import CampaignAnalysis, Row, rows_of
from orchestrator.analysis.convergence import rjsd_column
from orchestrator.analysis.groups import Group
from orchestrator.report.capacity import capacity_tables
from orchestrator.report.claims import deadline_tables
from orchestrator.report.faults import fault_tables
from orchestrator.report.resources import resources_tables
from orchestrator.report.server_cost import server_cost_tables
from orchestrator.report.sliced import slice_tables
from orchestrator.report.table import Marks, Table, bound, mean_within, who, who_columns
from orchestrator.report.text import milliseconds, percentile, quality, quality_within, seconds
from orchestrator.report.token_gaps import token_gap_tables
from orchestrator.stats.times import Clock
from orchestrator.storage.records import CLOCK_SET_BACK, OTHER_USERS, TrialRecord
from orchestrator.storage.vocabulary import UNFINISHED

NOT_CERTIFIED = "not certified"
ROUNDS_TO_COME = " In brackets the 95 % interval of the mean of rounds to come."


def summary_tables(results: CampaignAnalysis) -> list[Table]:
    """Return what is printed at the end of a campaign: what went wrong, and how systems compare."""
    return [
        *trouble_tables(results),
        *capacity_tables(results),
        *cross_system_tables(results),
        *slice_tables(results, primary_metric=True),
        *deadline_tables(results),
        *resources_tables(results),
        *token_gap_tables(results),
        *server_cost_tables(results),
    ]


def trouble_tables(results: CampaignAnalysis, unfinished: bool = True) -> list[Table]:
    """Return what went wrong, and with ``unfinished`` also the trials that ``resume`` goes on with."""
    return [*problem_tables(results, unfinished), *fault_tables(results)]


def cross_system_tables(results: CampaignAnalysis) -> Iterator[Table]:
    """Yield tail quality of all systems side by side at common thresholds, on the clock that counts first and for the primary metric.

    One table at the reference trial's percentiles, one at absolute thresholds.
    """
    for group in results.groups:
        metric = group.trials[0].metric
        rows = [row for row in rows_of(results, "tail_quality", group) if row["slice"] == "all"]
        rows = [row for row in rows if row["clock"] == group.clock and row["metric"] == metric]
        reference = group.thresholds.reference
        if reference is not None:
            note = f"Thresholds are percentiles of the {group.clock} time of {reference.trial}"
            if reference.instead_of is not None:
                note += f", in place of {reference.instead_of}, which failed"
            yield _cross_system(group, metric, "reference", rows, f"{note}.")
        if any(row["threshold_origin"] == "absolute" for row in rows):
            yield _cross_system(group, metric, "absolute", rows, "Thresholds are the same time for every system.")


def _cross_system(group: Group, metric: str, origin: str, rows: Sequence[Row], note: str) -> Table:
    rows = [row for row in rows if row["threshold_origin"] == origin]
    common = dict.fromkeys(threshold for threshold in group.thresholds.common(group.clock) if threshold.origin == origin)
    thresholds = sorted(common, key=lambda threshold: (threshold.ns, threshold.label))
    heads = [bound(threshold) for threshold in thresholds]
    cells: dict[str, list[str]] = {}
    marks = Marks(rows)
    for row in rows:
        cells.setdefault(row["trial"], [*who(row, group), quality(row["ideal"])])
    for threshold in thresholds:
        for row in rows:
            if threshold.is_of(row):
                cells[row["trial"]].append(_kept(row) + marks.of(row))
    kind = "the reference trial's percentiles" if origin == "reference" else "absolute thresholds"
    return Table(
        title=f"Tail quality of {group.task} ({metric}) at {kind}: mean [95 % interval] / worst round",
        columns=[*who_columns(group), "ideal", *heads],
        rows=list(cells.values()),
        note=note + ROUNDS_TO_COME + marks.note(),
        right=frozenset(["ideal", *heads]),
    )


def _kept(row: Row) -> str:
    return f"{mean_within(row)} / {quality(row['worst'])}"


def own_threshold_tables(results: CampaignAnalysis) -> Iterator[Table]:
    """Yield tail quality of each trial at its own percentiles; these rank nothing, and the note says so."""
    for group in results.groups:
        metric = group.trials[0].metric
        rows = [row for row in rows_of(results, "tail_quality", group) if row["slice"] == "all"]
        rows = [row for row in rows if row["threshold_origin"] == "own" and row["metric"] == metric]
        if not rows:
            continue
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
                    quality_within(row["interval_low"], row["interval_high"], row["ideal"]),
                    quality(row["worst"]),
                    str(row["rounds"]),
                    ", ".join(row["flags"]),
                ]
                for row in rows
            ],
            note="A trial's own percentile fixes the share of samples on time: these figures describe one system and rank none. "
            "Thresholds are frozen from the first 10 rounds and applied to the others; with fewer than 20 rounds they are "
            "in-sample. A percentile with fewer than 10 of the choosing inferences beyond it is left out. "
            "The interval is that of rounds to come, of this process with these samples.",
            right=frozenset(["ideal", "mean", "worst", "rounds"]),
        )


def latency_tables(results: CampaignAnalysis) -> Iterator[Table]:
    """Yield percentiles of time on every clock with their intervals."""
    for group in results.groups:
        rows = rows_of(results, "latency", group)
        heads = [percentile(value) for value in sorted({row["percentile"] for row in rows})]
        cells: dict[tuple[str, str], list[str]] = {}
        marks = Marks(rows, without=[NOT_CERTIFIED])
        for row in rows:
            cells.setdefault((row["trial"], row["clock"]), [*who(row, group), row["clock"]]).append(_latency_cell(row) + marks.of(row))
        yield Table(
            title=f"Latency of {group.task}",
            columns=[*who_columns(group), "clock", *heads],
            rows=list(cells.values()),
            note="In brackets the 95 % interval of rounds to come. not certified: fewer than 10 independent inferences lie beyond the "
            "percentile, or rounds differ so much that nothing bounds it from above; more rounds help." + marks.note(),
            right=frozenset(heads),
        )


def _latency_cell(row: Row) -> str:
    if not row["certified"]:
        return f"{milliseconds(row['value_ns'])} {NOT_CERTIFIED}"
    low, high = (
        milliseconds(row["interval_low_ns"]).removesuffix(" ms"),
        milliseconds(row["interval_high_ns"]).removesuffix(" ms"),
    )
    return f"{milliseconds(row['value_ns'])} [{low}, {high}]"


def trials_table(results: CampaignAnalysis) -> Table:
    """Return where each trial ran, how it stopped and what it cost before its first round."""
    rounds = {data.trial_id: len(data.times[data.clock]) for group in results.groups for data in group.trials}
    rows = []
    for record in results.records:
        placement, cold = record.placement, record.cold_start
        measured = rounds.get(record.trial_id, 0)
        cores = ",".join(map(str, placement.get("cores") or ()))
        held = " (not held to them)" if placement.get("pinned") is False else ""
        quota = f" (quota {placement['quota_cores']:g})" if placement.get("quota_cores") else ""
        rows.append(
            [
                record.trial_id,
                record.state,
                _stopped(record, measured),
                str(measured),
                _last(record, rjsd_column(record, Clock.INFERENCE)),
                _last(record, rjsd_column(record, Clock.TOTAL)),
                _last(record, "half_width"),
                str(placement.get("host", "")),
                f"{placement.get('device', '')} cores {cores}{held}{quota}, {placement.get('threads', '')} threads" if placement else "",
                seconds(cold["load_ns"] / 1e9) if cold.get("load_ns") is not None else "",
                milliseconds(cold.get("first_inference_ns")) if cold else "",
            ]
        )
    return Table(
        title="Trials",
        columns=[
            *("trial", "state", "stopped", "rounds", "rJSD inference", "rJSD total", "half-width"),
            *("host", "placement read back", "load", "first inference"),
        ],
        rows=rows,
        note="rJSD and half-width of mean tail quality as the stopping rule last saw them." + _of_machines(results),
        right=frozenset(["rounds", "rJSD inference", "rJSD total", "half-width", "load", "first inference"]),
    )


def _stopped(record: TrialRecord, rounds: int) -> str:
    """Return why a trial has ended."""
    if record.stopping is None:
        return record.reason or ""
    return (
        why_stopped(record.stopping.reason, rounds, record.trial.measurement.max_rounds, record.trial.load.is_open) or record.reason or ""
    )


def why_stopped(reason: str | None, rounds: int, most: int, in_streams: bool) -> str | None:
    """Return why the rule has ended a trial (pure). A stream is measured whole, also where the bound lies within it.

    Examples
    --------
    >>> why_stopped("max_rounds", 225, most=24, in_streams=True)
    'max_rounds=24, at the end of its stream'
    >>> why_stopped("max_rounds", 24, most=24, in_streams=True)
    'max_rounds'
    """
    return f"max_rounds={most}, at the end of its stream" if reason == "max_rounds" and in_streams and rounds > most else reason


def _of_machines(results: CampaignAnalysis) -> str:
    """Return sentences on the machines, their other users and their clocks, once for all trials."""
    hosts = _hosts_with(OTHER_USERS, results)
    others = f" On {hosts}: {OTHER_USERS}, whose campaigns at the same time would show in these times." if hosts else ""
    if hosts := _hosts_with(CLOCK_SET_BACK, results):
        others += (
            f" On {hosts}: {CLOCK_SET_BACK} while a trial was measured, whose times of day tell no order; durations have another clock."
        )
    open_to = results.campaign.open_to
    return others + (f" Other users could have exchanged these results: {'; '.join(open_to)}." if open_to else "")


def _hosts_with(flag: str, results: CampaignAnalysis) -> str:
    return ", ".join(sorted({str(record.placement.get("host", "")) for record in results.records if flag in record.flags}))


def _last(record: TrialRecord, column: str) -> str:
    """Return the last figure of a trial's checks that is known, or a dash."""
    checks = record.stopping.checks if record.stopping is not None else ()
    known = [check[column] for check in checks if check.get(column) is not None]
    return f"{known[-1]:.3f}" if known else "-"


def problem_tables(results: CampaignAnalysis, unfinished: bool = True) -> Iterator[Table]:
    """Yield trials without a result, with ``unfinished`` also those to go on with, and models whose answers depend on where they run."""
    bad = [planned for planned in results.campaign.trials if planned.state != "done" and (unfinished or planned.state not in UNFINISHED)]
    if bad:
        yield Table(
            title="Trials that are not done",
            columns=["trial", "state", "reason"],
            rows=[[planned.trial_id, planned.state, planned.reason or ""] for planned in bad],
        )
    if results.unjudged:
        yield Table(
            title="Trials that a metric cannot judge",
            columns=["trial", "why"],
            rows=[[trial_id, why] for trial_id, why in results.unjudged.items()],
            note="They are left out, or judged by their other metrics.",
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
        note=_stack_differences(records),
    )


def _stack_differences(records: Sequence[TrialRecord]) -> str:
    """Say which versions differ between systems; a package that only some load is no difference."""
    found: dict[str, dict[str, list[str]]] = {}
    for record in records:
        for name, version in record.stack.items():
            systems = found.setdefault(name, {}).setdefault(str(version), [])
            if version and name != "platform" and record.trial.system.name not in systems:
                systems.append(record.trial.system.name)
    changes = []
    for name, versions in found.items():
        had = [f"{version} ({', '.join(systems)})" for version, systems in versions.items() if systems]
        if len(had) > 1:
            changes.append(f"{name} {' and '.join(had)}")
    return f"Stacks differ: {'; '.join(changes)}." if changes else ""
