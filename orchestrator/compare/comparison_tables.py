"""The tables of a comparison, for a terminal, a pull request and a page."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from orchestrator.analysis.capacity import Search
from orchestrator.compare.campaigns import Comparison, names_of_search
from orchestrator.compare.differences import LOAD_DIFFERS
from orchestrator.compare.rows import Compared, percent, say
from orchestrator.report.table import Table, condensed
from orchestrator.report.text import milliseconds, quality, quality_within, signed
from orchestrator.stats.constants import FEWEST_REPEATS
from orchestrator.stats.pair import Difference


def threshold_text(row: Compared) -> str:
    """Write the threshold of a row with its time, or a dash."""
    if row.threshold is None:
        return "-"
    absolute = row.threshold.origin == "absolute"
    return row.threshold.label if absolute else f"baseline's {row.threshold.label} = {milliseconds(row.threshold.ns)}"


def _mean(means: Sequence[float], interval: tuple[float, float] | None) -> str:
    if not means:
        return "-"
    return f"{quality(sum(means) / len(means))}{'' if interval is None else f' {quality_within(*interval)}'}"


def _difference(found: Difference | None) -> str:
    if found is None:
        return "-"
    return f"{signed(found.difference)}{'' if found.method == 'none' else f' [{signed(found.low)}, {signed(found.high)}]'}"


def _slow_down(row: Compared) -> str:
    if row.verdict is None or math.isinf(row.verdict.detectable_drop):
        return f"unknown: at least {FEWEST_REPEATS} pairs are needed"
    return "none: no slow-down costs that much quality here" if row.slow_down is None else f"all times {percent(row.slow_down)} longer"


def _smallest(row: Compared) -> str:
    if row.verdict is None or math.isinf(row.smallest_effect):
        return "-" if row.verdict is None else "none"
    return percent(row.smallest_effect) + ("" if row.slowed else " of quality")


def _verdict(row: Compared) -> str:
    """Write the verdict with its reason, and mark one of sides whose load differs."""
    reasons = [reason for reason in (row.why, LOAD_DIFFERS if LOAD_DIFFERS in row.flags else "") if reason]
    return f"{row.outcome} ({'; '.join(reasons)})" if reasons else row.outcome


# What names a trial, and every column of a table of verdicts.
NAMES: Mapping[str, Callable[[Compared], str]] = {
    "trial": lambda row: row.match_key,
    "task": lambda row: row.trial.task.name,
    "model": lambda row: row.trial.model.name,
    "system": lambda row: row.trial.system.name,
    "runtime": lambda row: row.trial.runtime.name,
    "batch": lambda row: str(row.trial.measurement.batch),
}
COLUMNS: Mapping[str, Callable[[Compared], str]] = {
    **NAMES,
    "threshold": threshold_text,
    "before": lambda row: _mean(row.means_before, row.interval_before),
    "now": lambda row: _mean(row.means, row.interval),
    "difference": lambda row: _difference(row.difference),
    "samples like these": lambda row: _difference(row.samples_like_these),
    "verdict": _verdict,
    "in short": lambda row: f"{row.outcome} (other settings)" if row.nearest is not None else _verdict(row),
    "would find": _smallest,
    "repeats": lambda row: f"{len(row.means_before)} and {len(row.means)}",
    "drop": lambda row: "-" if row.verdict is None or math.isinf(row.verdict.detectable_drop) else f"{row.verdict.detectable_drop:.3f}",
    "slow-down": _slow_down,
    "flags": lambda row: ", ".join(row.flags),
}
SHORT = ("before", "now", "difference", "verdict")
NUMBERS = frozenset(["before", "now", "difference", "samples like these", "drop"])


def comparison_tables(comparison: Comparison, power: bool) -> Iterator[Table]:
    """Yield the verdicts, capacities, what the repeats can find if that was asked for, and what else changed."""
    gated = comparison.min_effect is not None
    columns = [*("threshold", "before", "now", "difference", "samples like these", "verdict"), *(["would find"] if gated else []), "flags"]
    yield _filled(comparison, comparison.rows, "Comparison with the baseline", columns, say("note", gated=gated))
    if comparison.capacities:
        names = ["model", "task", "system", "runtime", "batch", "load", "within", "before", "now"]
        rows = [[*names_of_search(before), found_by(before), found_by(after)] for before, after in comparison.capacities]
        yield condensed(Table("Capacity: samples a second", names, rows, say("capacity_note"), NUMBERS), ["before", "now"])
    if power:
        judged = [row for row in comparison.rows if row.verdict is not None]
        yield _filled(comparison, judged, "What these repeats would find", ["threshold", "repeats", "drop", "slow-down"], say("power_note"))
    if comparison.changes:
        changed = [[change.name, change.before, change.after, ", ".join(change.systems) or "all"] for change in comparison.changes]
        yield Table("What else changed", ["what", "baseline", "candidate", "systems"], changed)


def found_by(search: Search) -> str:
    """Write the certified rate of a search, and its estimate with limits, in samples a second."""
    certified = "no rate" if search.certified is None else f"{search.certified.rate_per_s:.4g}"
    if search.estimate is None:
        return certified
    rate, low, high = search.estimate
    return f"{certified}, {rate:.3g} [{low:.3g}, {high:.3g}]"


def short_table(comparison: Comparison, more: bool = True) -> Table:
    """Return the verdicts with what they rest on, what all rows share said once; with ``more``, how all columns are printed, too."""
    known = ["threshold", "before", "now", "difference"] if any(row.means for row in comparison.rows) else []
    columns, note = [*known, "in short", "flags"], say("short_note", more=more)
    table = _filled(comparison, comparison.rows, "Candidate against baseline", columns, note)
    return condensed(replace(table, columns=["verdict" if name == "in short" else name for name in table.columns]), SHORT)


def _filled(comparison: Comparison, rows: Sequence[Compared], title: str, columns: Sequence[str], note: str) -> Table:
    """Return a table with one line for each row, its names first."""
    shown = [*_telling(comparison), *columns]
    return Table(title, shown, [[COLUMNS[name](row) for name in shown] for row in rows], note, NUMBERS)


def names_of(comparison: Comparison, rows: Sequence[Compared]) -> list[list[str]]:
    """Return the names that tell rows apart: those in which they differ, all if they differ in none."""
    columns = _telling(comparison)
    apart = [name for name in columns if len({NAMES[name](row) for row in rows}) > 1]
    return [[NAMES[name](row) for name in apart or columns] for row in rows]


def _telling(comparison: Comparison) -> list[str]:
    """Return the columns that tell the trials apart; their match key where names do not."""
    several = {name for name, text in NAMES.items() if len({text(row) for row in comparison.rows}) > 1}
    columns = [name for name in NAMES if name in ("model", "system", "runtime") or (name in several and name != "trial")]
    named = {row.match_key: tuple(NAMES[name](row) for name in columns) for row in comparison.rows}
    return columns if len(set(named.values())) == len(named) else ["trial", *columns]
