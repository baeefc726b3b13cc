"""What is said of replayed trials: tail quality by rate, and how late answers follow each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from orchestrator.analysis.campaign_analysis import Row
from orchestrator.analysis.groups import Group
from orchestrator.analysis.load import FEW_STREAMS, OVERLOADED
from orchestrator.report.table import Marks, Table, condensed, mean_within, who, who_columns
from orchestrator.report.text import milliseconds, per_cent, quality, quality_within

ABOUT_QUALITY = (
    "Played back from times of a closed loop, which idling and other work of a real load would change. closed: tail quality of the same "
    "rounds, each sample started when the last had ended. kept: late and dropped samples count as failed; a mean over streams with its "
    "95 % interval."
)
ABOUT_FALLBACK = " with fallback: {} answers on a machine of its own what is late here."
ABOUT_STREAKS = (
    "late: of all answers, dropped ones included. stale p99: age of the last answer on time when an answer is due, in arrivals. streak: "
    "most late answers in a row. warnings: stretches of late answers. silence: the longest time from when a late answer was due to the "
    "next one on time."
)


ABOUT_MEASURED = (
    "The same trial as it was measured under this load. times: its mean total time against the closed loop's. after idling: the penalty of "
    "idling, by how much the median of samples that found the server idle lies above the closed loop's median: clocks and caches are "
    "colder then. A replay knows neither."
)
ABOUT_HELD = (
    " held: quality if the last answer on time is kept until the next, replayed and measured. Samples come in random order; pictures of a "
    "camera resemble the one before, and would keep more."
)


REMEDIES = {
    OVERLOADED: "samples arrive faster than they are answered, and figures grow with the length of a stream; lower --rate",
    FEW_STREAMS: "the rounds of a stream share a queue; here a stream is a visit of the closed loop, of which it takes 12 or more",
}
"""What flags mean of a replay, which has no load of its own."""


def words_of(row: Row) -> str:
    """Return what was asked: the law, the rule and the bound, such as ``poisson, newest, within 50 ms``."""
    law = row["law"] + (f" of burstiness {row['burstiness']:g}" if row["burstiness"] is not None else "")
    groups = [f"in groups of {row['group']}"] if row["group"] > 1 else []
    limit = [f"at most {row['queue_limit']} waiting"] if row["queue_limit"] is not None else []
    bound = row["threshold"] + (f" ({milliseconds(row['threshold_ns'])})" if row["threshold_origin"] == "reference" else "")
    return ", ".join([law, *groups, row["policy"], *limit, f"response within {bound}"])


def replay_tables(group: Group, rows: Sequence[Row]) -> Iterator[Table]:
    """Yield the tables of a group, from its rows of ``replay.parquet``, at least one."""
    yield _quality_table(group, rows)
    yield _streaks_table(group, rows)
    if measured := [row for row in rows if row["measured"] is not None]:
        yield _measured_table(group, measured)


def _quality_table(group: Group, rows: Sequence[Row]) -> Table:
    marks = Marks(rows, remedies=REMEDIES)
    heads = ["utilisation", "closed", "kept", "95 % interval"]
    both = ["with fallback", "its interval"] if any(row["fallback"] for row in rows) else []
    made = Table(
        title=f"Replay of {group.task} ({rows[0]['metric']}): {words_of(rows[0])}",
        columns=[*who_columns(group), "rate", *heads, *both],
        rows=[
            [
                *who(row, group),
                f"{row['rate_per_s']:g}/s",
                f"{row['utilisation']:.2f}",
                quality(row["closed_mean"]),
                quality(row["mean"]) + marks.of(row),
                quality_within(row["interval_low"], row["interval_high"]),
                *(_both(row) if both else []),
            ]
            for row in rows
        ],
        note=ABOUT_QUALITY + "".join(ABOUT_FALLBACK.format(name) for name in _fallbacks(rows)) + marks.note(),
        right=frozenset(["rate", *heads, *both]),
    )
    return condensed(made, ["rate", "kept"])


def _fallbacks(rows: Sequence[Row]) -> list[str]:
    return sorted({row["fallback"] for row in rows if row["fallback"]})


def _both(row: Row) -> list[str]:
    if row["fallback"] is None:
        return ["-", "-"]
    return [quality(row["fallback_mean"]), quality_within(row["fallback_low"], row["fallback_high"])]


def _streaks_table(group: Group, rows: Sequence[Row]) -> Table:
    first = rows[0]
    heads = ["late", "dropped", "mean wait", "p99 response", "stale p99", "streak", "warnings", "silence"]
    window = [] if first["window_late"] is None else [f"{first['window_late']} of {first['window_length']}"]
    errors = [] if first["error_after_ns"] is None else ["errors"]
    heads += [*window, *errors]
    note = ABOUT_STREAKS
    if window:
        note += f" {window[0]}: share of windows of {first['window_length']} answers with at least {first['window_late']} late."
    if errors:
        note += f" errors: silences of more than {milliseconds(first['error_after_ns'])}."
    made = Table(
        title=f"Late answers of {group.task} one after another, of {rows[0]['arrivals']:,} arrivals each"
        if len({row["arrivals"] for row in rows}) == 1
        else f"Late answers of {group.task} one after another",
        columns=[*who_columns(group), "rate", *heads],
        rows=[
            [
                *who(row, group),
                f"{row['rate_per_s']:g}/s",
                per_cent(row["late"]),
                per_cent(row["dropped"]),
                milliseconds(row["mean_wait_ns"]),
                milliseconds(row["response_p99_ns"]),
                str(row["staleness_p99"]),
                str(row["longest_streak"]),
                str(row["warnings"]),
                milliseconds(row["longest_silence_ns"]),
                *([per_cent(row["windows_broken"])] if window else []),
                *([str(row["errors"])] if errors else []),
            ]
            for row in rows
        ],
        note=note,
        right=frozenset(["rate", *heads]),
    )
    return condensed(made, ["rate", "late"])


def _measured_table(group: Group, rows: Sequence[Row]) -> Table:
    held = any(row["measured_held"] is not None for row in rows)
    heads = ["replayed", "measured", "times", "after idling", *(["held"] if held else [])]
    made = Table(
        title=f"Replayed and measured, of {group.task} ({rows[0]['metric']}): {words_of(rows[0])}",
        columns=[*who_columns(group), "rate", *heads],
        rows=[
            [
                *who(row, group),
                f"{row['rate_per_s']:g}/s",
                mean_within(row),
                _measured(row),
                _change(row["service_change"]),
                _change(row["idle_penalty"]),
                *([_held(row)] if held else []),
            ]
            for row in rows
        ],
        note=ABOUT_MEASURED + (ABOUT_HELD if held else ""),
        right=frozenset(["rate", *heads]),
    )
    return condensed(made, ["rate", *heads])


def _measured(row: Row) -> str:
    if row["measured_mean"] is None:
        return "-"
    return f"{quality(row['measured_mean'])} {quality_within(row['measured_low'], row['measured_high'])}"


def _held(row: Row) -> str:
    return "; ".join("-" if row[name] is None else quality(row[name]) for name in ("held_mean", "measured_held"))


def _change(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:+.1f} %"
