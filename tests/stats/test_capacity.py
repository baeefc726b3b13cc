"""The search for a capacity: against SciPy's binomial test, and against queues whose law is known."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from md1 import md1_waits_up_to
from scipy.stats import binomtest

from benchmarks.studies.capacity import ALIKE, Case, Kind, searched, truth_of
from orchestrator.stats.capacity import (
    Estimate,
    PilotRate,
    answers_of_stream,
    estimated,
    is_certified,
    least_share,
    next_of_pilot,
    rates_to_certify,
    whole_streams,
)
from orchestrator.stats.constants import PILOT_MOST


@given(st.integers(1, 60).flatmap(lambda streams: st.tuples(st.integers(0, streams), st.just(streams))))
def test_a_share_of_streams_is_bounded_as_by_clopper_and_pearson(counts: tuple[int, int]) -> None:
    kept, streams = counts
    assert least_share(kept, streams) == pytest.approx(binomtest(kept, streams, alternative="greater").proportion_ci(0.95).low, abs=1e-9)


@pytest.mark.parametrize(
    ("kept", "streams", "certified"), [(30, 30, True), (28, 30, True), (27, 30, False), (13, 13, False), (14, 14, True), (0, 0, False)]
)
def test_two_of_thirty_streams_may_be_lost_and_none_of_fourteen(kept: int, streams: int, certified: bool) -> None:
    assert is_certified(kept, streams) is certified


@given(st.sampled_from([0.5, 0.9, 0.95, 0.99, 0.999]), st.integers(1, 10))
def test_a_stream_is_so_long_that_it_may_lose_some_answers(keep: float, lost: int) -> None:
    answers = answers_of_stream(keep, lost)
    assert math.floor((1 - keep) * answers + 1e-9) == lost
    assert math.floor((1 - keep) * (answers - 1) + 1e-9) < lost


def test_streams_that_were_cut_are_left_out() -> None:
    qualities, streams = [0.1, 1.0, 0.8, 0.6, 0.4, 0.0, 1.0], np.array([0, 1, 1, 2, 2, 3, 3])
    assert whole_streams(qualities, streams) == pytest.approx([0.9, 0.5, 0.5])
    assert whole_streams(qualities, streams, [False, False, True, False, False, False, False]) == pytest.approx([0.5, 0.5])
    assert whole_streams([], np.zeros(0, dtype=int)).size == 0


def losing(share_at: dict[float, float]) -> list[PilotRate]:
    return [PilotRate(rate, np.full(3, share)) for rate, share in share_at.items()]


def test_the_estimate_lies_where_the_logit_of_what_is_lost_crosses() -> None:
    rate, low, high = estimated(losing({40: 0.0, 80: 0.001, 100: 0.1, 120: 0.5}), 0.99, 1e6)
    logits = [math.log(share / (1 - share)) for share in (0.001, 0.01, 0.1)]
    expected = 80 * (100 / 80) ** ((logits[1] - logits[0]) / (logits[2] - logits[0]))
    assert rate == pytest.approx(expected, rel=1e-4)
    assert low < rate < high
    assert high - low < 1


def test_a_crossing_outside_the_pilot_has_no_number() -> None:
    assert estimated(losing({80: 0.3, 100: 0.9}), 0.95, 300).rate_per_s == 0
    assert math.isinf(estimated(losing({80: 0.0, 100: 0.0}), 0.95, 300).rate_per_s)


@given(st.floats(0.02, 20), st.floats(0.1, 1e4))
def test_a_pilot_ends_around_a_crossing_wherever_that_lies(share: float, throughput: float) -> None:
    truth, pilot = share * throughput, list[PilotRate]()
    found: Estimate | None = None
    while rates := next_of_pilot(throughput, [one.rate_per_s for one in pilot], found)[0]:
        pilot += losing({rate: 1 / (1 + math.exp(-30 * (rate / truth - 1.1))) for rate in rates})
        found = estimated(pilot, 0.95, 1e5)
        assert len(pilot) <= PILOT_MOST
    assert found.rate_per_s == pytest.approx(truth, rel=0.05)
    assert sum(0.75 < one.rate_per_s / truth < 1.35 for one in pilot) >= 4


@pytest.mark.parametrize(("lost", "expected"), [(0.0, math.inf), (1.0, 0.0)])
def test_a_pilot_that_never_crosses_ends(lost: float, expected: float) -> None:
    pilot: list[PilotRate] = []
    found: Estimate | None = None
    while rates := next_of_pilot(100, [one.rate_per_s for one in pilot], found)[0]:
        pilot += losing(dict.fromkeys(rates, lost))
        found = estimated(pilot, 0.95, 300)
    assert (len(pilot), found.rate_per_s if found else None) == (PILOT_MOST, expected)


def test_rates_are_certified_below_the_estimate_and_within_the_pilot() -> None:
    assert rates_to_certify(Estimate(100, 90, 110), 120) == (65, 72, 80, 88, 96)
    assert rates_to_certify(Estimate(math.inf, 90, math.inf), 120) == (78, 86.4, 96, 105.6, 115.2)
    assert rates_to_certify(Estimate(0, 0, 10), 120) == ()


@pytest.mark.slow
@pytest.mark.parametrize(("deadline", "keep", "answers"), [(5, 0.95, 200), (10, 0.99, 300)])
def test_searches_of_a_queue_of_erlang_s_law_find_its_rate_and_certify_none_above(deadline: float, keep: float, answers: int) -> None:
    low, high = 0.01, 0.99
    for _ in range(20):
        middle = (low + high) / 2
        low, high = (middle, high) if float(md1_waits_up_to([deadline - 1.0], middle, 1.0)[0]) >= keep else (low, middle)
    case = Case(Kind("constant services", ALIKE, variation=0.0), deadline, keep, answers)
    truth = truth_of(case, 0)
    assert truth.mean_rate == pytest.approx(low, rel=0.02), "the simulated truth is Erlang's"
    estimates, certified = searched(case, 60, 0)
    near = np.abs(np.array([one.rate_per_s for one in estimates]) / low - 1) <= 0.1
    assert near.mean() >= 0.6, "8 of 10 in the study, within what 60 searches can tell"
    assert (certified > truth.share_rate).mean() <= 0.15
    assert np.median(certified) >= 0.7 * low
