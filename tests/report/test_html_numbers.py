from __future__ import annotations

import json
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.report.html.moving import json_text
from orchestrator.report.html.packed import LETTERS, Arrays, packed
from orchestrator.report.text import quality_within


def unpacked(text: str) -> bytes:
    """Return what was packed, as the page's script does it."""
    length, _, letters = text.partition(" ")
    digits = {chr(letter): digit for digit, letter in enumerate(LETTERS)}
    bits = "".join(f"{digits[one] * 91 + digits[other]:013b}" for one, other in zip(letters[::2], letters[1::2], strict=True))
    return zlib.decompress(bytes(int(bits[place : place + 8], 2) for place in range(0, 8 * int(length), 8)))


@given(st.recursive(st.text() | st.integers() | st.none(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8))
def test_packed_json_can_end_nothing_and_stays_the_same(document: object) -> None:
    text = packed(json_text(document))
    assert not set(text) & set("<>&\u2028\u2029\r\n\0")
    assert json.loads(unpacked(text)) == document


@given(st.binary(max_size=300))
def test_packed_bytes_come_back(content: bytes) -> None:
    assert unpacked(packed(content)) == content


def numbers(arrays: Arrays, where: list[int], kind: str) -> np.ndarray:
    planes = np.frombuffer(bytes(arrays.stored[where[0] : where[1]]), dtype=np.uint8).reshape(np.dtype(kind).itemsize, -1)
    return np.ascontiguousarray(planes.T).view(kind).ravel()


def test_drawn_quality_is_near_enough_and_nothing_stays_nothing() -> None:
    values = np.array([[0.0, 0.5, 0.9], [np.nan, 0.1, 0.2]])
    arrays = Arrays()
    stored = arrays.drawn(values)
    assert arrays.drawn(values) == stored
    steps = numbers(arrays, stored["u2"], "<u2").reshape(2, 3)
    assert steps[1, 0] == 65_535
    assert (steps * stored["step"] + stored["low"])[0] == pytest.approx(values[0], abs=1e-5)


def test_few_different_values_are_kept_as_they_are_in_a_byte_each() -> None:
    values = np.array([[0.1 + 0.2, 0.9, 0.9, 0.9, 0.9], [np.nan, 0.9, 0.1 + 0.2, 0.9, 0.9]])
    arrays = Arrays()
    stored = arrays.drawn(values)
    places = np.frombuffer(bytes(arrays.stored[slice(*stored["u1"])]), dtype="u1").reshape(2, 5)
    known = [*numbers(arrays, stored["values"]["f8"], "<f8"), *[np.nan] * 254]
    assert np.array(known)[places] == pytest.approx(values, nan_ok=True, abs=0)
    assert places[1, 0] == 255


def test_a_drawn_line_is_finer_than_a_screen_and_exact_where_the_numbers_are_there() -> None:
    values = np.array([-3.0, np.nan, 5.0, 4.321])
    arrays = Arrays()
    stored = arrays.drawn(values)
    steps = numbers(arrays, stored["u2"], "<u2")
    assert steps[1] == 65_535
    assert (steps * stored["step"] + stored["low"])[[0, 2, 3]] == pytest.approx([-3.0, 5.0, 4.321], abs=8 / 4000)
    exact = arrays.exact(values)
    assert arrays.drawn(values) == exact
    assert numbers(arrays, exact["f8"], "<f8") == pytest.approx(values, nan_ok=True, abs=0)


@given(st.lists(st.floats(-2, 2), min_size=1, max_size=20))
def test_packed_limits_read_like_the_limits(values: list[float]) -> None:
    arrays = Arrays()
    low, high = (arrays.limits(np.array(values), upper=upper) for upper in (False, True))
    lows, highs = (numbers(arrays, side["f8"], "<f8") / side["per"] for side in (low, high))
    for value, below, above in zip(values, lows, highs, strict=True):
        assert quality_within(below, above) == quality_within(value, value)
