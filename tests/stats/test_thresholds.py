"""Thresholds in time and by percentile, the reference trial, and times that are refused."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from refusals import refused

from orchestrator.stats.thresholds import (
    Reference,
    Threshold,
    common_thresholds,
    default_reference,
    own_thresholds,
    primary_threshold,
    primary_threshold_of,
    thresholds_from_ms,
    thresholds_from_percentiles,
)
from orchestrator.stats.times import checked_times


def test_milliseconds_become_exact_nanoseconds():
    found = thresholds_from_ms([50.0, 12.5, 0.3, 1e7, 50])
    assert [(t.label, t.ns) for t in found] == [
        ("50 ms", 50_000_000), ("12.5 ms", 12_500_000), ("0.3 ms", 300_000), ("10000000 ms", 10**13),
    ]  # fmt: skip
    assert {t.origin for t in found} == {"absolute"}
    assert int(8.2 * 10**6) == 8_199_999  # what floats would make of it
    assert thresholds_from_ms([8.2])[0].ns == 8_200_000


def test_percentiles_of_pooled_times():
    found = thresholds_from_percentiles(np.arange(1, 2001).reshape(2, 1000), [90, 99.9], "reference")
    assert found == (Threshold("p90", 1800, "reference", 90), Threshold("p99.9", 1998, "reference", 99.9))


def test_own_thresholds_are_frozen_from_the_first_ten_rounds():
    times = np.repeat(np.arange(1, 21), 5).reshape(20, 5)
    [found], first_round = own_thresholds(times, [75])
    assert (found.ns, first_round) == (8, 10)
    [few], first_round = own_thresholds(times[:19], [75])
    assert (few.ns, first_round, few.origin) == (15, 0, "own")


@pytest.mark.parametrize(
    ("samples", "known"), [(19, ["p90"]), (20, ["p90", "p95"]), (999, ["p90", "p95", "p99"]), (1000, ["p90", "p95", "p99", "p99.9"])]
)
def test_own_thresholds_have_ten_times_beyond_them(samples, known):
    found, _ = own_thresholds(np.arange(1, 20 * samples + 1).reshape(20, samples), [90, 95, 99, 99.9])
    assert [threshold.label for threshold in found] == known


P50S = {"a": 1.0, "b": 2.0, "c": 3.0, "d": 4.0, "e": math.inf}


@pytest.mark.parametrize(
    ("p50s", "failed", "reference"),
    [
        ({"c": 3, "a": 1, "b": 2}, "", Reference("b")),
        ({"a": 1, "b": 2, "c": 3, "d": 4}, "", Reference("b")),
        ({"z": 5, "a": 5, "m": 5}, "", Reference("m")),
        ({}, "", None),
        (P50S, "c", Reference("d", "c")),
        (P50S, "cde", Reference("b", "c")),
        (P50S, "bcde", Reference("a", "c")),
        (P50S, "abcde", None),
    ],
)
def test_the_reference_is_the_median_or_its_nearest_neighbour_that_did_not_fail(p50s, failed, reference):
    assert default_reference(p50s, [*failed]) == reference
    assert default_reference(dict(reversed(p50s.items())), [*failed]) == reference


def test_common_thresholds():
    found = common_thresholds([(33e6, 40e6), (4.7e6, 900e6)])
    # from 4.7 to 40 ms in steps of 1.708: 4.7, 8.0, 13.7, 23.4, 40 round to 5, 10, 10, 20, 50
    assert found == tuple(Threshold(f"{ms} ms", ms * 10**6, "absolute") for ms in (5, 10, 20, 50))


@given(st.floats(1, 1e15), st.floats(1, 1e3))
def test_common_thresholds_are_close_to_what_they_round(fastest, span):
    thresholds = common_thresholds([(fastest, fastest * span)])
    assert thresholds_from_ms([float(t.label.removesuffix(" ms")) for t in thresholds]) == thresholds
    found = [t.ns for t in thresholds]
    assert 1 <= len(found) <= 5
    assert found == sorted(set(found))
    assert all(str(ns).rstrip("0") in {"1", "2", "5"} for ns in found)
    assert found[0] >= fastest / math.sqrt(2.5) * 0.999
    assert found[-1] <= fastest * span * math.sqrt(2.5) * 1.001


@pytest.mark.parametrize(
    ("asked", "threshold"),
    [
        (None, Threshold("p95", 95, "reference", 95)),
        ("p99", Threshold("p99", 99, "reference", 99)),
        ("p97.5", Threshold("p97.5", 98, "reference", 97.5)),
        (" 12.5 ms", Threshold("12.5 ms", 12_500_000, "absolute")),
        ("40ms", Threshold("40 ms", 40_000_000, "absolute")),
        ("4e1 ms", Threshold("40 ms", 40_000_000, "absolute")),
    ],
)
def test_primary_threshold(asked, threshold):
    assert primary_threshold(asked, np.arange(1, 101)) == threshold
    assert primary_threshold(asked, None) == (threshold if threshold.origin == "absolute" else None)
    assert primary_threshold_of(asked, lambda percentile: math.ceil(percentile)) == threshold


def test_times_keep_their_type_and_bounds_are_what_64_bits_hold() -> None:
    assert checked_times(np.array([3, 5], dtype=np.int32)).dtype == np.int64
    assert checked_times([3.5, np.inf]).tolist() == [3.5, np.inf]
    assert checked_times([]).size == 0
    assert [bound(ns).ns for ns in (1, 2**63 - 1)] == [1, 2**63 - 1]


def bound(ns: int) -> Threshold:
    return Threshold("bound", ns, "absolute")


NO_PRIMARY = ["", "95", "p", "p100", "p0", "p95%", "50 s", "-5 ms", "0 ms", "p95 or so"]


@pytest.mark.parametrize(
    ("read", "wrong"),
    [
        *((thresholds_from_ms, [ms]) for ms in (0.0, -1.0, 1e-7, 1e13, math.inf, math.nan)),
        *((bound, ns) for ns in (0, 2**63)),
        *((lambda asked: primary_threshold(asked, None), asked) for asked in NO_PRIMARY),
        *((checked_times, times) for times in ([0], [5, -1], [np.nan, 1.0])),
    ],
)
def test_what_is_no_bound_and_no_time_is_refused(read, wrong):
    with refused("invalid"):
        read(wrong)
