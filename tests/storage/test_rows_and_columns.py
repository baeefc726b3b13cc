from __future__ import annotations

import pyarrow as pa
import pytest

from orchestrator.storage.stored_form import columns_batch, rows_batch, table_of

FORM = pa.schema([pa.field("round", pa.int32()), pa.field("mean", pa.float64())])


def test_a_key_without_a_column_is_refused() -> None:
    for make in (
        lambda: table_of([{"round": 1}, {"round": 2, "meen": 0.5}], FORM),
        lambda: rows_batch([{"round": 1, "meen": 0.5}], FORM),
        lambda: columns_batch({"round": [1], "mean": [0.1], "meen": [0.5]}, FORM),
    ):
        with pytest.raises(ValueError, match="no column 'meen'"):
            make()


def test_rows_become_a_table() -> None:
    assert table_of([{"round": 1, "mean": 0.5}, {"round": 2}], FORM).to_pylist() == [{"round": 1, "mean": 0.5}, {"round": 2, "mean": None}]
