"""What searches have found: up to which rate of arrivals each system keeps its quality, and what every rate has shown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from orchestrator.analysis.campaign_analysis import CampaignAnalysis
from orchestrator.analysis.capacity import is_probe
from orchestrator.analysis.capacity_rows import NOT_MEASURED
from orchestrator.analysis.load import NOT_KEPT
from orchestrator.report.condensed import condensed
from orchestrator.report.standings import Ranking
from orchestrator.report.table import WHO, Marks, Row, Table, rows_of
from orchestrator.report.text import quality, quality_within
from orchestrator.stats.capacity_search import HIGHEST, WIDTH

NOTE = (
    "certified up to: the highest rate that is shown to keep the required quality; refuted from: the lowest that is shown not to. At most "
    "5 % of searches give any wrong verdict. of closed loop: the certified rate as a share of the throughput back to back."
)
WIDE_NOTE = (
    " Wider than 10 %: rates between stay undecided, 12 rates were measured, or time was up; --minutes or --max-seconds give more of it."
)
PROBES_NOTE = (
    "Tail quality on the response clock, a mean over the streams that the verdict rests on. In brackets its interval, at the confidence "
    "that all rates and looks of a search share."
)


def searches(results: CampaignAnalysis) -> list[list[Row]]:
    """Return the rows of ``capacity.parquet`` by search, each by rising rate."""
    found: dict[int, list[Row]] = {}
    for group in results.groups:
        for row in rows_of(results, "capacity", group):
            found.setdefault(row["search"], []).append(row)
    return [sorted(rows, key=lambda row: float(row["rate_per_s"] or 0.0)) for rows in found.values()]


def by_task(results: CampaignAnalysis) -> dict[tuple[str, str], list[list[Row]]]:
    """Return the searches by task and deadline."""
    found: dict[tuple[str, str], list[list[Row]]] = {}
    for rows in searches(results):
        found.setdefault((rows[0]["task"], rows[0]["threshold"]), []).append(rows)
    return found


def unsearched(ranked: Sequence[Ranking]) -> list[Ranking]:
    """Return the rankings of trials that are no part of a search: how these rank at one rate and another answers nothing."""
    return [one for one in ranked if not any(is_probe(data.record.trial) for data in one.group.trials)]


def capacity_sentences(results: CampaignAnalysis) -> Iterator[str]:
    """Yield in words what each search has found."""
    for rows in searches(results):
        row = rows[0]
        if is_unmeasured(rows):
            yield f"{row['task']} under {row['load']}, {' '.join(row[name] for name in WHO)}: {_unmeasured_text(row)}."
            continue
        name = " ".join(row[name] for name in WHO)
        refuted, certified = refuted_text(row["refuted_per_s"], rows), certified_text(row["certified_per_s"])
        until = refuted if row["refuted_per_s"] is None else f"refuted from {refuted}"
        kept = f"certified up to {certified}" if row["certified_per_s"] is not None else "certified at no rate"
        yield f"{row['task']} under {row['load']}, {name}: {_required(row)} within {row['threshold']} is {kept}, {until}."


def bracket_tables(results: CampaignAnalysis) -> Iterator[Table]:
    """Yield per task and deadline what its searches have found; nothing where nothing was searched."""
    for (task, threshold), found in by_task(results).items():
        heads = ["certified up to", "refuted from", "of closed loop"]
        wide = any(_wide(rows[0]) for rows in found)
        marks = Marks(flags_of_search(rows) for rows in found if not is_unmeasured(rows))
        made = Table(
            title=f"Capacity of {task}: {_required(found[0][0])} within {threshold}",
            columns=[*WHO, "batch", "load", *heads],
            rows=[[*who(rows[0]), *_found(rows, marks)] for rows in found],
            note=NOTE + (WIDE_NOTE if wide else "") + marks.note(),
            right=frozenset(heads),
        )
        yield condensed(made, [*heads, "system"])


def probe_tables(results: CampaignAnalysis) -> Iterator[Table]:
    """Yield per task and deadline what every rate has shown; nothing where none was measured."""
    for (task, threshold), found in by_task(results).items():
        rows = [row for of_search in found if not is_unmeasured(of_search) for row in of_search]
        if not rows:
            continue
        marks = Marks(rows)
        heads = ["rate", "streams", "kept", "interval"]
        made = Table(
            title=f"Rates measured of {task}: {_required(rows[0])} within {threshold}",
            columns=[*WHO, "batch", "load", *heads, "verdict"],
            rows=[
                [
                    *who(row),
                    f"{row['rate_per_s']:.4g}/s",
                    str(row["streams"]),
                    quality(row["mean"]) + marks.of(row),
                    quality_within(row["interval_low"], row["interval_high"]),
                    row["verdict"],
                ]
                for row in rows
            ],
            note=PROBES_NOTE + marks.note(),
            right=frozenset(heads),
        )
        yield condensed(made, [*heads, "system", "verdict"])


def capacity_tables(results: CampaignAnalysis) -> Iterator[Table]:
    """Yield all that is told of searches."""
    yield from bracket_tables(results)
    yield from probe_tables(results)


def who(row: Row) -> list[str]:
    """Return what tells one search from another."""
    return [*(row[name] for name in WHO), str(row["batch"]), row["load"]]


def _required(row: Row) -> str:
    return f"{100 * row['keep']:g} % of {row['metric']}"


def _found(rows: Sequence[Row], marks: Marks) -> list[str]:
    """Return the cells of one search."""
    row = rows[0]
    if is_unmeasured(rows):
        return ["no rate measured", _needs(row) or "-", "-"]
    certified, refuted, closed = row["certified_per_s"], row["refuted_per_s"], row["closed_per_s"]
    share = "-" if certified is None or closed is None else f"{100 * certified / closed:.0f} %"
    highest = float(rows[-1]["rate_per_s"])
    return [
        certified_text(certified) + marks.of(flags_of_search(rows)),
        f"{refuted:.4g}/s" if refuted is not None else f"not by {highest:.4g}/s",
        share,
    ]


def is_unmeasured(rows: Sequence[Row]) -> bool:
    """Return whether a search has measured no rate."""
    return bool(rows[0]["verdict"] == NOT_MEASURED)


def _unmeasured_text(row: Row) -> str:
    """Say that no rate was measured, and what would measure one."""
    of_budget = "" if row["minutes"] is None else f" in --minutes {row['minutes']:g}"
    remedy = f"a search {_needs(row)}" if _needs(row) else "`resume` goes on, or a new search with more --minutes"
    return f"{_required(row)} within {row['threshold']}: no rate was measured{of_budget}; {remedy}"


def _needs(row: Row) -> str:
    return "" if row["minutes_needed"] is None else f"needs about {row['minutes_needed']:g} min"


def flags_of_search(rows: Sequence[Row]) -> Row:
    """Return the flags of the certified rate, and, where rates stay undecided, that their schedules were not kept: those decide nothing."""
    certified = [flag for row in rows if row["rate_per_s"] == row["certified_per_s"] for flag in row["flags"]]
    undecided = [NOT_KEPT] if any(row["verdict"] == "undecided" and NOT_KEPT in row["flags"] for row in rows) else []
    return {"flags": list(dict.fromkeys([*certified, *undecided]))}


def certified_text(certified: float | None) -> str:
    """Write up to which rate quality is kept, in samples a second."""
    return "no rate" if certified is None else f"{certified:.4g}/s"


def refuted_text(refuted: float | None, rows: Sequence[Row]) -> str:
    """Write from which rate it is not; where none was found, up to which it was looked for."""
    if refuted is not None:
        return f"{refuted:.4g}/s"
    closed, highest = rows[0]["closed_per_s"], float(rows[-1]["rate_per_s"])
    whole = closed is not None and highest >= 0.999 * HIGHEST * closed
    return f"not refuted by {highest:.4g}/s" + (f" ({HIGHEST:g} x closed loop)" if whole else "")


def _wide(row: Row) -> bool:
    certified, refuted = row["certified_per_s"], row["refuted_per_s"]
    return certified is not None and refuted is not None and refuted > WIDTH * certified
