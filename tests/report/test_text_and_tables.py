from __future__ import annotations

import pytest

from orchestrator.report.table import Table, to_markdown
from orchestrator.report.text import milliseconds, percentile, quality, seconds


@pytest.mark.parametrize(
    ("ns", "shown"),
    [(None, "-"), (481, "0.000481 ms"), (500_000, "0.5 ms"), (1_234_000, "1.23 ms"), (12_340_000, "12.3 ms"), (123_400_000, "123 ms")],
)
def test_times_have_three_digits(ns: int | None, shown: str) -> None:
    assert milliseconds(ns) == shown


@pytest.mark.parametrize(
    ("s", "shown"), [(4.26, "4.3 s"), (59, "59 s"), (60, "1 min 00 s"), (3_599.6, "1 h 00 min"), (7_260, "2 h 01 min")]
)
def test_durations_read_as_said(s: float, shown: str) -> None:
    assert seconds(s) == shown


@pytest.mark.parametrize(("value", "shown"), [(0.9, "0.900"), (0.8999, "0.899"), (1.0, "1.000"), (0.0, "0.000"), (0.29, "0.290")])
def test_no_quality_looks_better_than_it_is(value: float, shown: str) -> None:
    assert quality(value) == shown


def test_percentiles_keep_their_label() -> None:
    assert [percentile(value) for value in (99.0, 99.9)] == ["p99", "p99.9"]


def test_names_cannot_break_a_table_or_become_html() -> None:
    text = to_markdown(Table("T", ["model", "n"], [["<b>a|b</b>\n&", "1"]], right=frozenset(["n"])))
    assert text.splitlines()[2:5] == ["| model | n |", "| --- | ---: |", "| &lt;b>a\\|b&lt;/b> &amp; | 1 |"]
