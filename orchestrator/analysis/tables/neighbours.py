"""What each neighbour costs, at every deadline."""

from collections.abc import Iterator, Sequence

from orchestrator.analysis.curves import Grid, counted, grid_of
from orchestrator.analysis.groups import Group
from orchestrator.analysis.table import DIFFERENCE, Column, Context, Row, table
from orchestrator.analysis.tables.comparison import Side, less_than_best, sides_of, system_at
from orchestrator.analysis.trial_data import TrialData
from orchestrator.contracts import by_key
from orchestrator.stats.thresholds import Threshold


@table(
    "neighbours",
    (
        Column("baseline", "str", "the trial without a neighbour, equal in all else"),
        *DIFFERENCE[1:],
        Column("primary", "bool", "whether this deadline is the primary threshold"),
        Column("most", "bool", "whether it is the first at which the neighbour costs most"),
    ),
    per="campaign",
    title="What neighbours cost in {task} ({metric}, {clock} time) within {threshold}",
    note="Mean tail quality beside a neighbour minus that of the same model, task, system and "
    "runtime without one, over visits that alternate, or over repeats. All intervals of one "
    "deadline hold together with 95 %, as in the ranking. neighbours.parquet has it at every "
    "deadline.",
    section="Tail quality at every threshold",
    where={"primary": True},
    labels={"baseline_mean": "alone", "mean": "beside it", "difference": "difference"},
)
def neighbours(context: Context) -> Iterator[Row]:
    """Yield one row per trial with a neighbour and deadline of the figures: its cost.

    The baseline has no neighbour and is equal in all other settings. Labels are those of the first
    repeat.
    """
    for group in context.groups:
        if not any(map(_has_neighbour, group.trials)):
            continue
        times = [counted(data.inferences[group.clock]) for data in group.trials]
        grid = grid_of(group, group.clock, times)
        for sides in by_key(
            sides_of(group, grid.ns.tolist()),
            lambda side: side.data.record.trial.model_dump_json(exclude={"neighbour", "repeat"}),
        ).values():
            alone = [side for side in sides if not _has_neighbour(side.data)]
            others = (side for side in sides if _has_neighbour(side.data))
            systems = by_key(others, lambda side: side.data.record.match_key).values()
            if alone:
                yield from _costs(group, grid, alone, [*systems])


def _has_neighbour(data: TrialData) -> bool:
    return data.record.trial.neighbour.is_started


def _costs(
    group: Group, grid: Grid, alone: Sequence[Side], others: Sequence[Sequence[Side]]
) -> Iterator[Row]:
    sign = alone[0].data.judged(alone[0].data.metric).sign
    rows = [
        row
        for index, ns in enumerate(grid.ns.tolist())
        for row in less_than_best(
            [system_at(alone, index), *(system_at(beside, index) for beside in others)],
            Threshold(f"{ns / 1e6:.4g} ms", ns, "absolute"),
        )
    ]
    for of in by_key(rows, lambda row: str(row["match_key"])).values():
        most = min(range(len(of)), key=lambda index: sign * of[index]["difference"])
        for index, row in enumerate(of):
            yield {
                **row,
                "scope": row["scope"].removeprefix("best of "),
                "primary": index == grid.start,
                "most": index == most,
            }
