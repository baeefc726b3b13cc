"""Gaps between tokens: figures by hand, and campaigns without them."""

from math import inf
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from orchestrator.contracts import Reply
from orchestrator.measurement.round_tables import answer_columns
from orchestrator.stats.times import Clock
from orchestrator.storage import schema, stored_form
from orchestrator.storage.files import write_parquet
from orchestrator.storage.load import read_table
from orchestrator.storage.matrix import TokenGaps, round_matrix, token_gaps
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


@pytest.mark.parametrize(
    ("gaps", "figures"),
    [
        ([[5, 1, 3], None, [], [2, 8]], TokenGaps(3, 5, (3, 8, 8, 8), (5, 8))),
        ([[gap] for gap in range(1, 101)], TokenGaps(100, 100, (50, 95, 99, 100), (50, 99))),
        ([[], []], TokenGaps(2, 0, (), ())),
        ([None], None),
    ],
)
def test_figures_are_those_by_hand(gaps: list[list[int | None] | None], figures: TokenGaps | None) -> None:
    assert token_gaps(timings(*gaps)) == figures


def test_clocks_of_streamed_answers_are_those_by_hand() -> None:
    rounds = pa.table({"round": [0], "incomplete": [False], "visit": [3]})
    answers = timings([5, 1, 3], [], None, [2], [1], tokens=[4, 1, None, 2, 3], arrival_ns=[0] * 5, queue_ns=[100] * 5)
    found = round_matrix(answers, rounds)
    assert {clock: times[0].tolist() for clock, times in found.times.items()} == {
        Clock.INFERENCE: [900] * 5,
        Clock.TOTAL: [2700] * 5,
        Clock.RESPONSE: [2800] * 5,
        Clock.FIRST_TOKEN: [1010, 1010, inf, 1010, 1010],
        Clock.PER_TOKEN: [3, 890, inf, 2, 1],
    }
    assert found.visits is not None
    assert found.visits.tolist() == [3]
    assert round_matrix(timings([], tokens=[1]), rounds).times.keys() == {Clock.INFERENCE, Clock.TOTAL, Clock.FIRST_TOKEN}


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
