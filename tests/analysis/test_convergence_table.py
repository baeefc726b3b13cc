from __future__ import annotations

from typing import Any, cast

import numpy as np
import pyarrow as pa
import pytest

from orchestrator.analysis.table import LABELS, Context, tables
from orchestrator.analysis.tables.times import convergence, rjsd_column
from orchestrator.configuration.analysis import AnalysisConfig
from orchestrator.stats.stopping import RoundObservation, make_rule
from orchestrator.stats.stopping.rule import CHECK_COLUMNS
from orchestrator.stats.times import Clock
from orchestrator.storage.records import Stopping, TrialRecord


def test_every_column_of_a_check_is_stored() -> None:
    assert tables()["convergence"].schema.names == [
        *(one.name for one in LABELS),
        "rule",
        "reason",
        *CHECK_COLUMNS,
        "method",
        "parameters",
        "flags",
    ]


@pytest.mark.parametrize(
    ("name", "reason"), [("settled", "settled"), ("paper", "max_rounds"), ("rounds", "max_rounds"), ("certify", "certified")]
)
def test_the_checks_of_every_rule_fit_the_table_also_from_json(name: str, reason: str, build: Any, noise: Any) -> None:
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
    record = build("a", noise(30, 20, 20)).record.model_copy(update={"stopping": Stopping(rule=name, reason=reason, checks=tuple(checks))})
    column = rjsd_column(record, Clock.TOTAL)
    assert column == ("rjsd_total_as_in_paper_code" if name == "paper" else "rjsd_total")
    assert checks[-1][column] > 0
    for each in (record, TrialRecord.model_validate_json(record.model_dump_json())):
        table = pa.Table.from_pylist(
            list(convergence(Context(AnalysisConfig(), cast(Any, None), (each,), ()))), schema=tables()["convergence"].schema
        )
        assert table.column("rounds").to_pylist() == [check["rounds"] for check in checks]
