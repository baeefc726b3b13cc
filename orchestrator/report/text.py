"""Numbers as a reader wants them."""

from __future__ import annotations

import math


def milliseconds(ns: float | None) -> str:
    """Write a time in ms with three significant digits; a dash where there is none."""
    if ns is None:
        return "-"
    ms = ns / 1e6
    if ms >= 100:
        return f"{ms:.0f} ms"
    if ms >= 10:
        return f"{ms:.1f} ms"
    return f"{ms:.2f} ms" if ms >= 1 else f"{ms:.3g} ms"


def seconds(s: float) -> str:
    """Write a duration as a person would say it."""
    if s < 60:
        return f"{s:.1f} s" if s < 10 else f"{s:.0f} s"
    minutes, rest = divmod(round(s), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"


NEXT_TO_ONE = 1e-12
"""A sum of floats may miss 1 by so much."""


def quality(value: float) -> str:
    """Write a quality with three decimals: the nearest, of two equally near the even one.

    What is below 1 never reads as 1.000, which would claim that nothing was late or wrong: it has as many decimals as that takes.
    """
    decimals = 3
    while value < 1 - NEXT_TO_ONE and float(f"{value:.{decimals}f}") >= 1:
        decimals += 1
    return f"{value:.{decimals}f}"


def quality_at_least(value: float) -> str:
    """Write a bound that quality does not fall below: with three decimals, rounded down, so that it holds as it is written."""
    return f"{int(value * 1000 + 1e-9) / 1000:.3f}"


def quality_within(low: float, high: float) -> str:
    """Write an interval of quality, rounded outward."""
    return f"[{quality_at_least(low)}, {math.ceil(high * 1000 - 1e-9) / 1000:.3f}]"


def signed(value: float) -> str:
    """Write a difference of quality with its sign and three decimals; what rounds to nothing has none."""
    text = f"{value:+.3f}"
    return text if float(text) else "0.000"


def percentile(value: float) -> str:
    """Write a percentile as its label: p99, p99.9."""
    return f"p{value:g}"


def trials_counted(count: int) -> str:
    """Write a number of trials."""
    return f"{count} trial" if count == 1 else f"{count} trials"
