from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.report.table import Table, to_markdown
from orchestrator.report.text import milliseconds, quality, quality_within, seconds


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


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.9, "0.900"), (0.2577, "0.258"), (0.8999, "0.900"), (0.2574, "0.257"), (0.29, "0.290"), (0.0, "0.000"), (1.0, "1.000"),
        (1 / 16, "0.062"), (3 / 16, "0.188"), (9 / 16, "0.562"),  # halfway: to the even one
    ],
)  # fmt: skip
def test_quality_is_rounded_to_the_nearest(value: float, shown: str) -> None:
    assert quality(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"), [(0.9994, "0.999"), (0.9999, "0.9999"), (0.99996, "0.99996"), (0.9999999, "0.9999999"), (1 - 1e-15, "1.000")]
)
def test_nothing_but_one_reads_as_one(value: float, shown: str) -> None:
    assert quality(value) == shown


@given(st.fractions(0, 1, max_denominator=10_000))
def test_a_figure_is_the_nearest_and_lies_within_its_interval(exact: Fraction) -> None:
    value = float(exact)
    assert abs(Fraction(quality(value)) - exact) <= Fraction(5, 10_000) + Fraction(1, 10**12)
    assert (quality(value) == "1.000") == (exact == 1)
    low, high = quality_within(value, value).strip("[]").split(", ")
    assert float(low) <= float(quality(value)) <= float(high)
    assert float(low) <= value + 1e-12


@pytest.mark.parametrize(
    ("low", "high", "ideal", "shown"),
    [
        (0.639, 0.6522, 0.6522, "[0.639, 0.652]"),
        (0.639, 0.65215, 0.6522, "[0.639, 0.652]"),
        (0.639, 0.6514, 0.6522, "[0.639, 0.652]"),
        (0.9, 0.99995, 0.99995, "[0.900, 0.99995]"),
        (0.1, 0.6532, 0.6522, "[0.100, 0.654]"),  # of a metric that is no mean: the limit itself lies above
        (0.6528, 0.7, 0.6528, "[0.653, 0.700]"),  # of a metric that late answers add to
        (0.6528, 0.6528, 0.6528, "[0.652, 0.653]"),
        (0.639, 0.6522, None, "[0.639, 0.653]"),
    ],
)
def test_rounding_carries_no_limit_past_the_ideal(low: float, high: float, ideal: float | None, shown: str) -> None:
    assert quality_within(low, high, ideal) == shown


def test_names_cannot_break_a_table_or_become_html() -> None:
    text = to_markdown(Table("T", ["model", "n"], [["<b>a|b</b>\n&", "1"]], right=frozenset(["n"])))
    assert text.splitlines()[2:5] == ["| model | n |", "| --- | ---: |", "| &lt;b>a\\|b&lt;/b>\\\\n&amp; | 1 |"]
