"""Gaps between tokens: figures by hand, and campaigns without them."""

from pathlib import Path
from typing import Any

import pyarrow as pa

from orchestrator.contracts import Reply
from orchestrator.measurement.round_tables import answer_columns
from orchestrator.storage import schema, stored_form
from orchestrator.storage.files import write_parquet
from orchestrator.storage.load import read_table
from orchestrator.storage.matrix import token_gaps
from orchestrator.storage.stored_form import conform, used


def timings(*gaps: list[int | None] | None, **columns: list[Any]) -> pa.Table:
    rows = len(gaps)
    plain = {
        "round": [0] * rows, "sample": list(range(rows)), "outcome": ["ok"] * rows,
        **{name: [900] * rows for name in ("start_gap_ns", *schema.STAGES)},
        "first_token_ns": [None if row is None else 10 for row in gaps],
        "last_token_ns": [None if row is None else 10 + sum(gap or 0 for gap in row) for row in gaps],
        "token_gaps_ns": pa.array(gaps, pa.list_(pa.int64())),
    }  # fmt: skip
    return conform(pa.table({**plain, **columns}), schema.TIMINGS)


def test_figures_are_those_by_hand() -> None:
    found = token_gaps(timings([5, 1, 3], None, [], [2, 8]))
    assert found is not None
    assert (found.answers, found.gaps) == (3, 5)
    assert found.percentiles_ns == (3, 8, 8, 8)
    assert found.longest_ns == (5, 8)


def test_answers_of_one_piece_have_no_gaps() -> None:
    found = token_gaps(timings([], []))
    assert found is not None
    assert (found.answers, found.gaps, found.percentiles_ns, found.longest_ns) == (2, 0, (), ())


def test_gaps_of_replies_are_stored_and_read_back(tmp_path: Path) -> None:
    streamed, single, whole = (Reply({}, b"", [], 0, 3, 50) for _ in range(3))
    streamed.came([10, 14, 30])
    single.came([10])
    whole.came((), 7)
    columns = answer_columns([streamed, single, whole, None], pa.array([5] * 4).to_numpy(), pa.array([False] * 4).to_numpy(False))
    assert columns["token_gaps_ns"].to_pylist() == [[4, 16], [], None, None]
    table = timings(*columns["token_gaps_ns"].to_pylist())
    write_parquet(tmp_path / "part.parquet", used(table), **stored_form.PARQUET_OF_TIMINGS)
    assert read_table(tmp_path / "part.parquet", schema.TIMINGS).equals(table)
