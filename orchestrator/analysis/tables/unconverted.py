"""Tables whose columns are still declared by a typed row."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.analysis.comparison import ComparisonRow, comparison_rows, contests_of
from orchestrator.analysis.convergence import CONVERGENCE_ROW, convergence_rows
from orchestrator.analysis.from_the_best import rows_from_the_best
from orchestrator.analysis.groups import Group
from orchestrator.analysis.prediction import PredictionRow, prediction_rows
from orchestrator.analysis.processes import ProcessRow, process_rows
from orchestrator.analysis.slices import SliceRow, slice_rows
from orchestrator.analysis.table import Context, Row, table
from orchestrator.analysis.tables.deadline import kept_from
from orchestrator.analysis.tail_quality import TailQualityRow, tail_quality_rows
from orchestrator.analysis.trial_data import TrialData
from orchestrator.storage.typed_rows import bridged

MEAN = ("interval_low", "mean", "interval_high")
IDEAL = ("ideal_low", "ideal", "ideal_high")
PREDICTED = ("predicted_low", "predicted_mean", "predicted_high")
DIFFERENCE = ("interval_low", "difference", "interval_high")


@table("tail_quality", bridged(TailQualityRow, MEAN, IDEAL), "trial")
def _tail_quality(context: Context, group: Group, data: TrialData) -> Iterator[Row]:
    flags = group.flags[data.trial_id]
    yield from tail_quality_rows(data, group.thresholds, flags, context.analysis)


@table("prediction", bridged(PredictionRow, PREDICTED), "trial")
def _prediction(context: Context, group: Group, data: TrialData) -> Iterator[Row]:
    yield from prediction_rows(data, group.flags[data.trial_id])


@table("slices", bridged(SliceRow, MEAN, IDEAL), "trial")
def _slices(context: Context, group: Group, data: TrialData) -> Iterator[Row]:
    yield from slice_rows(data, group.thresholds, group.flags[data.trial_id], context.analysis)


@table("convergence", bridged(CONVERGENCE_ROW), "campaign")
def _convergence(context: Context) -> Iterator[Row]:
    for record in context.records:
        yield from convergence_rows(record)


@table("comparison", bridged(ComparisonRow, DIFFERENCE), "campaign")
def _comparison(context: Context) -> Iterator[Row]:
    contests = [contests_of(group) for group in context.groups]
    yield from comparison_rows([contest for of_group in contests for contest in of_group])
    for group, of_group in zip(context.groups, contests, strict=True):
        yield from rows_from_the_best(of_group, kept_from(context.rows["deadline"], group.clock))


@table("processes", bridged(ProcessRow, MEAN), "campaign")
def _processes(context: Context) -> Iterator[Row]:
    yield from process_rows(context.groups)
