"""Whether figures computed here are those that were bundled, but for what another processor's rounding may do to the last digits."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

RELATIVE = 1e-6
"""How far two floats may differ, as a share: sums in another order differ by 1e-12, and what a search ends with by a little more."""
ABSOLUTE = 1e-9
NANOSECOND = 1
"""How far whole times may differ: they are rounded from floats."""
LONGEST = 60
NUMBER = re.compile(r"\d+\.\d+|\d+(?= ms)")
"""What was rounded to be read; any other number is text."""


def table_difference(stored: pa.Table, found: pa.Table, same_program: bool) -> str | None:
    """Return in words the first difference between a stored result table and the one computed here, or None.

    Parameters
    ----------
    same_program
        whether one version made both; another one may know columns that this one does not, and the other way round.

    Examples
    --------
    >>> table_difference(pa.table({"mean": [0.5]}), pa.table({"mean": [0.5 + 1e-12]}), True)
    >>> table_difference(pa.table({"mean": [0.5]}), pa.table({"mean": [0.6]}), True)
    'mean of row 1 is 0.5, and the timings give 0.6'
    """
    if same_program and stored.column_names != found.column_names:
        other = sorted(set(stored.column_names) ^ set(found.column_names)) or ["their order"]
        return f"its columns are not those of this program ({other[0]})"
    if stored.num_rows != found.num_rows:
        return f"has {stored.num_rows:,} rows, and the timings give {found.num_rows:,}"
    for name in stored.column_names:
        if name in found.column_names:
            pairs = zip(stored.column(name).to_pylist(), found.column(name).to_pylist(), strict=True)
            for number, (mine, theirs) in enumerate(pairs, start=1):
                if not _alike(mine, theirs, name):
                    return f"{name} of row {number} is {_shown(mine)}, and the timings give {_shown(theirs)}"
    return None


def document_difference(stored: Any, found: Any, place: str = "") -> str | None:
    """Return in words the first difference between plain values, by the path to it, or None.

    Examples
    --------
    >>> document_difference({"a": [1, {"b": "met"}]}, {"a": [1, {"b": "not met"}]})
    'a.1.b is met, and the timings give not met'
    """
    pairs: list[tuple[str, Any, Any]] = []
    if isinstance(stored, Mapping) and isinstance(found, Mapping) and stored.keys() == found.keys():
        pairs = [(str(key), stored[key], found[key]) for key in stored]
    elif _is_list(stored) and _is_list(found) and len(stored) == len(found):
        pairs = [(str(number), *pair) for number, pair in enumerate(zip(stored, found, strict=True))]
    elif not (_same_text(stored, found) if isinstance(stored, str) and isinstance(found, str) else _alike(stored, found, place)):
        return f"{place or 'it'} is {_shown(stored)}, and the timings give {_shown(found)}"
    differences = (document_difference(mine, theirs, f"{place}.{key}" if place else key) for key, mine, theirs in pairs)
    return next((difference for difference in differences if difference is not None), None)


def text_difference(stored: str, found: str) -> str | None:
    """Return in words the first line in which two texts differ by more than the last digit of a number, or None.

    Examples
    --------
    >>> text_difference("mean 0.123", "mean 0.124")
    >>> text_difference("mean 0.123", "mean 0.125")
    'line 1 is not what the timings give'
    """
    mine, theirs = stored.splitlines(), found.splitlines()
    for number, (one, other) in enumerate(zip(mine, theirs, strict=False), start=1):
        if one != other and not _same_but_for_a_digit(one, other):
            return f"line {number} is not what the timings give"
    return None if len(mine) == len(theirs) else f"has {len(mine):,} lines, and the timings give {len(theirs):,}"


def _same_text(stored: str, found: str) -> bool:
    return text_difference(stored, found) is None


def _same_but_for_a_digit(one: str, other: str) -> bool:
    if NUMBER.split(one) != NUMBER.split(other):
        return False
    pairs = zip(NUMBER.findall(one), NUMBER.findall(other), strict=True)
    return all(_decimals(a) == _decimals(b) and abs(float(a) - float(b)) <= 1.01 * 10.0 ** -_decimals(a) for a, b in pairs if a != b)


def _decimals(number: str) -> int:
    return len(number.partition(".")[2])


def _alike(mine: Any, theirs: Any, name: str) -> bool:
    if isinstance(mine, bool) or isinstance(theirs, bool):
        return mine is theirs
    if isinstance(mine, int) and isinstance(theirs, int):
        return abs(mine - theirs) <= (NANOSECOND if name.endswith("_ns") else 0)
    if isinstance(mine, int | float) and isinstance(theirs, int | float):
        return math.isclose(mine, theirs, rel_tol=RELATIVE, abs_tol=ABSOLUTE) or (math.isnan(mine) and math.isnan(theirs))
    if isinstance(mine, Mapping) and isinstance(theirs, Mapping):
        return mine.keys() == theirs.keys() and all(_alike(mine[key], theirs[key], str(key)) for key in mine)
    if _is_list(mine) and _is_list(theirs):
        return len(mine) == len(theirs) and all(_alike(a, b, name) for a, b in zip(mine, theirs, strict=True))
    return bool(mine == theirs)


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _shown(value: Any) -> str:
    text = str(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST // 2]} ... {text[-LONGEST // 2 :]}"
