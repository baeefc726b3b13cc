"""A LaTeX table fits a column of a paper at 7 points: measured with the letters of Computer Modern, which matplotlib holds."""

from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lazily import Lazily

from orchestrator.exchange.latex import COLUMN_PT, GAP_PT, blocks, width_of
from orchestrator.report.table import Table

matplotlib = Lazily("matplotlib")
font_manager = Lazily("matplotlib.font_manager")
textpath = Lazily("matplotlib.textpath")
WIDER_AT_SEVEN = 1.139
"""Of a digit in cmr7, 0.5694 em, over one in cmr10, 0.5 em."""
NAME = st.text(alphabet="abcmwWX_0189-. ", min_size=1, max_size=60).filter(lambda text: bool(text.strip()))


@cache
def computer_modern() -> Any:
    return font_manager.FontProperties(fname=str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "cmr10.ttf"))


def true_width(text: str) -> float:
    """Width in points at 7 points, blanks included."""
    blanks = text.count(" ") * 7 * 0.333 * WIDER_AT_SEVEN
    solid = text.replace(" ", "")
    if not solid:
        return blanks
    return blanks + float(textpath.TextPath((0, 0), solid, size=7, prop=computer_modern()).get_extents().width) * WIDER_AT_SEVEN


@pytest.mark.parametrize(
    "text",
    ["efficientnet_lite0", "onnxruntime", "0.900 [0.893, 0.900] / 0.750 (a, b)", "not certified: 7 more rounds needed", "p99.9 (321 ms)"],
)
def test_a_text_is_not_wider_than_it_is_taken_for(text: str) -> None:
    assert true_width(text) <= width_of(text) <= 1.5 * true_width(text)


def table_of(names: list[str], several: int = 1) -> Table:
    """A table of three rows, with ``several`` columns of figures besides others."""
    figures = [f"p{number} (23.0 ms)" for number in range(several)]
    rows = [
        [*names, f"cpu_{number}", *[f"0.{number} [0.893, 0.900] / 0.750 (a)"] * several, "0.1", "not certified: 7 more rounds needed"]
        for number in range(3)
    ]
    heads = [*(f"name{number}" for number in range(len(names))), "system", *figures, "ideal", "why"]
    return Table("Tail quality", heads, rows, "A note.", frozenset([*figures, "ideal"]))


@given(st.lists(NAME, max_size=3))
def test_every_block_fits_and_holds_the_names_and_no_column_is_lost(names: list[str]) -> None:
    table = table_of(names)
    found = list(blocks(table))
    identity = list(range(len(names) + 1))
    for block in found:
        assert [column.place for column in block][: len(identity)] == identity
        widths = [column.width or max(width_of(row[column.place]) for row in (table.columns, *table.rows)) for column in block]
        assert sum(widths) + GAP_PT * (len(block) - 1) <= COLUMN_PT + 1e-6
    others = list(chain.from_iterable([column.place for column in block[len(identity) :]] for block in found))
    assert others == list(range(len(identity), len(table.columns)))
