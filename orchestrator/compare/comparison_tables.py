"""The tables of a comparison, for a terminal, a pull request and a page."""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

from orchestrator.compare.campaigns import ALARM, SEVERITY, UNDECIDED, ComparedCapacity, Comparison
from orchestrator.compare.differences import LOAD_DIFFERS, LOADS
from orchestrator.compare.rows import NO_VERDICT, Compared, percent
from orchestrator.report.table import Table, condensed
from orchestrator.report.text import milliseconds, quality, quality_within, signed, trials_counted
from orchestrator.stats.constants import FEWEST_REPEATS
from orchestrator.stats.pair import Difference

UNKNOWN, BLIND = "noise floor unknown", "too blind"
HOW_TO_MEASURE_PAIRS = (
    "measure both sides in pairs (`compare --run A B`), or add campaigns to the baseline until it has "
    f"{FEWEST_REPEATS} (`export baseline --add FILE DIR`)"
)


SAYS_NOTHING = "no figure here says anything about a change."
SAME_CAMPAIGN = f"Both sides are one campaign, compared with itself: {SAYS_NOTHING}"
CHANGED_CAMPAIGN = (
    "Both sides have the name and the time of one campaign and hold different things, so that one of them has been measured further or "
    f"changed since: {SAYS_NOTHING}"
)
ONE_OF_SEVERAL = f"The candidate is one of the campaigns of the baseline: {SAYS_NOTHING}"


def about_one_campaign(comparison: Comparison) -> str | None:
    """Return what is to be said where the candidate has the name and the time of a campaign of the baseline."""
    if comparison.with_itself:
        return CHANGED_CAMPAIGN if comparison.differs else SAME_CAMPAIGN
    return ONE_OF_SEVERAL if comparison.within_baseline else None


def sentences(comparison: Comparison) -> Iterator[str]:
    """Yield what was compared, what came out, and what else differed."""
    before, after = comparison.before, comparison.after
    several = f"{len(comparison.earlier)} campaigns, the latest " if len(comparison.earlier) > 1 else ""
    yield (
        f"Baseline: {several}{before.name}, measured {before.measured_at:%Y-%m-%d %H:%M} UTC with version {before.code_version}. "
        f"Candidate: {after.name}, measured {after.measured_at:%Y-%m-%d %H:%M} UTC with version {after.code_version}."
    )
    yield f"{trials_counted(outcomes(comparison).total())} of the baseline: {outcomes_text(comparison)}."
    if comparison.only_after:
        yield f"Only the candidate has {', '.join(comparison.only_after)}: listed, not judged."
    if comparison.paired:
        settings = f" They differ in {', '.join(comparison.differing)}." if comparison.differing else ""
        yield f"Both were measured in adjacent pairs of fresh processes.{settings}"
    if loaded := {row.match_key for row in comparison.rows if LOAD_DIFFERS in row.flags}:
        what = dict.fromkeys(change.name for change in comparison.changes if change.name in {load.name for load in LOADS})
        yield (
            f"The load of the machine differed ({', '.join(what)}) in {trials_counted(len(loaded))}, marked as such: the machine may be "
            "what their verdicts show; see What else changed."
        )
    if comparison.apart:
        yield f"Both sides were measured apart, so that a machine that was slower or faster looks like a change: {HOW_TO_MEASURE_PAIRS}."


def outcomes(comparison: Comparison) -> Counter[str]:
    """Count the trials by outcome; of several thresholds the worst one counts."""
    worst: dict[str, str] = {}
    for row in comparison.rows:
        worst.setdefault(row.match_key, row.kind)
    return Counter(worst.values())


def outcomes_text(comparison: Comparison) -> str:
    """Return how many trials came out how, the worst first."""
    kinds = outcomes(comparison)
    return ", ".join(f"{kinds[kind]} {kind}" for kind in SEVERITY if kinds[kind])


def verdict_sentence(comparison: Comparison, allow_no_verdict: bool) -> str:
    """Return what the gate says, or would say: its result as the first words, then why."""
    count = outcomes(comparison)[NO_VERDICT]
    code = comparison.exit_code(allow_no_verdict)
    if code == ALARM:
        return f"Fail: {outcomes_text(comparison)}."
    if code == UNDECIDED:
        return f"No verdict on {trials_counted(count)}: {_reasons(comparison)}."
    if count:
        return f"Pass, although {trials_counted(count)} {'has' if count == 1 else 'have'} no verdict, which was allowed."
    return f"Pass: {outcomes_text(comparison)}."


def _reasons(comparison: Comparison) -> str:
    """Return why trials have no verdict, each reason once."""
    reasons = dict.fromkeys(row.outcome.partition(": ")[2] for row in comparison.rows if row.kind == NO_VERDICT)
    remedy = {
        UNKNOWN: f"{UNKNOWN}, at least {FEWEST_REPEATS} pairs are needed (--pairs)",
        BLIND: f"{BLIND}, a slow-down of {percent(comparison.min_effect or 0)} (--min-effect) could pass unseen: take more repeats, or "
        "another threshold (analysis.primary=p50)",
    }
    return "; ".join(remedy.get(reason, reason) for reason in reasons)


def threshold_text(row: Compared) -> str:
    """Write the threshold of a row with its time, or a dash."""
    if row.threshold is None:
        return "-"
    if row.threshold.origin == "absolute":
        return row.threshold.label
    return f"baseline's {row.threshold.label} = {milliseconds(row.threshold.ns)}"


def difference_text(found: Difference | None) -> str:
    """Write a difference with its limits, if it has any, or a dash."""
    if found is None:
        return "-"
    return f"{signed(found.difference)}{'' if found.method == 'none' else f' [{signed(found.low)}, {signed(found.high)}]'}"


def slow_down_text(row: Compared) -> str:
    """Write the smallest slow-down that would be found."""
    if row.verdict is None or row.verdict.detectable_drop == float("inf"):
        return f"unknown: at least {FEWEST_REPEATS} pairs are needed"
    if row.slow_down is None:
        return "none: no slow-down costs that much quality here"
    return f"all times {percent(row.slow_down)} longer"


def smallest_text(row: Compared) -> str:
    """Write the smallest change that would be found, in short."""
    if row.verdict is None:
        return "-"
    if math.isinf(row.smallest_effect):
        return "none"
    return percent(row.smallest_effect) + ("" if row.slowed else " of quality")


NOTE = (
    "Mean tail quality on the total clock (under load: response) with 95 % intervals of each side by itself. difference: candidate minus "
    "baseline, of fresh processes, negative where the candidate is worse; its limits hold for all rows together (95 %, Bonferroni), and "
    "the verdict (Holm) rests on it. Sides that were measured apart have neither. samples like these: rounds and samples, 95 %. no "
    "difference shown does not say that there is none."
)
SHORT_NOTE = "Mean tail quality; the difference, candidate minus baseline, is that of fresh processes."
MORE = " More columns: --full."
GATE_NOTE = " would find: the smallest slow-down of all times that these repeats would find with 80 % probability."
POWER_NOTE = (
    "Smallest drop of quality that these repeats would find with 80 % probability, and the slow-down of all times of the baseline that "
    "costs as much. The noise of the repeats is taken as known; from few repeats it is a rough figure."
)


Texts = Callable[[Compared], str]
# Columns that every table of verdicts begins with, after the names.
MEANS: Mapping[str, Texts] = {
    "threshold": threshold_text,
    "before": lambda row: _mean(row.means_before, row.interval_before),
    "now": lambda row: _mean(row.means, row.interval),
    "difference": lambda row: difference_text(row.difference),
}


def comparison_tables(comparison: Comparison, power: bool) -> Iterator[Table]:
    """Yield the verdicts, capacities, what the repeats can find if that was asked for, and what else changed."""
    yield _verdicts(comparison)
    if comparison.capacities:
        yield condensed(capacity_table(comparison.capacities), ["before", "now"])
    if power:
        yield _power(comparison)
    if comparison.changes:
        yield Table(
            title="What else changed",
            columns=["what", "baseline", "candidate", "systems"],
            rows=[[change.name, change.before, change.after, ", ".join(change.systems) or "all"] for change in comparison.changes],
        )


def short_table(comparison: Comparison, more: str = MORE) -> Table:
    """Return the verdicts with what they rest on, the difference between fresh processes; what all rows share is said once.

    ``more`` says where all columns are.
    """
    columns: dict[str, Texts] = {
        **(MEANS if any(row.means for row in comparison.rows) else {}),
        "verdict": lambda row: f"{row.outcome} (other settings)" if row.nearest is not None else _verdict_text(row),
        "flags": lambda row: ", ".join(row.flags),
    }
    table = _filled(comparison, "Candidate against baseline", columns, SHORT_NOTE + more, frozenset(["before", "now", "difference"]))
    return condensed(table, ["before", "now", "difference", "verdict"])


def _verdicts(comparison: Comparison) -> Table:
    columns: dict[str, Texts] = {
        **MEANS,
        "samples like these": lambda row: difference_text(row.samples_like_these),
        "verdict": _verdict_text,
    }
    right = frozenset(["before", "now", "difference", "samples like these"])
    note = NOTE
    if comparison.min_effect is not None:
        columns["would find"] = smallest_text
        note += GATE_NOTE
    columns["flags"] = lambda row: ", ".join(row.flags)
    return _filled(comparison, "Comparison with the baseline", columns, note, right)


def _filled(comparison: Comparison, title: str, columns: Mapping[str, Texts], note: str, right: frozenset[str]) -> Table:
    """Return a table with one row for each of the comparison's, its names first."""
    who = _who_columns(comparison)
    rows = [[*_who(row, who), *(text(row) for text in columns.values())] for row in comparison.rows]
    return Table(title, [*who, *columns], rows, note, right)


def _verdict_text(row: Compared) -> str:
    """Write the verdict with its reason, and mark one of sides whose load differs."""
    reasons = [reason for reason in (row.why, LOAD_DIFFERS if LOAD_DIFFERS in row.flags else "") if reason]
    return f"{row.outcome} ({'; '.join(reasons)})" if reasons else row.outcome


def _power(comparison: Comparison) -> Table:
    who = _who_columns(comparison)
    rows = []
    for row in comparison.rows:
        if row.verdict is None:
            continue
        known = row.verdict.detectable_drop < float("inf")
        counts = f"{len(row.means_before)} and {len(row.means)}"
        drop = f"{row.verdict.detectable_drop:.3f}" if known else "-"
        rows.append([*_who(row, who), threshold_text(row), counts, drop, slow_down_text(row)])
    return Table(
        "What these repeats would find", [*who, "threshold", "repeats", "drop", "slow-down"], rows, POWER_NOTE, frozenset(["drop"])
    )


def names_of(comparison: Comparison, rows: Sequence[Compared]) -> list[list[str]]:
    """Return the names that tell rows apart: those in which they differ, all if they differ in none."""
    columns = _who_columns(comparison)
    names = [_who(row, columns) for row in rows]
    apart = [place for place in range(len(columns)) if len({name[place] for name in names}) > 1] or list(range(len(columns)))
    return [[name[place] for place in apart] for name in names]


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


def _mean(means: tuple[float, ...], interval: tuple[float, float] | None) -> str:
    if not means:
        return "-"
    return f"{quality(sum(means) / len(means))}{'' if interval is None else f' {quality_within(*interval)}'}"


CAPACITY_NOTE = (
    "The certified rate, and the estimate of the rate at which mean quality falls below what is required, with its 95 % interval. They "
    "were measured apart, so that there is no verdict."
)


def capacity_table(found: Sequence[ComparedCapacity]) -> Table:
    """Return the searches as a table."""
    return Table(
        title="Capacity: samples a second",
        columns=["model", "task", "system", "runtime", "batch", "load", "within", "before", "now"],
        rows=[[*one.names, str(one.before), str(one.after)] for one in found],
        note=CAPACITY_NOTE,
        right=frozenset(["before", "now"]),
    )
