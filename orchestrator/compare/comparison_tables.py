"""The tables of a comparison, for a terminal, a pull request and a page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from orchestrator.compare.campaigns import ALARM, SEVERITY, UNDECIDED, Comparison
from orchestrator.compare.rows import NO_VERDICT, Compared
from orchestrator.report.table import Table
from orchestrator.report.text import milliseconds, quality, signed, trials_counted
from orchestrator.stats.comparison import Difference
from orchestrator.stats.gate import FEWEST_REPEATS

UNKNOWN = "noise floor unknown"


def sentences(comparison: Comparison, gated: bool, allow_no_verdict: bool) -> Iterator[str]:
    """Yield what was compared, what came out, and what the gate says if it was asked."""
    before, after = comparison.before, comparison.after
    yield (
        f"Baseline: {before.name}, measured {before.measured_at:%Y-%m-%d %H:%M} UTC with version {before.code_version}. "
        f"Candidate: {after.name}, measured {after.measured_at:%Y-%m-%d %H:%M} UTC with version {after.code_version}."
    )
    kinds = outcomes(comparison)
    counted = ", ".join(f"{kinds[kind]} {kind}" for kind in SEVERITY if kinds[kind])
    yield f"{trials_counted(kinds.total())} of the baseline: {counted}."
    if comparison.only_after:
        yield f"Only the candidate has {', '.join(comparison.only_after)}: listed, not judged."
    if gated:
        yield f"Gate: {gate_sentence(comparison, allow_no_verdict)}"


def outcomes(comparison: Comparison) -> Counter[str]:
    """Count the trials by outcome; of several thresholds the worst one counts."""
    worst: dict[str, str] = {}
    for row in comparison.rows:
        worst.setdefault(row.match_key, row.kind)
    return Counter(worst.values())


def gate_sentence(comparison: Comparison, allow_no_verdict: bool) -> str:
    """Return what the gate says."""
    kinds = outcomes(comparison)
    code = comparison.exit_code(allow_no_verdict)
    if code == ALARM:
        return f"not passed: {', '.join(f'{kinds[kind]} {kind}' for kind in SEVERITY[:3] if kinds[kind])}."
    if code == UNDECIDED:
        return f"no verdict on {trials_counted(kinds[NO_VERDICT])}: {_reasons(comparison)}."
    if kinds[NO_VERDICT]:
        count = kinds[NO_VERDICT]
        return f"passed, although {trials_counted(count)} {'has' if count == 1 else 'have'} no verdict, which was allowed."
    return "passed."


def _reasons(comparison: Comparison) -> str:
    """Return why trials have no verdict, each reason once."""
    reasons = dict.fromkeys(row.outcome.partition(": ")[2] for row in comparison.rows if row.kind == NO_VERDICT)
    remedy = {UNKNOWN: f"{UNKNOWN}, at least {FEWEST_REPEATS} repeats a side are needed (measurement.repeat={FEWEST_REPEATS})"}
    return "; ".join(remedy.get(reason, reason) for reason in reasons)


def threshold_text(row: Compared) -> str:
    """Write the threshold of a row with its time, or a dash."""
    if row.threshold is None:
        return "-"
    if row.threshold.origin == "absolute":
        return row.threshold.label
    return f"baseline's {row.threshold.label} = {milliseconds(row.threshold.ns)}"


def fresh_processes_text(row: Compared) -> str:
    """Write the difference between means over repeats with its bounds, or a dash."""
    if row.verdict is None:
        return "-"
    found = row.verdict
    known = found.degrees > 0 and found.high < float("inf")
    return f"{signed(found.difference)} {f'[{signed(found.low)}, {signed(found.high)}]' if known else '[unknown]'}"


def difference_text(found: Difference | None) -> str:
    """Write a difference over rounds with its 95 % interval, or a dash."""
    if found is None:
        return "-"
    known = found.low > -float("inf")
    return f"{signed(found.difference)} {f'[{signed(found.low)}, {signed(found.high)}]' if known else '[unknown]'}"


def slow_down_text(row: Compared) -> str:
    """Write the smallest slow-down that would be found."""
    if row.verdict is None or row.verdict.detectable_drop == float("inf"):
        return f"unknown: at least {FEWEST_REPEATS} repeats a side are needed"
    if row.slow_down is None:
        return "none: no slow-down costs that much quality here"
    percent = 100 * row.slow_down
    return f"all times {percent:.0f} % longer" if percent >= 10 else f"all times {percent:.2g} % longer"


NOTE = (
    "Mean tail quality on the total clock, candidate minus baseline; a negative difference is a loss. fresh processes: means of repeats, "
    "with one-sided bounds that hold for all rows together (family-wise 5 %, Holm); the verdict rests on it alone. this data set: rounds "
    "of these processes, 95 %. samples like these: rounds and samples, 95 %. no difference shown does not say that there is none."
)
POWER_NOTE = (
    "Smallest drop of quality that these repeats would find with 90 % probability, and the slow-down of all times of the baseline that "
    "costs as much. The noise of the repeats is taken as known; from few repeats it is a rough figure."
)


def comparison_tables(comparison: Comparison, power: bool) -> Iterator[Table]:
    """Yield the verdicts, what the repeats can find if that was asked for, and what else changed."""
    yield _verdicts(comparison)
    if power:
        yield _power(comparison)
    if comparison.changes:
        yield Table(
            title="What else changed",
            columns=["what", "baseline", "candidate", "systems"],
            rows=[[change.name, change.before, change.after, ", ".join(change.systems) or "all"] for change in comparison.changes],
        )


def _verdicts(comparison: Comparison) -> Table:
    who = _who_columns(comparison)
    figures = ["before", "now", "fresh processes", "this data set", "samples like these"]
    rows = []
    for row in comparison.rows:
        scopes = row.scopes
        rows.append(
            [
                *_who(row, who),
                threshold_text(row),
                _mean(row.means_before),
                _mean(row.means),
                fresh_processes_text(row),
                difference_text(scopes.this_data_set),
                difference_text(scopes.samples_like_these),
                row.outcome + (f" ({row.why})" if row.why else ""),
                ", ".join(row.flags),
            ]
        )
    return Table("Comparison with the baseline", [*who, "threshold", *figures, "verdict", "flags"], rows, NOTE, frozenset(figures))


def _power(comparison: Comparison) -> Table:
    who = _who_columns(comparison)
    rows = []
    for row in comparison.rows:
        if row.verdict is None:
            continue
        known = row.verdict.detectable_drop < float("inf")
        counts = f"{row.verdict.repeats_a} and {row.verdict.repeats_b}"
        drop = f"{row.verdict.detectable_drop:.3f}" if known else "-"
        rows.append([*_who(row, who), threshold_text(row), counts, drop, slow_down_text(row)])
    return Table(
        "What these repeats would find", [*who, "threshold", "repeats", "drop", "slow-down"], rows, POWER_NOTE, frozenset(["drop"])
    )


def _who_columns(comparison: Comparison) -> list[str]:
    """Return the columns that tell the trials apart; their match key where names do not."""
    plain = ["model", "system", "runtime"]
    optional = [name for name in ("task", "batch") if len({_label(row, name) for row in comparison.rows}) > 1]
    columns = [*(name for name in optional if name == "task"), *plain, *(name for name in optional if name == "batch")]
    named = {(row.match_key, *_who(row, columns)) for row in comparison.rows}
    return columns if len({name[1:] for name in named}) == len(named) else ["trial", *columns]


def _who(row: Compared, columns: list[str]) -> list[str]:
    return [_label(row, column) for column in columns]


def _label(row: Compared, column: str) -> str:
    trial = row.trial
    labels = {"trial": row.match_key, "batch": str(trial.measurement.batch)}
    return labels.get(column) or str(getattr(trial, column).name)


def _mean(means: tuple[float, ...]) -> str:
    return quality(sum(means) / len(means)) if means else "-"
