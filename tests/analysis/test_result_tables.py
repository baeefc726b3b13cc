"""Columns of result tables are declared once: schema, documentation and views follow."""

import re
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pytest
from built_trials import build_trial

from orchestrator.analysis.table import LABELS, LIMITS, BrokenInterval, Column, Context, check_intervals, tables
from orchestrator.analysis.tables.replay import REPLAY
from orchestrator.analysis.tables.times import convergence, rjsd_column
from orchestrator.configuration.analysis import AnalysisConfig
from orchestrator.stats.stopping import RoundObservation, make_rule
from orchestrator.stats.times import Clock
from orchestrator.storage.records import Stopping, TrialRecord
from orchestrator.storage.schema import schema_of

MINE = (
    Column("count", "int32", "how many"),
    Column("longest_ns", "int64?", "the longest"),
    Column("share", "float?", "a share"),
    Column("parameters", "map", "numbers"),
    Column("flags", "list", "flags"),
)


def test_a_schema_follows_from_columns() -> None:
    fields = [
        pa.field("count", pa.int32(), nullable=False),
        pa.field("longest_ns", pa.int64()),
        pa.field("share", pa.float64()),
        pa.field("parameters", pa.map_(pa.string(), pa.float64()), nullable=False),
        pa.field("flags", pa.list_(pa.string()), nullable=False),
    ]
    assert schema_of(MINE).equals(pa.schema(fields))


@pytest.mark.parametrize("name", tables())
def test_every_column_has_a_meaning_and_views_name_columns_that_there_are(name: str) -> None:
    columns = {column.name: column for column in (*LABELS, *tables()[name].columns)}
    assert all(column.meaning for column in columns.values())
    for view in tables()[name].views:
        shown = {*view.where, *view.labels, *view.split, *filter(None, [view.across])}
        assert shown <= columns.keys()
        assert view.section


DECLARED = {name: one.columns for name, one in tables().items()} | {"replay": REPLAY}
OF_QUARTERS = {"cost_low_ns", "estimate_low_per_s"}
"""Of quarters the whole need not lie between least and largest; an estimate may lie outside the rates of its pilot."""


def test_every_interval_is_looked_at() -> None:
    for name, columns in DECLARED.items():
        names = {column.name for column in columns}
        limits = [found.groups() for column in columns if (found := LIMITS.search(column.form))]
        assert all({low, high} <= names for low, high in limits)
        lower = {one for one in names if re.search(r"(^|_)low(_|$)", one)} - OF_QUARTERS
        assert lower == {low for low, _ in limits}, name


@pytest.mark.parametrize(
    ("table", "row"),
    [
        (
            "tail_quality",
            {"metric": "map", "slice": "all", "threshold": "p95", "interval_low": 0.0, "mean": 0.124, "interval_high": 0.1239},
        ),
        ("tail_quality", {"metric": "top1", "threshold": "p99", "ideal_low": 0.91, "ideal": 0.9, "ideal_high": 0.95}),
        ("latency", {"clock": "total", "percentile": 99.0, "interval_low_ns": None, "value_ns": 5, "interval_high_ns": None}),
        ("latency", {"clock": "total", "percentile": 99.0, "interval_low_ns": 4, "value_ns": None, "interval_high_ns": 5}),
        ("replay", {"metric": "top1", "threshold": "60 ms", "fallback_low": 0.0, "fallback_mean": 0.865, "fallback_high": 0.8}),
        ("comparison", {"scope": "this data set", "threshold": "50 ms", "interval_low": None, "difference": 0.1, "interval_high": 0.0}),
    ],
)
def test_an_interval_that_excludes_its_figure_is_an_error_that_names_it(table: str, row: dict[str, Any]) -> None:
    columns = DECLARED[table]
    whole = {"trial": "net-digits-r0", **dict.fromkeys(column.name for column in columns), **row}
    with pytest.raises(BrokenInterval, match=f"net-digits-r0 in {table} "):
        check_intervals(table, columns, [whole])


@pytest.mark.parametrize(("name", "reason"), [("settled", "settled"), ("paper", "max_rounds")])
def test_the_checks_of_every_rule_fit_the_table_also_from_json(name: str, reason: str, noise: Any) -> None:
    rule = make_rule(name, min_rounds=30, max_rounds=60)
    checks = []
    for number, times in enumerate(noise(60, 100, 20) * 1e6):
        decision = rule.update(
            RoundObservation(
                number, {Clock.INFERENCE: times / 2, Clock.TOTAL: times}, lambda bound, t=times: float(np.mean(t <= bound)), 1.0
            ),
            float(number),
        )
        checks += [dict(decision.check)] if decision.check is not None else []
        if decision.stop:
            break
    assert decision.reason == reason
    record = build_trial("a", noise(30, 20, 20)).record.model_copy(
        update={"stopping": Stopping(rule=name, reason=reason, checks=tuple(checks))}
    )
    column = rjsd_column(record, Clock.TOTAL)
    assert column == ("rjsd_total_as_in_paper_code" if name == "paper" else "rjsd_total")
    assert checks[-1][column] > 0
    for each in (record, TrialRecord.model_validate_json(record.model_dump_json())):
        table = pa.Table.from_pylist(
            list(convergence(Context(AnalysisConfig(), cast(Any, None), (each,), ()))), schema=tables()["convergence"].schema
        )
        assert table.column("rounds").to_pylist() == [check["rounds"] for check in checks]
