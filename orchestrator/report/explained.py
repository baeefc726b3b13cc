"""What is said of slow rounds: a table of trials, a table of evidence, and sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from orchestrator.analysis.campaign_analysis import CampaignAnalysis, Row, rows_of
from orchestrator.analysis.groups import Group
from orchestrator.analysis.tables.explain import BY_NAME, TOO_FEW
from orchestrator.report.table import Marks, Table, bound, who, who_columns
from orchestrator.report.text import milliseconds, per_cent, quality
from orchestrator.stats.slow_rounds import LEVEL
from orchestrator.stats.times import Clock

NOTE = (
    "Late: share of inferences beyond the threshold; of the variance of being late, which part goes with the sample (the input's fault), "
    "with the round (the machine's) and with neither (the system's own). First cause: the stored evidence that moves with late answers or "
    "with the time of rounds, and its rank correlation; a sign tells that the process waited, and not for whom. Of all evidence of a trial "
    "together a false name comes in at most 5 % of trials. Quiet and disturbed: mean tail quality in the rounds with little and with much "
    "of it; no round is dropped."
)
PARTS = {"by_sample": "the sample (the input's fault)", "by_round": "the round (the machine's)", "by_neither": "neither (the system's own)"}


def slow_rounds_tables(results: CampaignAnalysis) -> Iterator[Table]:
    """Yield per task what the late answers of each trial go with."""
    for group in results.groups:
        if rows := rows_of(results, "explain", group):
            yield slow_rounds_table(group, rows)


def slow_rounds_table(group: Group, rows: Sequence[Row]) -> Table:
    """Return one row per trial, from rows of ``explain.parquet`` that are the group's."""
    firsts = list({row["trial"]: row for row in reversed(rows)}.values())[::-1]
    primary = group.thresholds.primary
    assert primary is not None  # or there were no rows
    marks = Marks(firsts)
    heads = ["late", "by sample", "by round", "by neither", "quiet", "disturbed"]
    return Table(
        title=f"Slow rounds of {group.task} ({firsts[0]['metric']}, {group.clock} time) within {bound(primary)}",
        columns=[*who_columns(group), *heads[:4], "first cause", *heads[4:]],
        rows=[
            [
                *who(row, group),
                per_cent(row["late"]) + marks.of(row),
                *(per_cent(row[name]) for name in ("by_sample", "by_round", "by_neither")),
                first_cause(row),
                *(_side(row, side) if row["place"] is not None else "-" for side in ("quiet", "disturbed")),
            ]
            for row in firsts
        ],
        note=NOTE + marks.note(),
        right=frozenset(heads),
    )


def evidence_tables(results: CampaignAnalysis) -> Iterator[Table]:
    """Yield per task how each stored evidence moves with late answers and with the time of rounds."""
    for group in results.groups:
        if rows := rows_of(results, "explain", group):
            yield _evidence_table(f"Evidence of slow rounds of {group.task}", who_columns(group), [(who(row, group), row) for row in rows])


def evidence_table(trial_id: str, rows: Sequence[Row]) -> Table:
    """Return the same of one trial."""
    return _evidence_table(f"Evidence of {trial_id}", [], [([], row) for row in rows])


def _evidence_table(title: str, names: Sequence[str], rows: Sequence[tuple[list[str], Row]]) -> Table:
    heads = ["with late answers (p)", "with time (p)"]
    return Table(
        title=title,
        columns=[*names, "place", "evidence", "role", *heads],
        rows=[
            [
                *whose,
                str(row["place"] or "-"),
                row["evidence"],
                row["role"],
                *(_with_p(row[f"{harm}_correlation"], row[f"{harm}_p"]) for harm in ("late", "time")),
            ]
            for whose, row in rows
        ],
        note="Rank correlations over rounds, a straight line taken out, each with its p-value: one-sided, adjusted for all tests of the "
        f"trial. With either up to {LEVEL:g} the evidence is named and has a place. A dash: constant, or other than its median in fewer "
        "than 6 rounds.",
        right=frozenset(["place", *heads]),
    )


def sentences(rows: Sequence[Row], clock: Clock) -> Iterator[str]:
    """Yield what a trial's rows of ``explain.parquet`` say, whose answers are late by a clock."""
    first = rows[0]
    label = "" if first["threshold_origin"] == "absolute" else f"{first['threshold']} of the reference; "
    time = milliseconds(first["threshold_ns"])
    yield f"{per_cent(first['late'])} of inferences take longer than {time} ({label}{clock} time, {first['rounds']} rounds)."
    if first["by_round"] is not None:
        told = [f"{per_cent(first[name])} with {whose}" for name, whose in PARTS.items() if first[name] is not None]
        yield f"Of the variance of being late goes {', '.join(told)}."
    named = [row for row in rows if row["place"] is not None]
    if not named:
        why = f" ({TOO_FEW})" if TOO_FEW in first["flags"] else ""
        yield f"No stored evidence moves with late answers or with the time of rounds{why}."
        return
    if first["role"] == "sign":
        yield "No cause is named: what moves with slow rounds tells that the process waited, and not for whom."
    what = "First cause" if first["role"] == "cause" else "Sign"
    yield f"{what}: {first['evidence']} ({_moves(first)}). Remedy: {BY_NAME[first['evidence']].remedy}."
    sides = {side: (first[f"{side}_mean"], first[f"{side}_late"], first[f"{side}_rounds"]) for side in ("quiet", "disturbed")}
    if all(mean is not None for mean, _, _ in sides.values()):
        told = [f"{quality(mean)} in {count} {side} rounds ({per_cent(late)} late)" for side, (mean, late, count) in sides.items()]
        yield f"Tail quality is {' and '.join(told)}; no round is dropped."
    for row in named[1:]:
        yield f"{'Also' if row['role'] == 'cause' else 'Sign'}: {row['evidence']} ({_moves(row)})."


def _moves(row: Row) -> str:
    """Say what moves with the evidence, late answers first."""
    harm = "late answers" if row["late_p"] <= LEVEL else "the time of rounds"
    name = "late" if row["late_p"] <= LEVEL else "time"
    return f"moves with {harm}, rank correlation {_correlation(row[f'{name}_correlation'])}, p {row[f'{name}_p']:.3f}"


def first_cause(row: Row) -> str:
    """Return the first named evidence of slow rounds with its correlation, from a row of ``explain.parquet``."""
    if row["place"] is None:
        return "too few rounds" if TOO_FEW in row["flags"] else "none named"
    known = [row[name] for name in ("late_correlation", "time_correlation") if row[name] is not None]
    name = row["evidence"] if row["role"] == "cause" else f"none, a sign: {row['evidence']}"
    return f"{name} ({max(known):.2f})"


def _side(row: Row, side: str) -> str:
    mean = row[f"{side}_mean"]
    return "-" if mean is None else f"{quality(mean)} in {row[f'{side}_rounds']}"


def _with_p(correlation: float | None, p_value: float) -> str:
    return "-" if correlation is None else f"{correlation:.2f} ({p_value:.3f})"


def _correlation(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
