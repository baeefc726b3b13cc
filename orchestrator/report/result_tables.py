"""The tables of a report: the answer, those that are declared, and those of trials and machines."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from orchestrator.analysis.campaign_analysis import CampaignAnalysis, rows_of
from orchestrator.analysis.groups import Group, Threshold
from orchestrator.analysis.ranking import Ranking, differing, shared
from orchestrator.analysis.table import LABELS, SHOWN_LIMITS, Column, Row, View, tables, views
from orchestrator.analysis.tables.times import rjsd_column
from orchestrator.contracts import by_key
from orchestrator.report.table import TEXTS, Marks, Table, bound, cell, who, who_columns
from orchestrator.report.text import milliseconds, quality, quality_within, seconds
from orchestrator.storage.records import CLOCK_SET_BACK, OTHER_USERS, TrialRecord
from orchestrator.storage.schema import UNFINISHED

MOST_ROWS = 200


def answers(ranked: Sequence[Ranking], brief: bool = False) -> Iterator[Table]:
    """Yield what the systems of each group keep that has a primary threshold, the best first.

    ``brief`` names marks and explains none.
    """
    for one in ranked:
        if not one.found or (primary := one.group.thresholds.primary) is None:
            continue
        names, trials = differing(one.found), [data.record.trial for data in one.group.trials]
        marks = Marks([{"flags": standing.marks} for standing in one.found], trials=trials)
        columns = {
            **{name: [standing.names[name] for standing in one.found] for name in names},
            "kept": [quality(standing.mean) for standing in one.found],
            "95 % interval": [
                quality_within(standing.low, standing.high, standing.ideal)
                for standing in one.found
            ],
            "worst round": [quality(standing.worst) for standing in one.found],
            "ideal": [quality(standing.ideal) for standing in one.found],
        }
        if any(standing.processes > 1 for standing in one.found):
            columns["processes"] = [str(standing.processes) for standing in one.found]
        for of in tables()["goodput"].columns:
            if of.label and any(
                standing.goodput.get(of.name) is not None for standing in one.found
            ):
                columns[of.label] = [cell(of, each.goodput, one.group) for each in one.found]
        right = frozenset(columns) - {*names}
        if any(standing.marks for standing in one.found):
            columns["flags"] = [marks.letters({"flags": each.marks}) for each in one.found]
        what = ", ".join([one.group.task, *shared(one.found)])
        yield Table(
            title=f"{what}: {one.group.trials[0].metric} kept within {bound(primary)}",
            columns=list(columns),
            rows=[list(row) for row in zip(*columns.values(), strict=True)],
            note=marks.legend() if brief else marks.note().strip(),
            right=right,
        )


def shown_in(results: CampaignAnalysis, section: str) -> Iterator[Table]:
    """Yield the declared tables of a section of the report."""
    for name, (_, view) in views().items():
        if view.section == section:
            yield from shown(results, name)


def shown(results: CampaignAnalysis, name: str) -> Iterator[Table]:
    """Yield a declared table, per group of trials, by the name of its view."""
    declared, view = views()[name]
    for group in results.groups:
        primary = group.thresholds.primary if view.where.get("threshold") == "@primary" else None
        known = {
            "@primary": primary,
            "@clock": group.clock,
            "@metric": group.trials[0].metric,
            "@together": " and ".join(results.analysis.together_ms or ()),
        }
        rows = (
            row
            for row in rows_of(results, declared.name, group)
            if all(_holds(row, *asked, known) for asked in view.where.items())
        )
        parts = by_key(rows, lambda row: tuple(row[column] for column in view.split))
        for part in parts.values():
            yield text_table(view, declared.columns, group, part, primary)


def _holds(row: Row, column: str, value: Any, known: Mapping[str, Any]) -> bool:
    wanted = known.get(str(value).removeprefix("!"), value)
    if value == "@primary":
        at = {name: row[name] for name in ("threshold", "threshold_ns", "threshold_origin")}
        return wanted is not None and at.items() <= wanted.columns().items()
    if isinstance(wanted, tuple):
        return row[column] in wanted
    return bool((row[column] == wanted) != str(value).startswith("!"))


def text_table(
    view: View,
    declared: Iterable[Column],
    group: Group,
    rows: Sequence[Row],
    threshold: Threshold | None,
    **more: str,
) -> Table:
    """Return rows as text; ``more`` stands in the title. A column of nulls is left out."""
    columns = {column.name: column for column in (*LABELS, *declared)}
    labels = view.labels or {one.name: one.label for one in columns.values() if one.label}
    limited = [name for name in (*labels, *view.cells) if SHOWN_LIMITS.search(columns[name].form)]
    below = view.cells or (limited if view.across else ())
    labels = {
        name: head
        for name, head in labels.items()
        if name not in below and any(row[name] is not None for row in rows)
    }
    figures = [name for name in (*labels, *below) if columns[name].form not in TEXTS]
    marked = [*figures[:1], *limited][-1] if "flags" in {*columns} - {*labels} else None
    hidden = ""
    if len(rows) > MOST_ROWS:
        hidden = f" {len(rows) - MOST_ROWS} rows are not shown."
        places = range(len(rows))
        lowest = sorted(places, key=lambda place: rows[place][view.order] if view.order else 0)
        rows = [rows[place] for place in sorted(lowest[:MOST_ROWS])]
    marks = Marks(rows if marked else (), view.flags)
    left_out = {*view.without, *(["repeat"] if len({row["repeat"] for row in rows}) < 2 else [])}
    names = [name for name in who_columns(group) if name not in left_out]

    def text(name: str, row: Row) -> str:
        return cell(columns[name], row, group) + (marks.of(row) if name == marked else "")

    cells: dict[tuple[str, ...], dict[str, str]] = {}
    for row in rows:
        fixed = (*who(row, group, names), *(text(name, row) for name in labels))
        across = cells.setdefault(fixed, {})
        if view.across:
            found = filter(None, (text(name, row) for name in below))
            across[cell(columns[view.across], row, group)] = " / ".join(found)
    heads = list(dict.fromkeys(head for across in cells.values() for head in across))
    of, whose = group.thresholds.reference, ""
    if of is not None and rows[0].get("threshold_origin") == "reference":
        failed = f", in place of {of.instead_of}, which failed" if of.instead_of else ""
        whose = f"Thresholds are percentiles of the {group.clock} time of {of.trial}{failed}. "
    told = {
        "metric": group.trials[0].metric,
        **rows[0],
        "task": group.task,
        "clock": rows[0].get("clock", group.clock),
        "bound": "" if threshold is None else bound(threshold),
        "reference": whose,
        **more,
    }
    return Table(
        title=view.title.format_map(told),
        columns=[*names, *labels.values(), *heads],
        rows=[
            [*fixed, *(found.get(head, "-") for head in heads)] for fixed, found in cells.items()
        ],
        note=f"{view.note.format_map(told)}{hidden}{marks.note()}".strip(),
        right=frozenset([*heads, *(head for name, head in labels.items() if name in figures)]),
    )


def problem_tables(results: CampaignAnalysis, unfinished: bool = True) -> list[Table]:
    """Return trials without a result, and models whose answers depend on where they run."""
    found = (
        Table(
            "Trials that are not done",
            ["trial", "state", "reason"],
            [
                [one.trial_id, one.state, one.reason or ""]
                for one in results.campaign.trials
                if one.state != "done" and (unfinished or one.state not in UNFINISHED)
            ],
        ),
        Table(
            "Trials that a metric cannot judge",
            ["trial", "why"],
            [list(pair) for pair in results.unjudged.items()],
            "They are left out, or judged by their other metrics.",
        ),
        Table(
            "Answers that differ",
            ["trial", "answers other than", "samples"],
            [
                [one.other, one.first, f"{one.samples} of {one.out_of}"]
                for group in results.groups
                for one in group.disagreements
            ],
            "The same model and data, with another system, runtime or setting.",
        ),
        Table(
            "Left out",
            ["pair", "why"],
            [[" x ".join(left.pair), left.reason] for left in results.campaign.left_out],
        ),
    )
    return [table for table in found if table.rows]


def trials_table(results: CampaignAnalysis) -> Table:
    """Return where each trial ran, how it stopped and what it cost before its first round."""
    trials = {data.trial_id: data for group in results.groups for data in group.trials}
    rows = []
    for record in results.records:
        cold, data = record.cold_start, trials.get(record.trial_id)
        load_ns = cold.get("load_ns")
        rows.append(
            {
                "trial": record.trial_id,
                "state": record.state,
                "stopped": (record.stopping and record.stopping.reason) or record.reason or "",
                "rounds": str(0 if data is None else len(data.times[data.clock])),
                "rJSD inference": _last(record, rjsd_column(record, "inference")),
                "rJSD total": _last(record, rjsd_column(record, "total")),
                "half-width": _last(record, "half_width"),
                "host": str(record.placement.get("host", "")),
                "placement read back": _placement(record.placement) if record.placement else "",
                "load": "" if load_ns is None else seconds(load_ns / 1e9),
                "first inference": milliseconds(cold.get("first_inference_ns")) if cold else "",
            }
        )
    note = "rJSD and half-width of mean tail quality as the stopping rule last saw them."
    for flag in (OTHER_USERS, CLOCK_SET_BACK):
        flagged = (record for record in results.records if flag in record.flags)
        if hosts := sorted({str(record.placement.get("host", "")) for record in flagged}):
            note += f" On {', '.join(hosts)}: {flag}."
    if results.campaign.open_to:
        open_to = "; ".join(results.campaign.open_to)
        note += f" Other users could have replaced these results: {open_to}."
    return Table(
        title="Trials",
        columns=list(rows[0]) if rows else [],
        rows=[list(row.values()) for row in rows],
        note=note,
        right=frozenset(
            ["rounds", "rJSD inference", "rJSD total", "half-width", "load", "first inference"]
        ),
    )


def _placement(placement: Mapping[str, Any]) -> str:
    cores = ",".join(map(str, placement.get("cores") or ()))
    held = " (not held to them)" if placement.get("pinned") is False else ""
    quota = f" (quota {placement['quota_cores']:g})" if placement.get("quota_cores") else ""
    threads = placement.get("threads", "")
    isolation = f", isolation: {placement['isolation']}" if "isolation" in placement else ""
    return f"{placement.get('device', '')} cores {cores}{held}{quota}, {threads} threads{isolation}"


def _last(record: TrialRecord, column: str) -> str:
    checks = record.stopping.checks if record.stopping is not None else ()
    known = [check[column] for check in checks if check.get(column) is not None]
    return f"{known[-1]:.3f}" if known else "-"


def stack_table(records: Sequence[TrialRecord]) -> Table:
    """Return the versions each system ran with, one row per distinct stack, and what differs."""
    stacks: dict[tuple[str, ...], set[str]] = {}
    systems: dict[str, dict[str, dict[str, None]]] = {}
    for record in records:
        trial, environment = record.trial, record.environment
        versions = {
            name: version
            for name, version in record.stack.items()
            if version and name != "platform"
        }
        if record.stack:
            text = ", ".join(f"{name} {version}" for name, version in versions.items())
            key = (*(str(environment.get(name, "")) for name in ("host", "processor")), text)
            stacks.setdefault(key, set()).add(f"{trial.system.name} / {trial.runtime.name}")
        for name, version in versions.items():
            had = systems.setdefault(name, {}).setdefault(str(version), {})
            had[trial.system.name] = None
    different = "; ".join(
        f"{name} " + " and ".join(f"{version} ({', '.join(had)})" for version, had in found.items())
        for name, found in systems.items()
        if len(found) > 1
    )
    return Table(
        title="Machines and stacks",
        columns=["system / runtime", "host", "processor", "stack"],
        rows=[[", ".join(sorted(names)), *key] for key, names in stacks.items()],
        note=f"Stacks differ: {different}." if different else "",
    )
