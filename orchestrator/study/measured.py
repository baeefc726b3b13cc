"""What was measured, where, and what that cannot tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.analysis.table import Context, all_rows, tables
from orchestrator.storage.records import TrialRecord
from orchestrator.study.material import WHO, Material, who
from orchestrator.study.tables import Column, StudyTable, Value, named, numbers, three, whole


def measured_table(material: Material) -> StudyTable:
    """Return per task what was measured on it."""
    rows: list[list[Value]] = []
    for group in material.groups:
        trials = [data.record.trial for data in group.trials]
        counts = [len(data.outcome) for data in group.trials]
        names = [", ".join(sorted({getattr(trial, part).name for trial in trials})) for part in ("model", "runtime", "system")]
        metric = group.trials[0].metric
        samples = len(group.trials[0].references)
        rounds = f"{min(counts)}" if min(counts) == max(counts) else f"{min(counts)} to {max(counts)}"
        repeats = max(trial.repeat for trial in trials) + 1
        rows.append([group.task, metric, samples, *names, len(trials), repeats, rounds, sum(data.outcome.size for data in group.trials)])
    return StudyTable(
        "measured",
        "What was measured",
        [
            *named("task"), Column("metric"), *numbers(whole, "samples"), Column("models"), Column("runtimes"), Column("systems"),
            *numbers(whole, "trials", "repeats"), Column("rounds a trial"), *numbers(whole, "answers"),
        ],
        rows,
        allocations(material.records),
    )  # fmt: skip


def allocations(records: Sequence[TrialRecord]) -> str:
    """Say which systems lie on one machine, by the boot id that their processes recorded; nothing where all lie apart."""
    machines: dict[str, set[str]] = {}
    for record in records:
        boot = record.placement.get("boot_id") or record.environment.get("boot_id")
        if boot is not None and record.started_at is not None:
            machines.setdefault(str(boot), set()).add(record.trial.system.name)
    shared = [sorted(systems) for systems in machines.values() if len(systems) > 1]
    told = [
        f"{', '.join(systems)} are {len(systems)} allocations of one machine, not {len(systems)} machines" for systems in sorted(shared)
    ]
    return "; ".join(told) + ("." if told else "")


def environment_table(material: Material) -> StudyTable:
    """Return where each system's trials ran."""
    found: dict[tuple[str, ...], int] = {}
    for record in material.records:
        if record.started_at is not None:
            cells = (record.trial.system.name, record.trial.runtime.name, *_where(record))
            found[cells] = found.get(cells, 0) + 1
    rows: list[list[Value]] = [[*cells, count] for cells, count in sorted(found.items())]
    columns = [*named("system", "runtime"), *(Column(name) for name in ("host", "processor", "device", "cores", "quota", "versions"))]
    return StudyTable("environment", "Environment", [*columns, *numbers(whole, "trials")], rows)


def _where(record: TrialRecord) -> tuple[str, ...]:
    placement, environment = record.placement, record.environment
    cores, quota = placement.get("cores"), placement.get("quota_cores")
    return (
        str(placement.get("host") or "-"),
        str(environment.get("processor") or "-"),
        str(placement.get("name") or placement.get("device") or record.trial.system.device),
        ", ".join(map(str, cores)) if isinstance(cores, list | tuple) else "-",
        f"{quota:g} cores" if isinstance(quota, int | float) else "-",
        _versions(record.stack),
    )


def _versions(stack: Mapping[str, Any]) -> str:
    """Return the versions of a stack, those that are plain text."""
    versions = stack.get("versions")
    known = versions if isinstance(versions, Mapping) else stack
    return ", ".join(f"{name} {value}" for name, value in sorted(known.items()) if isinstance(value, str)) or "-"


def trouble(records: Sequence[TrialRecord]) -> StudyTable:
    """Return the trials that are not done."""
    rows: list[list[Value]] = [[record.trial_id, record.state, record.reason or "-"] for record in records if record.state != "done"]
    return StudyTable("not_done", "Trials that are not done", [*named("trial"), Column("state"), Column("reason")], rows)


def tolerance_table(material: Material) -> StudyTable:
    """Return tail quality averaged over users' tolerance, one row a system; no rows without ``analysis.tolerance``."""
    context = Context(material.analysis, material.campaign, material.records, material.groups)
    found = {row["trial"]: row for row in all_rows(tables()["tolerance"], context) if row["clock"] == "total"}
    rows: list[list[Value]] = [
        [*who(group, data)[:-1], row["tolerance"], row["mean"], row["interval_low"], row["interval_high"], row["worst"], row["ideal"],
         row["samples"]]
        for group, data in material.trials()
        if (row := found.get(data.trial_id)) is not None
    ]  # fmt: skip
    return StudyTable(
        "tolerance",
        "Tail quality averaged over users' tolerance, total time",
        [*named(*WHO), Column("tolerance"), *numbers(three, "mean", "low", "high", "worst", "ideal"), *numbers(whole, "samples")],
        rows,
        "" if rows else "No law of tolerance was given: `analysis.tolerance={median_ms: 200, p95_ms: 500}` averages over one.",
    )
