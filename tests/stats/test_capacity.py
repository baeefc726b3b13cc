"""The search for the highest rate: against laws without noise, and against queues whose law is known."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta

from benchmarks.capacity import BRIEF, BUDGET_S, CASES, LOADING_S, searched
from orchestrator.contracts import InputError
from orchestrator.stats.capacity_search import HIGHEST, LOWEST, WIDTH, Bracket, Probe, bracket_of, expected_rate, next_rate, span_of
from orchestrator.stats.capacity_streams import affordable, least_streams, probes_to_come, streams_within
from orchestrator.stats.capacity_verdict import (
    ENOUGH_STREAMS,
    FAMILY_ERROR,
    MOST_PROBES,
    Judgement,
    Requirement,
    Verdict,
    answers_at_stake,
    judged,
    stream_means,
    waited,
)
from orchestrator.stats.stopping import make_rule
from orchestrator.stats.stopping.capacity import DEFAULTS, Capacity
from orchestrator.stats.stopping.rule import RoundObservation, RuleSettings
from orchestrator.stats.times import Clock

RATES = st.floats(0.01, 2.0)


def search(verdict: Callable[[float], Verdict], throughput: float = 100.0, expected: float | None = None) -> list[Probe]:
    """The probes of a whole search."""
    probes: list[Probe] = []
    while (rate := next_rate(probes, span_of(throughput), expected)) is not None:
        probes.append(Probe(rate, verdict(rate)))
        assert len(probes) <= MOST_PROBES
    return probes


@given(st.floats(LOWEST * 1.001, HIGHEST * 0.999), st.floats(0.1, 1e5))
def test_without_noise_the_bracket_holds_the_truth_and_is_narrow(share: float, throughput: float) -> None:
    truth = share * throughput
    probes = search(lambda rate: "keeps" if rate <= truth else "fails", throughput)
    found = bracket_of(probes)
    assert found.certified is not None
    assert found.refuted is not None
    assert found.certified <= truth < found.refuted <= WIDTH * found.certified
    assert len(probes) <= 6
    assert next_rate(random.sample(probes[:-1], len(probes) - 1), span_of(throughput)) == probes[-1].rate_per_s


@given(st.floats(LOWEST * 1.001, HIGHEST * 0.999), st.floats(0.01, 3.0), st.floats(0.1, 1e5))
def test_a_search_that_expects_something_ends_as_narrow_wherever_that_lies(share: float, off: float, throughput: float) -> None:
    truth = share * throughput
    probes = search(lambda rate: "keeps" if rate <= truth else "fails", throughput, expected=off * truth)
    found = bracket_of(probes)
    assert found.certified is not None
    assert found.refuted is not None
    assert found.certified <= truth < found.refuted <= WIDTH * found.certified
    assert len({probe.rate_per_s for probe in probes}) == len(probes) <= 11


@given(st.floats(0.1, 0.8), st.floats(0.95, 1.05))
def test_two_rates_bracket_what_was_expected_well(share: float, off: float) -> None:
    truth = 100 * share
    found = bracket_of(search(lambda rate: "keeps" if rate <= truth else "fails", expected=off * truth)[:2])
    assert found.refuted == pytest.approx(1.44 * found.certified, rel=1e-4)  # type: ignore[operator]


def test_what_all_rates_of_the_span_keep_or_fail_needs_few_rates() -> None:
    all_keep, all_fail = (search(lambda rate, to=to: to, expected=guess) for to, guess in (("keeps", 900.0), ("fails", 0.1)))  # type: ignore[misc]
    assert [probe.rate_per_s for probe in all_keep] == [87.5, 105.0, 126.0, 151.2, 181.44]
    assert [probe.rate_per_s for probe in all_fail] == [5.0]


def test_ends_of_the_span_are_measured_where_all_keep_or_all_fail() -> None:
    all_keep, all_fail = search(lambda rate: "keeps"), search(lambda rate: "fails")
    assert (bracket_of(all_keep).certified, bracket_of(all_keep).refuted) == (181.44, None)
    assert (bracket_of(all_fail).certified, bracket_of(all_fail).refuted) == (None, 5.0)
    for probes, most in ((all_keep, 9), (all_fail, 6)):
        assert len({probe.rate_per_s for probe in probes}) == len(probes) == most


@pytest.mark.parametrize("expected", [None, 60.0, 95.0, 900.0])
@pytest.mark.parametrize("truth", [106.0, 130.0, 180.0])
def test_a_search_goes_on_above_a_closed_loop_that_was_slower_than_its_streams(truth: float, expected: float | None) -> None:
    found = bracket_of(search(lambda rate: "keeps" if rate <= truth else "fails", expected=expected))
    assert found.certified is not None
    assert found.refuted is not None
    assert found.certified <= truth < found.refuted <= WIDTH * found.certified


@given(RATES, st.floats(1.0, 3.0))
def test_beside_undecided_rates_the_search_goes_on_above_and_below(middle: float, width: float) -> None:
    low, high = 100 * middle / width, 100 * middle * width
    probes = search(lambda rate: "keeps" if rate < low else "fails" if rate > high else "undecided")
    found = bracket_of(probes)
    assert found.certified is None or found.certified < low
    assert found.refuted is None or found.refuted > high
    assert len({probe.rate_per_s for probe in probes}) == len(probes)
    inside = [probe.rate_per_s for probe in probes if probe.verdict == "undecided"]
    if inside and found.certified and found.refuted and len(probes) < MOST_PROBES:
        assert min(inside) / found.certified <= math.sqrt(WIDTH) or found.narrow
        assert found.refuted / max(inside) <= math.sqrt(WIDTH) or found.narrow


def test_a_certificate_above_a_rate_that_fails_counts_for_nothing() -> None:
    found = bracket_of([Probe(10, "keeps"), Probe(30, "keeps"), Probe(20, "fails"), Probe(40, "fails")])
    assert (found.certified, found.refuted) == (10, 20)
    with pytest.raises(InputError, match="must be positive"):
        span_of(0.0)


def test_looks_share_the_error_and_few_streams_certify_nothing() -> None:
    requirement = Requirement(0.9, 48)
    assert requirement.looks == (6, 12, 24, 48)
    assert requirement.confidence == pytest.approx(1 - 2 * 0.05 / 12 / 4)
    good, bad = np.full(48, 0.8), np.full(48, 0.2)

    def verdict(qualities: np.ndarray) -> Judgement:
        return judged(qualities, np.full(qualities.size, 1e6), 0.8, requirement)

    assert (verdict(good[:6]).verdict, verdict(bad[:6]).verdict) == ("undecided", "fails")
    assert verdict(good[:11]).streams == 6
    assert verdict(good).streams == 12
    late = np.concatenate([bad[:6], good])
    assert verdict(late).verdict == "fails"  # later streams do not undo a verdict
    assert verdict(good[:1]).verdict == "undecided"
    assert judged(good, np.full(48, 1e6), 0.0, requirement).verdict == "undecided"
    above = judged(np.full(12, 0.85), np.full(12, 100.0), 0.8, requirement)
    assert above.low <= above.mean <= above.high


def test_the_interval_is_the_exact_one_where_no_answer_is_late() -> None:
    found = judged(np.full(12, 0.8), np.full(12, 90.0), 0.8, Requirement(0.99, 12))
    tail = (1 - found.confidence) / 2
    assert found.low == pytest.approx(0.8 * (1 - beta.ppf(1 - tail, 1, 12 * 90)))
    assert found.verdict == ("keeps" if found.low >= 0.99 * 0.8 else "undecided")


def test_streams_that_were_cut_are_no_units() -> None:
    qualities, streams = [0.1, 1.0, 0.8, 0.6, 0.4, 0.0, 1.0], [0, 1, 1, 2, 2, 3, 3]
    assert stream_means(qualities, streams) == pytest.approx([0.9, 0.5, 0.5])
    assert stream_means(qualities, streams, [False, False, True, False, False, False, False]) == pytest.approx([0.5, 0.5])
    assert stream_means([], []).size == 0


def test_the_rule_says_after_which_stream_what_the_streams_have_shown() -> None:
    source = np.random.default_rng(3)
    for share, first_rounds in ((0.0, 3), (0.5, 3), (0.02, 1)):
        rule = make_rule(
            "capacity", min_rounds=1, max_rounds=10**6, options={"deadline_ms": 20.0, "keep": 0.9, "most_streams": 24, "error": 0.01}
        )
        times, total = np.where(source.random((75, 40)) < share, 30e6, 10e6), np.full(40, 10e6)
        streams = np.repeat(np.arange(26), [first_rounds, *[3] * 24, 3])[:75]
        quality = 0.75 * (times <= 20e6).mean(axis=1)
        reason = None
        for number in range(75):
            observation = RoundObservation(
                number,
                {Clock.TOTAL: total, Clock.INFERENCE: total, Clock.RESPONSE: times[number]},
                lambda bound, of=times[number]: 0.75 * float((of <= bound).mean()),
                0.75,
                int(streams[number]),
            )
            decision = rule.update(observation, float(number))
            if decision.stop:
                reason = decision.reason
                break
        waiting = (times > total).mean(axis=1)
        whole, shares = (stream_means(values[: number + 1], streams[: number + 1]) for values in (quality, waiting))
        found = judged(whole, answers_at_stake(120, shares, 0.75), 0.75, Requirement(0.9, 24, 0.01))
        assert (reason, found.streams) == (found.verdict, whole.size)


def test_the_rule_looks_once_at_whole_streams() -> None:
    rule = make_rule("capacity", min_rounds=1, max_rounds=10**6, options={"keep": 0.9, "most_streams": 12})
    looks = []
    for number in range(3 * 13):
        share = 0.9 if number // 3 % 2 else 0.99  # neither kept nor failed
        total = np.where(np.arange(100) < 100 * share, 10e6, 90e6)
        seen = {Clock.TOTAL: total, Clock.INFERENCE: total}
        decision = rule.update(
            RoundObservation(number, seen, lambda bound, of=total: float((of <= bound).mean()), 1.0, number // 3), float(number)
        )
        looks += [number + 1] if decision.check else []
        if decision.stop:
            break
    assert (looks, decision.reason) == ([3 * 6, 3 * 12], "undecided")


def test_probes_share_the_error_by_default() -> None:
    assert DEFAULTS["error"] == FAMILY_ERROR / MOST_PROBES
    settings = RuleSettings(1, 9)
    assert vars(Capacity(settings))["_requirement"] == Requirement(0.99, ENOUGH_STREAMS, FAMILY_ERROR / MOST_PROBES)


def test_streams_are_spent_where_they_can_decide() -> None:
    assert streams_within(60, 120, 3, 12, refutes=False) == 20
    assert streams_within(6, 120, 3, 12, refutes=False) == 12  # fewer certify nothing
    assert streams_within(60, 33, 3, 12, refutes=False) is None
    assert streams_within(60, 33, 3, 12, refutes=True) == 11
    assert streams_within(60, 17, 3, 12, refutes=True) is None
    assert affordable(80.0, 50.0, lambda rate: 12 if rate < 70 else None) == (66.6667, 12)
    assert affordable(80.0, 70.0, lambda rate: 12 if rate < 70 else None) is None
    assert [probes_to_come(Bracket(*ends)) for ends in ((None, None), (None, 9), (5, None), (5, 9), (5, 6))] == [4, 3, 3, 2, 1]


def test_answers_that_will_wait_take_more_streams() -> None:
    alone, waiting = (least_streams(40.0, 0.99, utilisation) for utilisation in (0.0, 0.8))
    assert waiting == pytest.approx(5 * alone, rel=0.06)
    assert least_streams(40.0, 0.99, 2.0) == pytest.approx(20 * alone, rel=0.06)


@given(st.floats(LOWEST, HIGHEST), st.floats(0.5, 0.99))
def test_the_expected_rate_is_where_the_foretold_share_falls_below(share: float, keep: float) -> None:
    truth = 100 * share
    found = expected_rate(lambda rate: 1.0 if rate <= truth else 0.0, keep, span_of(100.0))
    assert found == pytest.approx(truth, rel=1e-3)


def test_nothing_is_known_of_no_stream() -> None:
    found = judged(np.zeros(0), np.zeros(0), 0.8, Requirement(0.9))
    assert (found.verdict, found.streams, found.mean, found.low, found.high) == ("undecided", 0, 0.0, 0.0, 0.8)


def test_answers_that_wait_count_for_less() -> None:
    found = waited([10.0, 10.9, 11.2, math.inf, math.inf], [10.0, 10.0, 10.0, 10.0, math.inf])
    assert found.tolist() == [False, False, True, True, True]
    assert answers_at_stake(100, [0.0, 0.75, 1.0], 0.5).tolist() == [50.0, 12.5, 2.5]
    assert answers_at_stake(100, [0.0], 30.0).tolist() == [100.0]


def test_options_of_the_rule_are_checked() -> None:
    for option, value in (("keep", 1.5), ("deadline_ms", 0.0), ("most_streams", 0), ("error", 1.0)):
        with pytest.raises(InputError, match=f"{option}={value:g}"):
            make_rule("capacity", min_rounds=1, max_rounds=9, options={option: value})


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_searches_of_queues_whose_law_is_known_hold_the_truth(case: object) -> None:
    held = 0
    for seed in range(6):
        found = bracket_of(searched(case, seed)[0])  # type: ignore[arg-type]
        held += (found.certified or 0.0) <= case.true_rate <= (found.refuted or math.inf)  # type: ignore[attr-defined]
    assert held >= 5


def test_a_budget_is_kept_and_what_it_finds_holds_the_truth() -> None:
    for seed in range(4):
        probes, streams = searched(BRIEF, seed, BUDGET_S)
        found = bracket_of(probes)
        assert found.certified is not None
        assert found.certified <= BRIEF.true_rate <= (found.refuted or math.inf)
        assert len(probes) * LOADING_S + 3 * streams <= 265  # a stream beyond the knee takes longer than its schedule
