"""Right answers in time per second, and what a thousand of them cost in money and energy."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.capacity import question_of
from orchestrator.analysis.groups import Group
from orchestrator.analysis.outcomes import right_of
from orchestrator.analysis.table import FLAGS, METRIC, THRESHOLD, Column, Context, Row, View, table
from orchestrator.analysis.tables.tail_quality import joined
from orchestrator.analysis.trial_data import TrialData
from orchestrator.analysis.units import spans_ns
from orchestrator.stats.interval import mean_intervals
from orchestrator.stats.queueing import SECOND_NS
from orchestrator.stats.thresholds import Threshold
from orchestrator.stats.times import Clock
from orchestrator.stats.variance_components import mean_of_processes

HOUR_S = 3600
SHOWN = {
    "load": "load",
    "offered_per_s": "offered",
    "delivered_per_s": "delivered",
    "on_time_per_s": "in time",
    "right_per_s": "right and in time",
    "price_per_hour": "price per hour",
    "cost_per_1000": "cost per 1,000",
    "power_w": "watts",
    "joules_per_1000": "joules per 1,000",
}
# Columns of figures with limits: their rate or what follows from it, and the place there.
FIGURES = (
    ("on_time_per_s", "on_time", 0), ("on_time_low", "on_time", 1), ("on_time_high", "on_time", 2),
    ("right_per_s", "right", 0), ("right_low", "right", 1), ("right_high", "right", 2),
    ("cost_per_1000", "cost", 0), ("cost_low", "cost", 1), ("cost_high", "cost", 2),
    ("joules_per_1000", "joules", 0), ("joules_low", "joules", 1), ("joules_high", "joules", 2),
)  # fmt: skip
NOTE = (
    "Requests a second, with 95 % intervals for rounds to come; failed requests count as not in "
    "time. In a closed loop, delivered is the throughput back to back. Cost and energy are of a "
    "thousand answers that are right and in time; the power is taken as its mean. Energy without a "
    "column was not measured: neither NVML nor RAPL could be read."
)


@table(
    "goodput",
    (
        METRIC,
        Column("clock", "str", "the first clock, or those of `analysis.together_ms`"),
        *THRESHOLD,
        Column("load", "str", "the load in words; `closed` for a closed loop"),
        Column(
            "offered_per_s", "float?", "`scheduled_per_s` of `load`; null: closed loop", "", "per_s"
        ),
        Column(
            "delivered_per_s",
            "float?",
            "`delivered_per_s` of `load`; in a closed loop, requests per second of rounds",
            "",
            "per_s",
        ),
        Column(
            "on_time_per_s",
            "float?",
            "requests a second that were answered in time (latency goodput)",
            "",
            "per_s [on_time_low, on_time_high]",
        ),
        Column("on_time_low", "float?", "lower limit of its 95 % interval"),
        Column("on_time_high", "float?", "upper limit"),
        Column(
            "right_per_s",
            "float?",
            "answers a second that were right and in time; null if no metric grades each answer",
            "",
            "per_s [right_low, right_high]",
        ),
        Column("right_low", "float?", "lower limit of its 95 % interval"),
        Column("right_high", "float?", "upper limit"),
        Column("interval_unit", "str", "`streams`, `visits`, `rounds` or, of repeats, `processes`"),
        Column("processes", "int32", "number of repeats"),
        Column("price_per_hour", "float?", "of the system; null for none given", "", "figure"),
        Column(
            "cost_per_1000",
            "float?",
            "price of 1,000 answers that are right and in time",
            "cost per 1,000",
            "figure [cost_low, cost_high]",
        ),
        Column("cost_low", "float?", "lower limit of its 95 % interval"),
        Column("cost_high", "float?", "upper limit; null where no answer may be right and in time"),
        Column("power_w", "float?", "mean power of what `power_of` names", "", "figure"),
        Column("power_of", "str", "`GPU` (NVML), `package` (RAPL), or both; empty: not measured"),
        Column(
            "joules_per_1000",
            "float?",
            "energy of 1,000 answers that are right and in time",
            "joules per 1,000",
            "figure [joules_low, joules_high]",
        ),
        Column("joules_low", "float?", "lower limit of its 95 % interval"),
        Column("joules_high", "float?", "upper limit; null as above"),
        FLAGS,
    ),
    per="group",
    title="Goodput of {task} ({metric}, {clock} time) within {bound}",
    note=NOTE,
    section="Goodput and cost",
    where={"clock": "@clock", "threshold": "@primary"},
    labels=SHOWN,
    views=(
        View(
            "goodput_together",
            "Goodput of {task} ({metric}) with {clock} within {threshold}",
            NOTE,
            "Goodput and cost",
            where={"clock": "@together"},
            labels=SHOWN,
        ),
    ),
)
def goodput(context: Context, group: Group) -> Iterator[Row]:
    """Yield one row per system and common threshold on the first clock, and per joint bounds.

    Failed requests count as late. Under load a rate is the share of requests times the rate
    of their schedule, in a closed loop their number over the time of rounds. ``trial`` is the first
    of repeats.
    """
    of_load = {row["trial"]: row for row in context.rows["load"]}
    for repeats in group.systems().values():
        loads = [of_load.get(data.trial_id, {}) for data in repeats]
        rights = [right_of(data) for data in repeats]
        asked = question_of(repeats[0].record.trial)
        more = () if asked is None else (asked.deadline,)
        for threshold in dict.fromkeys((*group.thresholds.common(group.clock), *more)):
            yield _row(context, group, repeats, loads, rights, (group.clock, threshold))
        found = [joined(data, context.analysis.together_ms or {}) for data in repeats]
        if both := [one for one in found if one is not None]:
            yield _row(context, group, [data for data, *_ in both], loads, rights, both[0][1:])


def _row(
    context: Context,
    group: Group,
    repeats: Sequence[TrialData],
    loads: Sequence[Row],
    rights: Sequence[NDArray[np.bool_] | None],
    within: tuple[Clock, Threshold],
) -> Row:
    first, system, (clock, threshold) = repeats[0], repeats[0].record.trial.system, within
    rates: dict[str, list[Rate | None]] = {"delivered": [], "on_time": [], "right": []}
    for data, load, right in zip(repeats, loads, rights, strict=True):
        on_time, offered = data.times[clock] <= threshold.ns, load.get("scheduled_per_s")
        every = np.ones_like(on_time)
        rates["delivered"].append(per_second(data, every, every, load.get("delivered_per_s")))
        rates["on_time"].append(per_second(data, every, on_time, offered))
        rates["right"].append(None if right is None else per_second(data, right, on_time, offered))
    found = {name: of_processes(of) for name, of in rates.items()}
    scheduled = [rate for load in loads if (rate := load.get("scheduled_per_s")) is not None]
    price = context.analysis.price_of(system.name.partition(" @ ")[0], system.price_per_hour)
    watts, power_of = power(repeats)
    figures = {
        **found,
        "cost": per_1000(price and price / HOUR_S, found["right"]),
        "joules": per_1000(watts, found["right"]),
    }
    return {
        **first.record.labels(),
        "metric": first.metric,
        "clock": clock,
        **threshold.columns(),
        "load": first.record.trial.load.words,
        "offered_per_s": float(np.mean(scheduled)) if len(scheduled) == len(loads) else None,
        "delivered_per_s": found["delivered"][0],
        **{name: figures[begins][place] for name, begins, place in FIGURES},
        "interval_unit": first.unit_from(0) if len(repeats) == 1 else "processes",
        "processes": len(repeats),
        "price_per_hour": price,
        "power_w": watts,
        "power_of": power_of,
        "flags": group.flags_of(repeats),
    }


class Rate(NamedTuple):
    """Requests a second, the limits of their 95 % interval, and what one request changes."""

    per_s: float
    low: float
    high: float
    step: float


def per_second(
    data: TrialData,
    could: NDArray[np.bool_],
    on_time: NDArray[np.bool_],
    offered: float | None,
) -> Rate | None:
    """Return how many requests a second ``could`` count, [R, S], and did so ``on_time``, [R, S].

    Under load their share times the rate that is ``offered``; None where that is unknown. In a
    closed loop, their number over the time of the rounds: the variance of this ratio of sums is
    that of number - rate x time (Cochran, *Sampling Techniques*, section 2.11).
    """
    counted, at_stake = could & on_time, float(could.sum() / len(could))
    if data.arrivals is not None:
        if offered is None:
            return None
        share = counted.mean(axis=1)
        [found] = mean_intervals(share[None], float(could.mean()), at_stake, data.visits)
        mean, low, high = (offered * one for one in (float(share.mean()), found.low, found.high))
        return Rate(mean, low, high, offered / counted.size)
    took_s, number = data.evidence["duration_ns"] / SECOND_NS, counted.sum(axis=1)
    if not took_s.sum() > 0:
        return None
    rate, most = float(number.sum() / took_s.sum()), float(could.sum() / took_s.sum())
    by_round = rate + (number - rate * took_s) / took_s.mean()
    [found] = mean_intervals(by_round[None], most, at_stake, data.visits, bounded=False)
    return Rate(rate, max(found.low, 0.0), found.high, float(1 / took_s.sum()))


Limited: TypeAlias = tuple[float | None, float | None, float | None]


def of_processes(rates: Sequence[Rate | None]) -> Limited:
    """Return a rate with its limits: of one process, or of several for fresh ones."""
    known = [one for one in rates if one is not None]
    if len(known) < len(rates):
        return None, None, None
    if len(known) == 1:
        return known[0][:3]
    means, steps = [one.per_s for one in known], [one.step for one in known]
    mean, low, high = mean_of_processes(means, max(steps))
    return mean, max(low, 0.0), high


def per_1000(per_s: float | None, useful: Limited) -> Limited:
    """Return what 1,000 useful answers take, with limits, where a second takes ``per_s``."""
    mean, low, high = (1000 * per_s / one if one and per_s else None for one in useful)
    return mean, high, low


def power(repeats: Sequence[TrialData]) -> tuple[float | None, str]:
    """Return the mean power in W and what it is of; None where it was not read in all processes.

    RAPL counts what processor packages use in a round; NVML tells the power of GPUs at its end.
    """
    watts = []
    for data in repeats:
        spans_s, read = spans_ns(data.evidence) / SECOND_NS, data.evidence.get
        nothing, found = np.full(spans_s.shape, np.nan), dict[str, float]()
        for name, joules in (
            ("GPU", read("gpu_power_w", nothing) * spans_s),
            ("package", read("package_energy_uj", nothing) / 1e6),
        ):
            if (known := np.isfinite(joules) & (spans_s > 0)).any():
                found[name] = float(joules[known].sum() / spans_s[known].sum())
        watts.append(found)
    names = watts[0].keys()
    if not names or any(one.keys() != names for one in watts):
        return None, ""
    return float(np.mean([sum(one.values()) for one in watts])), " and ".join(names)
