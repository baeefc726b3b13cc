"""Tail quality of groups: of samples, by what is known of them, or of boxes within them."""

from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.groups import Group
from orchestrator.analysis.table import Column, Context, Row, table
from orchestrator.analysis.tables.tail_quality import COLUMNS, figure_of
from orchestrator.analysis.trial_data import TrialData
from orchestrator.metrics import Judged
from orchestrator.subject.samples import in_order

FEW_SAMPLES = "few samples"
# Samples or boxes of a group: of fewer, a share of a half is known to no better than +-0.19 of
# others like them (Clopper and Pearson, *Biometrika* 26, 1934).
FEWEST = 30


# A group of a slice, what is grouped, how many there are, the samples that count, [S], and of boxes
# a metric of parts of these samples.
SliceGroup: TypeAlias = tuple[str, str, int, NDArray[np.bool_], Judged | None]


@table(
    "slices",
    (
        *COLUMNS,
        Column("name", "str", "the slice, as `analysis.slices` names it"),
        Column("group", "str", "the group of it"),
        Column("unit", "str", "what is grouped: `samples`, or `boxes` within all of them"),
        Column(
            "members",
            "int32",
            "how many of these the group has; of boxes those to be found",
            form="count",
        ),
    ),
    per="trial",
    title="Tail quality of {task} by {name} ({metric}, {clock} time) within {bound}",
    note="Each group is judged alone; its interval is of its own mean over rounds to come. "
    "slices.parquet has every threshold.",
    section="Slices: tail quality of groups of samples",
    where={"clock": "@clock", "threshold": "@primary"},
    labels={
        "group": "group",
        "members": "members",
        "ideal": "ideal",
        "mean": "mean [95 % interval]",
        "worst": "worst",
    },
    split=("name", "metric"),
    order="mean",
)
def slices(context: Context, group: Group, data: TrialData) -> Iterator[Row]:
    """Yield a row per metric, group of a slice, clock and common threshold."""
    thresholds, flags = group.thresholds.by_clock(data), group.flags[data.trial_id]
    for metric in data.record.metrics:
        for name in context.analysis.slices:
            for own, unit, count, members, judged in groups_of(data, metric, name):
                figure = figure_of(data, metric, f"{name}={own}", members, judged)
                few = [FEW_SAMPLES] if count < FEWEST else []
                for row in () if figure is None else figure.rows(thresholds, (*flags, *few)):
                    yield {**row, "name": name, "group": own, "unit": unit, "members": count}


def groups_of(data: TrialData, metric: str, name: str) -> Iterator[SliceGroup]:
    """Yield the groups of a slice: of samples, else those that the metric makes of their parts."""
    of_samples = data.groups_of(name)
    for group in in_order(of_samples):
        members = np.array([member == group for member in of_samples])
        yield group, "samples", int(members.sum()), members, None
    if not of_samples:
        for group, part in data.parts(metric, name).items():
            yield group, "boxes", part.count, data.everything, part.judged
