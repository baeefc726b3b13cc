"""The best of what settings tell apart, at every deadline: which budget of tokens, for one."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import count

import numpy as np

from orchestrator.analysis.curves import Grid, counted, curve_of, curve_of_processes, grid_of
from orchestrator.analysis.groups import Group
from orchestrator.analysis.ranking import is_shown_worse, ties
from orchestrator.analysis.table import CLOCK, FLAGS, METRIC, Column, Context, Row, table
from orchestrator.analysis.tables.comparison import (
    Side,
    best_first,
    less_than_best,
    sides_of,
    system_at,
)
from orchestrator.analysis.tables.deadline import Deadlines, kept_from
from orchestrator.contracts import by_key
from orchestrator.stats.thresholds import Threshold


@table(
    "envelope",
    (
        METRIC,
        CLOCK,
        Column(
            "envelope",
            "int32",
            "its number: one for all trials with one system, runtime, server, batch, load and "
            "neighbour",
        ),
        Column("threshold_ns", "int64", "the deadline", "from", "ms"),
        Column("ideal", "float", "quality of the best without a deadline", "ideal", "quality"),
        Column(
            "mean",
            "float",
            "tail quality of the best, a mean over rounds, of repeats the mean of their means",
            "kept there",
            "quality [interval_low, interval_high]",
        ),
        Column(
            "interval_low",
            "float",
            "lower limit of the 95 % interval of that mean, of *rounds to come*, with repeats of "
            "*fresh processes*",
        ),
        Column("interval_high", "float", "upper limit"),
        Column("worst", "float", "tail quality of its worst round", "worst round", "quality"),
        Column(
            "tied",
            "int32?",
            "how many others tie with the best; null where one is not tested",
            "tied",
            "count",
        ),
        Column(
            "leads",
            "bool",
            "whether the lead changes here: the leader before no longer ties with the best, or is "
            "not tested",
        ),
        FLAGS,
    ),
    per="campaign",
    title="Best settings of {task} ({metric}, {clock} time) by deadline",
    note="Each leads from its deadline on until the next one does: from there the one before is "
    "shown to keep less, or is not tested. envelope.parquet has the best at every deadline.",
    section="Tail quality at every threshold",
    where={"leads": True},
)
def envelope(context: Context) -> Iterator[Row]:
    """Yield one row per deadline of the figures: the best of the trials that settings tell apart.

    The best, and what ties with it, are those of ``comparison``. Labels are those of its first
    repeat. Only where trials have equal names and different settings.
    """
    numbers = count()
    for group in context.groups:
        if not any(group.settings.values()):
            continue
        times = [counted(data.inferences[group.clock]) for data in group.trials]
        grid = grid_of(group, group.clock, times)
        deadlines = kept_from(context.rows["deadline"], group.clock)
        for sides in by_key(sides_of(group, grid.ns.tolist()), _where).values():
            systems = by_key(sides, lambda side: side.data.record.match_key)
            told = any(group.settings[side.data.trial_id] for side in sides)
            if told and len(systems) > 1:
                yield from _best(group, grid, next(numbers), systems, deadlines)


def _where(side: Side) -> tuple[object, ...]:
    trial = side.data.record.trial
    names = trial.system.name, trial.runtime.name, trial.server.name, trial.load.all_words
    return *names, trial.measurement.batch, trial.neighbour.words


def _best(
    group: Group,
    grid: Grid,
    number: int,
    systems: Mapping[str, Sequence[Side]],
    deadlines: Mapping[str, Deadlines],
) -> Iterator[Row]:
    curves, leader = {}, ""
    for key, sides in systems.items():
        repeats = [side.data for side in sides]
        own = [curve_of(data, group.clock, grid, {}, 1, ()) for data in repeats]
        curves[key] = curve_of_processes(repeats, own, group.clock) if len(own) > 1 else own[0]
    for index, ns in enumerate(grid.ns.tolist()):
        found = best_first((system_at(one, index) for one in systems.values()), deadlines)
        best, *others = (one.repeats[0].data.record for one in found)
        less = {
            row["match_key"]: is_shown_worse(row)
            for row in less_than_best(found, Threshold("", ns, "absolute"))
        }
        shown = {one.match_key: less.get(one.match_key) for one in others}
        kinds = dict(zip(shown, ties(shown.values()), strict=True))
        kept = kinds.get(leader) in ("tied", "behind") or best.match_key == leader
        leads = not kept and float(np.mean(found[0].means)) > 0
        leader = best.match_key if leads else leader
        curve = curves[best.match_key]
        yield {
            **best.labels(),
            "metric": found[0].repeats[0].data.metric,
            "clock": group.clock,
            "envelope": number,
            "threshold_ns": ns,
            "ideal": curve.ideal,
            **{name: float(getattr(curve, name)[index]) for name in ("mean", "worst")},
            "interval_low": float(curve.low[index]),
            "interval_high": float(curve.high[index]),
            "tied": None if None in shown.values() else [*kinds.values()].count("tied"),
            "leads": leads,
            "flags": list(dict.fromkeys(flag for side in found[0].repeats for flag in side.flags)),
        }
