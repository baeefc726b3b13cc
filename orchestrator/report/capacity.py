"""What searches have found: up to which rate of arrivals each system keeps its quality, and what every rate has shown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from orchestrator.analysis.campaign_analysis import CampaignAnalysis, Row, rows_of
from orchestrator.analysis.capacity import is_probe
from orchestrator.analysis.ranking import WHO, Ranking
from orchestrator.analysis.tables.capacity import NOT_MEASURED
from orchestrator.report.table import Marks, Table, condensed
from orchestrator.report.text import quality, quality_within

NOTE = (
    "certified up to: the highest rate at which at least 80 % of streams are shown to keep the required quality; at most 5 % of searches "
    "certify too high a rate. estimate: the rate at which mean quality falls below it, with its 95 % interval. of closed loop: the "
    "certified rate as a share of the throughput back to back."
)
RATES_NOTE = (
    "kept: tail quality on the response clock, a mean over streams, with its 95 % interval. streams kept: so many of them keep what is "
    "required. Rates of the pilot lead to the estimate; the others are tested one after another, ascending, until one fails."
)


def searches(results: CampaignAnalysis) -> list[list[Row]]:
    """Return the rows of ``capacity.parquet`` by search, each by rising rate."""
    found: dict[int, list[Row]] = {}
    for group in results.groups:
        for row in rows_of(results, "capacity", group):
            found.setdefault(row["search"], []).append(row)
    return [sorted(rows, key=lambda row: (row["verdict"] == "pilot", float(row["rate_per_s"] or 0.0))) for rows in found.values()]


def by_task(results: CampaignAnalysis) -> dict[tuple[str, str], list[list[Row]]]:
    """Return the searches by task and deadline."""
    found: dict[tuple[str, str], list[list[Row]]] = {}
    for rows in searches(results):
        found.setdefault((rows[0]["task"], rows[0]["threshold"]), []).append(rows)
    return found


def unsearched(ranked: Sequence[Ranking]) -> list[Ranking]:
    """Return the rankings of trials that are no part of a search: how these rank at one rate and another answers nothing."""
    return [one for one in ranked if not any(is_probe(data.record.trial) for data in one.group.trials)]


def bracket_tables(results: CampaignAnalysis) -> Iterator[Table]:
    """Yield per task and deadline what its searches have found; nothing where nothing was searched."""
    for (task, threshold), found in by_task(results).items():
        heads = ["certified up to", "estimate", "of closed loop"]
        marks = Marks(flags_of_search(rows) for rows in found)
        made = Table(
            title=f"Capacity of {task}: {_required(found[0][0])} within {threshold}",
            columns=[*WHO, "batch", "load", *heads],
            rows=[[*who(rows[0]), *_found(rows, marks)] for rows in found],
            note=NOTE + marks.note(),
            right=frozenset(heads),
        )
        yield condensed(made, [*heads, "system"])


def probe_tables(results: CampaignAnalysis) -> Iterator[Table]:
    """Yield per task and deadline what every rate has shown; nothing where none was measured."""
    for (task, threshold), found in by_task(results).items():
        rows = [row for of_search in found for row in of_search if row["verdict"] != NOT_MEASURED]
        if not rows:
            continue
        marks = Marks(rows)
        heads = ["offered", "delivered", "kept", "interval", "streams kept"]
        made = Table(
            title=f"Rates measured of {task}: {_required(rows[0])} within {threshold}",
            columns=[*WHO, "batch", "load", *heads, "verdict", "why"],
            rows=[
                [
                    *who(row),
                    _rate(row["rate_per_s"]),
                    _rate(row["delivered_per_s"]),
                    quality(row["mean"]) + marks.of(row),
                    quality_within(row["interval_low"], row["interval_high"]),
                    f"{row['streams_kept']} of {row['streams']}",
                    row["verdict"],
                    "" if row["verdict"] == "pilot" and row["why"][:1].isdigit() else row["why"],
                ]
                for row in rows
            ],
            note=RATES_NOTE + marks.note(),
            right=frozenset(heads),
        )
        yield condensed(made, [*heads, "system", "verdict", "why"])


def capacity_tables(results: CampaignAnalysis) -> Iterator[Table]:
    """Yield all that is told of searches."""
    yield from bracket_tables(results)
    yield from probe_tables(results)


def who(row: Row) -> list[str]:
    """Return what tells one search from another."""
    return [*(row[name] for name in WHO), str(row["batch"]), row["load"]]


def estimate_text(row: Row) -> str:
    """Write the estimate with its interval, in samples a second; nothing known lies beyond the rates of the pilot."""
    if row["estimate_per_s"] is None:
        return "-"
    low, high = row["estimate_low_per_s"], row["estimate_high_per_s"]
    limits = f"[{'-' if low is None else f'{low:.3g}'}, {'-' if high is None else f'{high:.3g}'}]"
    return f"{row['estimate_per_s']:.3g}/s {limits}"


def flags_of_search(rows: Sequence[Row]) -> Row:
    """Return the flags of the certified rate."""
    certified = certified_row(rows)
    return {"flags": certified["flags"] if certified else []}


def certified_row(rows: Sequence[Row]) -> Row | None:
    """Return the row of the certified rate of a search; None without one."""
    return next((row for row in rows if row["verdict"] == "kept" and row["rate_per_s"] == row["certified_per_s"]), None)


def _required(row: Row) -> str:
    return f"{100 * row['keep']:g} % of {row['metric']}"


def _rate(rate_per_s: float | None) -> str:
    return "-" if rate_per_s is None else f"{rate_per_s:.4g}/s"


def _found(rows: Sequence[Row], marks: Marks) -> list[str]:
    """Return the cells of one search."""
    row = rows[0]
    certified, closed = row["certified_per_s"], row["closed_per_s"]
    share = "-" if certified is None or closed is None else f"{100 * certified / closed:.0f} %"
    return [("no rate" if certified is None else _rate(certified)) + marks.of(flags_of_search(rows)), estimate_text(row), share]
