"""How large a campaign must be, in words: a table, what a plan lacks, and the overrides that would give it."""

from collections.abc import Iterator, Sequence

from orchestrator.assessment.sizing import Size, days_of, processes_to_add
from orchestrator.configuration.config import MeasurementConfig
from orchestrator.report.table import Table
from orchestrator.stats.constants import MARGIN, POWER_PLANNED

NUMBERS = ("trials", "rounds needed", "rounds planned", "processes needed", "processes planned", "days")
IF_NEVER_BROKEN = "if never broken"
NEVER_BROKEN_WORDS = f" {IF_NEVER_BROKEN}: what is planned is enough for systems that never come near to breaking it."
WORTH_SAYING_S = 3600.0
OUT_OF_REACH_S = 30 * 86400.0
"""Campaigns that take longer, even where an answer takes but a millisecond, are none that anybody measures."""
TIME_UNITS = {"years": 365.25 * 86400, "days": 86400.0, "hours": 3600.0, "seconds": 0.0}


def sizes_table(sizes: Sequence[Size]) -> Table:
    """Return one row per requirement: what it needs, what is planned."""
    return Table(
        title="Requirements",
        columns=["requirement", *NUMBERS, "can be shown"],
        rows=[
            [
                one.requirement.id,
                str(one.trials),
                "-" if one.need.cannot else str(one.need.rounds),
                str(one.rounds),
                "-" if one.need.cannot else str(one.need.processes),
                str(one.processes),
                str(one.need.days),
                "yes" if one.enough else IF_NEVER_BROKEN if one.enough_if_never_broken else "no",
            ]
            for one in sizes
        ],
        note=(
            f"For systems that break a requirement {MARGIN:g} times as often as they may, which are then found to meet it, in all their "
            f"processes, with a probability of {POWER_PLANNED:.0%}; rounds that depend on each other take more."
            f"{NEVER_BROKEN_WORDS if any(one.enough_if_never_broken and not one.enough for one in sizes) else ''}"
        ),
        right=frozenset(NUMBERS),
    )


def advice(sizes: Sequence[Size]) -> Iterator[str]:
    """Yield what a plan lacks, in sentences: what cannot be shown and why, and the words that would size the campaign."""
    for one in sizes:
        if one.need.cannot:
            yield f"{one.requirement.id} cannot be shown: {one.need.cannot}"
        elif one.need.remark:
            yield f"{one.requirement.id}: {one.need.remark}"
    short = [one for one in sizes if not one.need.cannot and not one.enough]
    words = " ".join(_words(short))
    took = _seconds(sizes, short)
    if words and took > OUT_OF_REACH_S:
        yield (
            f"{words} would be enough for all that can be shown, and is out of reach: {_at_a_millisecond(took)}; "
            "ask for smaller shares, or for a lower confidence"
        )
    elif words:
        cost = f" ({_at_a_millisecond(took)})" if took > WORTH_SAYING_S else ""
        yield f"add {words}, and all that can be shown will be{cost}"
    days = days_of(sizes)
    if days > 1:
        yield f"measure it on {days} days, and assess all their directories together"
    cannot = sum(bool(one.need.cannot) for one in sizes)
    if not short:
        yield (
            f"every requirement can be shown{' if so' if any(one.need.remark for one in sizes) else ''}"
            if not cannot
            else f"{len(sizes) - cannot} of {len(sizes)} requirements can be shown"
        )


def _seconds(sizes: Sequence[Size], short: Sequence[Size]) -> float:
    """Return how long a day's campaign takes with what it lacks, if every answer takes a millisecond."""
    rounds = max((max(one.need.rounds, one.rounds) for one in short), default=0)
    processes = max((processes_to_add(short), *(one.processes for one in sizes)), default=0)
    return max((one.answers for one in sizes), default=0) * rounds * processes * 1e-3


def _at_a_millisecond(took_s: float) -> str:
    """Return so many milliseconds as answers and as a time."""
    unit, of = next((unit, of) for unit, of in TIME_UNITS.items() if took_s >= of)
    return f"{took_s * 1e3:,.0f} answers, {took_s / of:,.1f} {unit} at 1 ms each"


def _words(short: Sequence[Size]) -> Iterator[str]:
    """Yield the overrides by which a plan has rounds and processes enough."""
    few = [one for one in short if one.rounds < one.need.rounds]
    rounds = max((one.need.rounds for one in few), default=0)
    if rounds:
        yield f"measurement.min_rounds={rounds}"
        if rounds > min(one.max_rounds for one in few):
            yield f"measurement.max_rounds={rounds}"
    fixed = max((one.need.rounds for one in few if one.need.fixed), default=0)
    if fixed > MeasurementConfig().certify_rounds:
        yield f"measurement.certify_rounds={fixed}"
    if processes := processes_to_add(short):
        yield f"measurement.repeat={processes}"
