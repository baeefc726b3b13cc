from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import ArrayLike, NDArray
from scipy import signal, stats

from orchestrator.contracts import InputError
from orchestrator.stats.deadline import RESERVE, certify_deadline, contradicted, design_effect, next_risk
from orchestrator.stats.long_run import depend, variance_ratios

LOOKS = (30, 60, 120, 240)
SHARES = st.floats(0.02, 0.5)
CONFIDENCES = st.sampled_from([0.8, 0.9, 0.95, 0.99])


def mixed(values: ArrayLike) -> NDArray[np.float64]:
    """Return values in an order in which low and high ones alternate: no round resembles its neighbours."""
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    low, high = np.array_split(ordered, 2)
    found = np.empty(ordered.size)
    found[::2], found[1::2] = low, high
    return found


def smallest_rank(rounds: int, late_share: float, error: float) -> int | None:
    """The definition, rank by rank."""
    ranks = range(1, rounds + 1)
    return next((k for k in ranks if stats.binom.cdf(k - 1, rounds, 1 - late_share) >= 1 - error - 1e-13), None)


@pytest.mark.parametrize(("late_share", "rounds"), [(0.10, 29), (0.05, 59), (0.01, 299)])
def test_rounds_that_the_documentation_names(late_share: float, rounds: int) -> None:
    deadlines = mixed(np.arange(1.0, rounds + 1))
    found = certify_deadline(deadlines, (rounds,), late_share=late_share)
    assert (found.ns, found.rank, found.rounds, found.look, found.more_rounds, found.reason) == (rounds, rounds, rounds, 1, 0, None)
    short = certify_deadline(deadlines[:-1], (rounds,), late_share=late_share)
    assert (short.ns, short.rank, short.rounds, short.look, short.more_rounds, short.reason) == (None, None, 0, 0, 1, "1 more round needed")
    assert short.allowed_error == 0
    assert certify_deadline(deadlines[:-1], (rounds - 1,), late_share=late_share).ns is None


def test_it_is_the_deadline_of_that_rank_in_whatever_order() -> None:
    random = np.random.default_rng(4)
    for _ in range(400):
        found = certify_deadline(random.permutation(np.arange(1, 301)), (300,), late_share=0.3)
        assert found.ns == found.rank


@given(st.integers(1, 400), SHARES, CONFIDENCES)
def test_rank_of_a_first_look_is_the_smallest_by_the_binomial_tail(rounds: int, late_share: float, confidence: float) -> None:
    found = certify_deadline(mixed(np.arange(1, rounds + 1)), (rounds,), late_share=late_share, confidence=confidence)
    assert found.rank == smallest_rank(rounds, late_share, 1 - confidence)
    assert found.ns == found.rank
    assert found.allowed_error == pytest.approx(1 - confidence)


@pytest.mark.parametrize(("rounds", "allowed", "rank"), [(1, 0.5, 1), (2, 0.25, 2)])
def test_equality_counts_in_spite_of_rounding(rounds: int, allowed: float, rank: int) -> None:
    assert certify_deadline([1.0, 2.0], (rounds,), late_share=0.5, confidence=1 - allowed).rank == rank


def test_further_looks_have_half_of_what_is_left() -> None:
    deadlines = np.random.default_rng(0).permutation(np.arange(1.0, 241.0))
    left = 0.05
    for number, rounds in enumerate(LOOKS, start=1):
        found = certify_deadline(deadlines[:rounds], LOOKS)
        allowed = left if number == 1 else left / 2
        rank = smallest_rank(rounds, 0.1, allowed)
        assert rank is not None
        assert (found.look, found.rounds, found.rank) == (number, rounds, rank)
        assert found.allowed_error == pytest.approx(allowed)
        assert found.ns == sorted(deadlines[:rounds])[rank - 1]
        left -= 1 - stats.binom.cdf(rank - 1, rounds, 0.9)
    assert left > 0


def test_a_look_that_could_not_certify_spends_nothing() -> None:
    found = certify_deadline(mixed(np.arange(1, 101)), (10, 20, 100))
    assert found.allowed_error == pytest.approx(0.05)
    assert found.rank == smallest_rank(100, 0.1, 0.05)


@given(st.lists(st.integers(1, 300), min_size=1, max_size=6, unique=True).map(sorted), SHARES, CONFIDENCES)
def test_all_looks_together_risk_no_more_than_allowed(looks: list[int], late_share: float, confidence: float) -> None:
    deadlines = mixed(np.arange(1, looks[-1] + 1))
    found = [certify_deadline(deadlines[:rounds], looks, late_share=late_share, confidence=confidence) for rounds in looks]
    risked = sum(stats.binom.sf(look.rank - 1, look.rounds, 1 - late_share) for look in found if look.rank is not None)
    assert risked <= (1 - confidence) * (1 + 1e-9)


def test_rounds_between_two_looks_do_not_count() -> None:
    deadlines = np.concatenate([np.full(30, 5.0), np.full(29, 99.0)])
    found = certify_deadline(deadlines, LOOKS)
    assert (found.ns, found.rounds, found.look) == (5.0, 30, 1)


@given(st.integers(0, 80), st.lists(st.integers(1, 90), min_size=1, max_size=4, unique=True).map(sorted), SHARES)
def test_more_rounds_are_as_many_as_needed(rounds: int, looks: list[int], late_share: float) -> None:
    before = certify_deadline(np.ones(rounds), looks, late_share=late_share)
    if before.ns is None and before.more_rounds:
        needed = rounds + before.more_rounds
        extended = looks if needed in looks else [*looks, needed]
        after = certify_deadline(np.ones(needed), extended, late_share=late_share)
        assert (after.ns, after.rounds) == (1.0, needed)
        planned = [look for look in looks if rounds < look < needed]
        assert all(certify_deadline(np.ones(look), looks, late_share=late_share).ns is None for look in planned)
        if needed - 1 > looks[-1]:
            assert certify_deadline(np.ones(needed - 1), [*looks, needed - 1], late_share=late_share).ns is None
        assert before.reason is not None
        assert before.reason.startswith(f"{before.more_rounds} more round")


def test_more_rounds_of_a_plan_without_a_look_that_can_certify() -> None:
    found = certify_deadline(np.ones(12), (10,))
    assert (found.ns, found.rounds, found.look) == (None, 10, 1)
    assert found.more_rounds == 17  # nothing is spent, and 0.9^29 = 0.047 is the first below 0.05
    assert found.reason == "17 more rounds needed"


def test_rounds_enough_at_which_nobody_looked_are_told() -> None:
    found = certify_deadline(np.ones(40), (10,))
    assert (found.ns, found.more_rounds, found.reason) == (None, 0, "no look was taken at the rounds after the first 10")


def test_more_rounds_are_not_one_too_many_where_equality_decides() -> None:
    assert certify_deadline([1.0], (1,), late_share=0.5, confidence=0.75).more_rounds == 1  # 0.5^2 is 0.25
    assert certify_deadline([1.0] * 2, (1, 2), late_share=0.5, confidence=0.75).ns == 1.0


def test_all_the_error_may_be_spent() -> None:
    found = certify_deadline([1.0, 2.0], (1, 2), late_share=0.5, confidence=0.5)
    assert (found.ns, found.more_rounds, found.reason) == (None, 0, "earlier looks risked all the error allowed")
    assert certify_deadline([], (1, 2), late_share=0.5, confidence=0.5).more_rounds == 1


def test_rounds_that_never_keep_the_quality() -> None:
    deadlines = np.array([7.0] * 29 + [math.inf])
    found = certify_deadline(deadlines, (30,))
    assert (found.ns, found.rank, found.more_rounds) == (None, 30, 0)
    assert found.reason == "too many rounds never keep the quality"
    assert certify_deadline(deadlines, (30,), late_share=0.2).ns == 7.0


@given(st.lists(st.floats(1, 1e12), min_size=60, max_size=60), SHARES, SHARES)
def test_a_larger_share_that_may_be_late_gives_no_later_deadline(deadlines: list[float], one: float, other: float) -> None:
    strict, loose = (certify_deadline(mixed(deadlines), (60,), late_share=share).ns for share in sorted((one, other)))
    assert strict is None or (loose is not None and loose <= strict)


@given(st.lists(st.integers(1, 10**12), min_size=40, max_size=40), st.integers(0, 39), st.integers(0, 10**12))
def test_it_scales_and_a_slower_round_gives_no_earlier_deadline(deadlines: list[int], slow: int, delay: int) -> None:
    found = certify_deadline(deadlines, (40,))
    assert certify_deadline([1024 * ns for ns in deadlines], (40,)).ns == (None if found.ns is None else 1024 * found.ns)
    later = certify_deadline([ns + delay * (index == slow) for index, ns in enumerate(deadlines)], (40,))
    if found.design_effect == later.design_effect == 1:
        assert found.ns is not None
        assert later.ns is not None
        assert later.ns >= found.ns


def test_dependent_rounds_count_as_fewer() -> None:
    """Half of the rounds at each of two speeds, which change every ten rounds, are worth some of R; the rank moves up, or there is none."""
    random = np.random.default_rng(5)
    deadlines = np.repeat(np.tile([10.0, 15.0], 6), 10) + random.random(120)
    found = certify_deadline(deadlines, (120,))
    apart = certify_deadline(random.permutation(deadlines), (120,))
    assert (apart.design_effect, apart.rank) == (1, smallest_rank(120, 0.1, 0.05))
    assert found.design_effect > 2
    assert found.rank is None or found.rank > apart.rank
    few = certify_deadline(np.repeat([10.0, 15.0, 10.0], 10) + random.random(30), (30,))
    assert few.ns is None
    assert few.reason is not None
    assert few.reason.startswith("rounds depend on each other: ")
    assert few.reason.endswith(f"{few.more_rounds} more needed")


def test_visits_that_lie_apart_are_the_unit() -> None:
    """Rounds of a visit are alike, visits are not: without their numbers the same rounds are worth as much, or less."""
    random = np.random.default_rng(6)
    deadlines = np.repeat(10 + random.random(24), 5) + 0.01 * random.random(120)
    visits = np.repeat(np.arange(24), 5)
    found = certify_deadline(deadlines, (120,), visits=visits)
    assert found.design_effect == pytest.approx(5, rel=0.6)
    assert found.ns is None
    assert found.reason is not None
    assert found.reason.endswith("more needed"), "these visits do not lie close together"


def test_the_rank_of_dependent_rounds_is_that_of_as_many_independent_ones_at_the_same_share() -> None:
    random = np.random.default_rng(0)
    deadlines = np.repeat(10 + random.random(240), 2) + 0.01 * random.random(480)
    found = certify_deadline(deadlines, (480,), visits=np.repeat(np.arange(240), 2))
    assert 2 < found.design_effect < 2.01
    of_independent = smallest_rank(239, 0.1, 0.05)
    assert of_independent is not None
    assert found.rank == math.ceil(of_independent * 480 / 239)


def test_a_further_look_needs_rounds_for_half_of_what_is_left() -> None:
    found = certify_deadline(np.ones(30), (29, 30))
    left = 0.05 - 0.9**29
    assert found.more_rounds == 33
    assert 0.9**63 <= left / 2 < 0.9**62
    assert next_risk((29, 30)) == pytest.approx(left / 2)


def test_a_round_on_the_quantile_itself_does_not_lie_beyond_it() -> None:
    deadlines = np.repeat(np.random.default_rng(3).permutation(np.repeat([1.0, 2.0, 3.0, 4.0, 5.0], 6)), 4)
    above = np.log(np.maximum(deadlines, 3.0))
    expected, with_those = (variance_ratios([beyond, above], None, RESERVE).max() for beyond in (deadlines > 4, deadlines >= 4))
    assert design_effect(deadlines, 0.25) == pytest.approx(expected)
    assert with_those > 1.1 * expected


def slow_swings(random: np.random.Generator, trials: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return 120 deadlines in visits of 2 rounds among those of other trials, with AR(1) 0.95 of all rounds, and their visits."""
    fresh = random.standard_normal(120 * trials)
    fresh[1:] *= math.sqrt(1 - 0.95**2)
    whole = signal.lfilter([1.0], [1.0, -0.95], fresh).reshape(60, trials, 2)
    return np.exp(whole[:, 0].ravel()), np.repeat(np.arange(60), 2)


def test_slow_swings_that_outlast_the_pauses_between_visits_certify_little_and_seldom_falsely() -> None:
    random = np.random.default_rng(11)
    found = []
    for _ in range(200):
        deadlines, visits = slow_swings(random, trials=2)
        found.append(certify_deadline(deadlines, (120,), visits=visits))
    assert np.mean([one.ns is not None and one.ns < math.exp(stats.norm.ppf(0.9)) for one in found]) <= 0.05
    refused = [one for one in found if one.ns is None]
    assert all(one.reason is not None and one.reason.endswith("with more trials beside it") for one in refused)
    assert np.mean([one.more_rounds for one in refused]) > 100


def test_the_reserve_is_what_eight_cosines_do_not_know() -> None:
    assert pytest.approx(8 / stats.chi2.ppf(0.3, 8), abs=0.005) == RESERVE


def test_false_certificates_are_as_rare_as_the_binomial_tail_says() -> None:
    """Uniform deadlines: 0.9 is kept by 90 % of rounds; a certificate below it is false."""
    random = np.random.default_rng(3)
    found = [certify_deadline(row, (60,)) for row in random.random((4000, 60))]
    rank = smallest_rank(60, 0.1, 0.05)
    assert rank is not None
    risk = stats.binom.sf(rank - 1, 60, 0.9)
    false = np.mean([look.ns is not None and look.ns < 0.9 for look in found])
    assert false == pytest.approx(risk, abs=4 * math.sqrt(risk / 4000))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"looks": ()}, "looks at no rounds"),
        ({"looks": (30, 30)}, "looks at 30, 30 rounds"),
        ({"looks": (0, 30)}, "looks at 0, 30 rounds"),
        ({"looks": (30,), "late_share": 0}, "late_share 0"),
        ({"looks": (30,), "late_share": 1}, "late_share 1"),
        ({"looks": (30,), "late_share": math.nan}, "late_share nan"),
        ({"looks": (30,), "confidence": 0}, "confidence 0"),
        ({"looks": (30,), "confidence": 1}, "confidence 1"),
        ({"looks": (30,), "confidence": 95}, "confidence 95"),
    ],
)
def test_parameters_out_of_range(arguments: dict[str, object], says: str) -> None:
    with pytest.raises(InputError, match=says):
        certify_deadline([1.0], **arguments)


def test_deadlines_refused() -> None:
    with pytest.raises(InputError, match="time of nan"):
        certify_deadline([math.nan], (1,))
    with pytest.raises(InputError, match="time of 0"):
        certify_deadline([0], (1,))
    with pytest.raises(ValueError, match="must be"):
        certify_deadline([[1.0]], (1,))


def test_without_a_deadline_or_later_rounds_nothing_is_contradicted() -> None:
    promise = certify_deadline(np.random.default_rng(0).permutation(29) + 1, looks=(29,))
    assert promise.ns is not None
    assert not contradicted(promise, [], 0.1)
    assert not contradicted(certify_deadline(np.arange(1.0, 10.0), looks=(9,)), [1e9] * 50, 0.1)


@pytest.mark.parametrize(("effect", "breaks", "speak"), [(1.0, 8, True), (4.0, 8, False), (4.0, 20, True)])
def test_later_rounds_that_depend_on_each_other_speak_as_few(effect: float, breaks: int, speak: bool) -> None:
    """Of 40 rounds 10 count, and with 8 of 40 two of 10: P(Bin(10, 0.1) >= 2) = 0.26, where P(Bin(40, 0.1) >= 8) = 0.04."""
    promise = replace(certify_deadline(mixed(np.arange(1.0, 30.0)), (29,)), design_effect=effect)
    assert promise.ns == 29
    assert (stats.binom.sf(int(breaks / effect) - 1, int(40 / effect), 0.1) < 0.05) == speak
    assert contradicted(promise, [29.0] * (40 - breaks) + [30.0] * breaks, 0.1) == speak


def test_a_single_break_may_be_one_too_many() -> None:
    promise = certify_deadline(mixed(np.arange(1.0, 30.0)), (29,))
    assert contradicted(promise, [1.0] * 9 + [99.0], 0.001)
    assert not contradicted(promise, [29.0] * 10, 0.001)


def test_rounds_that_all_fail_depend_on_nothing() -> None:
    assert design_effect([math.inf] * 40, 0.1) == 1.0


def test_dependence_in_ranks_or_in_times_alone_counts() -> None:
    """Two long rounds side by side are much of the spread of times and little of the order; small steps are the reverse."""
    random = np.random.default_rng(4)
    two_long = mixed(random.uniform(10, 10.001, 120))
    two_long[[60, 61]] = 1000.0
    steps = np.repeat(np.tile([10.0, 10.001], 6), 10) + 1e-4 * random.random(120)
    steps[::40] = 1e6
    for deadlines in (two_long, steps):
        logs = np.log(deadlines)
        ranks = stats.norm.ppf((stats.rankdata(deadlines) - 0.5) / 120)
        assert depend([ranks]) != depend([logs])
        assert design_effect(deadlines, 0.1) > 1
