"""A comparison in words: what the gate says, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from orchestrator.analysis.compare_campaigns import ALARM, SEVERITY, UNDECIDED, Comparison
from orchestrator.analysis.compare_rows import NO_VERDICT, Compared
from orchestrator.report.text import milliseconds, signed, trials_counted
from orchestrator.stats.comparison import Difference
from orchestrator.stats.gate import FEWEST_REPEATS

UNKNOWN = "noise floor unknown"


def sentences(comparison: Comparison, gated: bool, allow_no_verdict: bool) -> Iterator[str]:
    """Yield what was compared, what came out, and what the gate says where it was asked."""
    before, after = comparison.before, comparison.after
    yield (
        f"Baseline: {before.name}, measured {before.measured_at:%Y-%m-%d %H:%M} UTC with version {before.code_version}. "
        f"Candidate: {after.name}, measured {after.measured_at:%Y-%m-%d %H:%M} UTC with version {after.code_version}."
    )
    kinds = outcomes(comparison)
    counted = ", ".join(f"{kinds[kind]} {kind}" for kind in SEVERITY if kinds[kind])
    yield f"{trials_counted(kinds.total())} of the baseline: {counted}."
    if comparison.only_after:
        yield f"Only the candidate has {', '.join(comparison.only_after)}: told, and not judged."
    if gated:
        yield f"Gate: {gate_sentence(comparison, allow_no_verdict)}"


def outcomes(comparison: Comparison) -> Counter[str]:
    """Return how many trials came out how; of several thresholds the worst one counts."""
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
