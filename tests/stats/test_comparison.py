from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from orchestrator.stats.comparison import compare_many_samples, compare_rounds, compare_samples
from scipy import stats

from orchestrator.contracts import InputError
from orchestrator.stats import comparison

QUALITIES = st.lists(st.integers(0, 20).map(lambda right: right / 20), min_size=2, max_size=30)


def seeded(seed=0):
    return np.random.default_rng(seed)


def limits(found):
    return found.difference, found.low, found.high


@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
@pytest.mark.parametrize(("rounds_a", "rounds_b", "sd_b"), [(2, 2, 0.01), (30, 30, 0.03), (30, 5, 0.2)])
def test_welch_equals_scipys(rounds_a, rounds_b, sd_b, confidence):
    random = seeded(rounds_a + rounds_b)
    a, b = 0.8 + 0.02 * random.normal(size=rounds_a), 0.75 + sd_b * random.normal(size=rounds_b)
    found = compare_rounds(a, b, confidence=confidence)
    expected = stats.ttest_ind(b, a, equal_var=False)
    assert (found.method, found.confidence) == ("welch", confidence)
    assert found.difference == pytest.approx(b.mean() - a.mean())
    assert (found.low, found.high) == pytest.approx(tuple(expected.confidence_interval(confidence)))
    values = {"t": expected.statistic, "df": expected.df, "p_value": expected.pvalue}
    assert dict(found.parameters) == pytest.approx({"rounds_a": rounds_a, "rounds_b": rounds_b, **values})


def test_pairs_equal_scipys():
    random = seeded(1)
    shared = 0.1 * random.normal(size=20)
    a, b = 0.8 + shared + 0.01 * random.normal(size=20), 0.78 + shared + 0.01 * random.normal(size=20)
    found = compare_rounds(a, b, paired=True, confidence=0.9)
    expected = stats.ttest_rel(b, a)
    assert found.method == "paired t"
    assert (found.low, found.high) == pytest.approx(tuple(expected.confidence_interval(0.9)))
    assert (found.parameters["t"], found.parameters["df"]) == pytest.approx((expected.statistic, 19))
    assert found.parameters["p_value"] == pytest.approx(expected.pvalue)
    unpaired = compare_rounds(a, b, confidence=0.9)
    assert found.high - found.low < (unpaired.high - unpaired.low) / 5


def test_pairs_need_no_common_spread_to_differ():
    a = np.array([0.5, 0.6, 0.7])
    found = compare_rounds(a, a - 0.1, paired=True)
    assert (found.method, found.low, found.high) == ("exact", found.difference, found.difference)
    assert found.difference == pytest.approx(-0.1)


def test_one_side_without_spread():
    a, b = np.full(10, 0.9), np.array([0.7, 0.8, 0.9, 0.8])
    found = compare_rounds(a, b)
    assert found.parameters["df"] == 3
    assert (found.low, found.high) == pytest.approx(stats.t.interval(0.95, 3, b.mean() - 0.9, stats.sem(b)))


@pytest.mark.parametrize(("of_a", "of_b"), [(0.9, 0.9), (0.9, 0.0), (0.0, 0.0)])
def test_no_spread_at_all_is_exact(of_a, of_b):
    found = compare_rounds(np.full(30, of_a), np.full(20, of_b))
    assert found.method == "exact"
    assert limits(found) == pytest.approx((of_b - of_a,) * 3)


def test_rounding_is_no_spread():
    assert compare_rounds([0.9, 0.9 - 1e-16, 0.9], [0.8, 0.8 + 1e-16]).method == "exact"


def test_resolution_is_one_answer_in_all_rounds():
    found = compare_rounds(np.full(30, 0.9), np.full(20, 0.9), resolution=1 / 50)
    error = math.hypot(1 / 30 / 50, 1 / 20 / 50)
    degrees = error**4 / ((1 / 30 / 50) ** 4 / 29 + (1 / 20 / 50) ** 4 / 19)
    assert found.method == "welch"
    assert (found.low, found.high) == pytest.approx(stats.t.interval(0.95, degrees, 0, error))
    pairs = compare_rounds(np.full(30, 0.9), np.full(30, 0.88), paired=True, resolution=1 / 50)
    assert (pairs.low, pairs.high) == pytest.approx(stats.t.interval(0.95, 29, -0.02, math.sqrt(2) / 30 / 50))


@given(QUALITIES, QUALITIES)
def test_resolution_only_widens(a, b):
    found, with_floor = compare_rounds(a, b), compare_rounds(a, b, resolution=0.05)
    assert with_floor.parameters["t"] ** 2 <= found.parameters.get("t", math.inf) ** 2 + 1e-9


@pytest.mark.parametrize("wrong", [-0.1, math.nan, math.inf])
def test_resolution_refused(wrong):
    with pytest.raises(InputError, match="resolution"):
        compare_rounds([0.5, 0.6], [0.5, 0.6], resolution=wrong)


@pytest.mark.parametrize(("a", "b", "paired"), [([0.9], [0.8, 0.7], False), ([0.9, 0.8], [0.7], False), ([0.9], [0.8], True)])
def test_one_round_says_nothing(a, b, paired):
    found = compare_rounds(a, b, paired=paired)
    assert (found.method, found.low, found.high) == ("none", -math.inf, math.inf)
    assert found.difference == pytest.approx(np.mean(b) - np.mean(a))


@pytest.mark.parametrize("wrong", [[], [math.nan, 0.5], [math.inf], [[0.5, 0.5]]])
def test_qualities_refused(wrong):
    with pytest.raises(InputError, match="qualities"):
        compare_rounds(wrong, [0.5, 0.6])
    with pytest.raises(InputError, match="qualities"):
        compare_rounds([0.5, 0.6], wrong)


def test_incomplete_pairs_refused():
    with pytest.raises(InputError, match="partner"):
        compare_rounds([0.5, 0.6], [0.5, 0.6, 0.7], paired=True)


@pytest.mark.parametrize("confidence", [0, 1, 95, math.nan])
def test_confidence_refused(confidence):
    with pytest.raises(InputError, match="confidence"):
        compare_rounds([0.5, 0.6], [0.5, 0.6], confidence=confidence)
    with pytest.raises(InputError, match="confidence"):
        compare_samples(np.eye(3), np.eye(3), seeded(), confidence=confidence)


@given(QUALITIES, QUALITIES, st.booleans(), st.randoms(use_true_random=False), st.floats(0, 2))
def test_laws_of_comparing_rounds(a, b, paired, shuffler, shift):
    if paired:
        a, b = a[: len(b)], b[: len(a)]
    found = compare_rounds(a, b, paired=paired)
    assert found.low <= found.difference <= found.high
    swapped = compare_rounds(b, a, paired=paired)
    assert limits(swapped) == pytest.approx((-found.difference, -found.high, -found.low), abs=1e-9)
    raised = compare_rounds(np.add(a, shift), np.add(b, shift), paired=paired)
    assert limits(raised) == pytest.approx(limits(found), abs=1e-9)
    order = list(range(len(a)))
    shuffler.shuffle(order)
    partners = [b[i] for i in order] if paired else sorted(b)
    assert limits(compare_rounds([a[i] for i in order], partners, paired=paired)) == pytest.approx(limits(found), abs=1e-9)


def answers(random, rounds, samples, on_time):
    """Scores of samples that are unlike each other in being right and in being on time."""
    right = random.random(samples) < 0.8
    chance = on_time ** (1 + np.arange(samples) % 3)
    return right * (random.random((rounds, samples)) < chance)


def test_two_way_bootstrap_one_resample_at_a_time():
    random = seeded(2)
    a, b = answers(random, 6, 9, 0.9).astype(float), answers(random, 4, 9, 0.7).astype(float)
    draw = seeded(3)
    samples, rounds_a, rounds_b = draw.integers(9, size=(199, 9)), draw.integers(6, size=(199, 6)), draw.integers(4, size=(199, 4))
    brute = sorted(b[np.ix_(rb, s)].mean() - a[np.ix_(ra, s)].mean() for s, ra, rb in zip(samples, rounds_a, rounds_b, strict=True))
    found = compare_samples(a, b, seeded(3), confidence=0.9, resamples=199)
    assert (found.low, found.high) == pytest.approx((brute[9], brute[-10]))
    assert found.difference == pytest.approx(b.mean() - a.mean())
    assert found.method == "two-way bootstrap"
    differ = sum(before != after for before, after in zip(a.mean(axis=0), b.mean(axis=0), strict=True))
    assert found.parameters == {"rounds_a": 6, "rounds_b": 4, "samples": 9, "samples_that_differ": differ, "resamples": 199}


def test_two_way_bootstrap_in_several_blocks(monkeypatch):
    random = seeded(4)
    a, b = answers(random, 20, 30, 0.9), answers(random, 20, 30, 0.8)
    whole = compare_samples(a, b, seeded(), resamples=1999)
    monkeypatch.setattr(comparison, "BLOCK", 20_000)
    pieces = compare_samples(a, b, seeded(), resamples=1999)
    assert (pieces.low, pieces.high) == pytest.approx((whole.low, whole.high), abs=0.01)
    assert (pieces.low, pieces.high) != (whole.low, whole.high)


def test_the_same_samples_on_both_sides():
    scores = np.tile(np.arange(40) % 2, (10, 1)).astype(float)
    same = compare_samples(scores, scores[:5], seeded(), resamples=199)
    assert (same.method, same.difference, same.low, same.high) == ("none", 0, -math.inf, math.inf)
    assert same.parameters["samples_that_differ"] == 0
    late = scores.copy()
    late[:5] = 0
    assert limits(compare_samples(scores, late, seeded(), resamples=199))[2] < 0
    shifted = compare_samples(scores, np.roll(scores, 1, axis=1), seeded(), resamples=199)
    assert shifted.low < -0.1
    assert shifted.high > 0.1


def test_variance_is_that_of_the_pigeonhole():
    """Owen's expectation for effects of rounds, of samples and of single answers, at 30 rounds and 25 samples."""
    random = seeded(5)
    rounds, samples, shown, expected = 30, 25, [], []
    for _ in range(60):
        a, b = (
            0.5 + 0.05 * random.normal(size=(rounds, 1)) + 0.05 * random.normal(size=samples) + 0.1 * random.normal(size=(rounds, samples))
            for _ in range(2)
        )
        found = compare_samples(a, b, random, resamples=199)
        shown.append(((found.high - found.low) / 2 / 1.96) ** 2)
        expected.append(2 * (0.05**2 / rounds + 0.05**2 / samples + 3 * 0.1**2 / rounds / samples))
    assert np.mean(shown) == pytest.approx(np.mean(expected), rel=0.12)


@pytest.mark.parametrize(("rounds", "samples", "on_time"), [(30, 400, 0.95), (400, 30, 0.99), (60, 60, 0.5)])
def test_the_variance_of_all_resamples_is_that_of_many(rounds, samples, on_time):
    a, b = answers(seeded(11), rounds, samples, on_time), answers(seeded(12), rounds, samples, on_time**2)
    drawn, known = compare_samples(a, b, seeded()), compare_many_samples(a, b)
    assert drawn.method == "two-way bootstrap"
    assert known.method == "two-way variance"
    assert known.difference == drawn.difference
    assert known.parameters == {name: value for name, value in drawn.parameters.items() if name != "resamples"}
    assert (known.low, known.high) == pytest.approx((drawn.low, drawn.high), abs=0.04 * (drawn.high - drawn.low))


def test_variance_of_all_resamples_by_brute_force():
    """Every one of the 3^3 x 3^3 x 2^2 resamples of two trials of 3 rounds and of 3 samples and 2, all equally likely."""
    a, b = seeded(13).random((3, 2)), seeded(14).random((3, 2))
    means = [
        b[np.ix_(rb, s)].mean() - a[np.ix_(ra, s)].mean()
        for ra in itertools.product(range(3), repeat=3)
        for rb in itertools.product(range(3), repeat=3)
        for s in itertools.product(range(2), repeat=2)
    ]
    found = compare_many_samples(a, b)
    assert (found.high - found.low) / 2 / 1.959963984540054 == pytest.approx(np.std(means), rel=1e-9)


def test_trials_of_many_answers_take_no_draws():
    a, b = answers(seeded(15), 100, 1000, 0.95), answers(seeded(16), 100, 1000, 0.9)
    state = seeded(17)
    before = state.bit_generator.state
    assert compare_samples(a, b, state) == compare_many_samples(a, b)
    assert state.bit_generator.state == before


@pytest.mark.parametrize("shapes", [((1, 5), (4, 5)), ((4, 5), (1, 5)), ((4, 1), (4, 1))])
def test_one_round_or_sample_says_nothing(shapes):
    a, b = (seeded(6).random(shape) for shape in shapes)
    for found in (compare_samples(a, b, seeded()), compare_many_samples(a, b)):
        assert (found.method, found.low, found.high) == ("none", -math.inf, math.inf)


@pytest.mark.parametrize("wrong", [[0.5, 0.5], np.empty((0, 3)), np.empty((3, 0)), [[math.nan, 1]]])
def test_scores_refused(wrong):
    with pytest.raises(InputError, match="on-time scores"):
        compare_samples(wrong, np.eye(2), seeded())
    with pytest.raises(InputError, match="on-time scores"):
        compare_samples(np.eye(2), wrong, seeded())


def test_other_samples_and_too_few_resamples_refused():
    with pytest.raises(InputError, match="same samples"):
        compare_samples(np.ones((2, 3)), np.ones((2, 4)), seeded())
    with pytest.raises(InputError, match="at least 39 are needed"):
        compare_samples(np.eye(3), np.eye(3), seeded(), resamples=38)
    assert compare_samples(np.eye(3), np.zeros((3, 3)), seeded(), resamples=39).low <= -1 / 3


def test_equal_seeds_give_equal_differences():
    a, b = answers(seeded(7), 10, 12, 0.9), answers(seeded(8), 10, 12, 0.9)
    assert compare_samples(a, b, seeded(9)) == compare_samples(a, b, seeded(9))


@given(st.integers(2, 8), st.integers(2, 8), st.integers(2, 10), st.integers(0, 1000))
def test_laws_of_comparing_samples(rounds_a, rounds_b, samples, seed):
    random = seeded(seed)
    a, b = answers(random, rounds_a, samples, 0.8).astype(float), answers(random, rounds_b, samples, 0.6).astype(float)
    found = compare_samples(a, b, seeded(), resamples=199)
    assert found.low <= found.high
    assert found.method == "none" or -1 <= found.low <= found.high <= 1
    mirrored = compare_samples(1 - a, 1 - b, seeded(), resamples=199)
    assert limits(mirrored) == pytest.approx((-found.difference, -found.high, -found.low), abs=1e-9)
    shifted = compare_samples(a + 1, b + 3, seeded(), resamples=199)
    if found.method == "two-way bootstrap":
        assert limits(shifted) == pytest.approx([2 + limit for limit in limits(found)], abs=1e-9)


def test_which_side_is_which():
    random = seeded(10)
    a, b = answers(random, 30, 40, 0.95), answers(random, 30, 40, 0.5)
    found, swapped = compare_samples(a, b, seeded()), compare_samples(b, a, seeded())
    assert found.high < 0 < swapped.low
    assert (swapped.low, swapped.high) == pytest.approx((-found.high, -found.low), abs=0.03)
