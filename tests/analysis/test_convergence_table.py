from __future__ import annotations

from orchestrator.stats.stopping.rule import CHECK_COLUMNS
from orchestrator.storage.result_schema import CONVERGENCE, LABELS


def test_every_column_of_a_check_is_stored() -> None:
    assert CONVERGENCE.names == [field.name for field in LABELS] + ["rule", "reason", *CHECK_COLUMNS]
