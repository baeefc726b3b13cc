from __future__ import annotations

import doctest
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.contracts import InputError
from orchestrator.metrics import Answers, Judged, MeanMetric, WholeTaskMetric, accuracy, find_metric
from orchestrator.metrics.accuracy import F1Macro, F1Micro
from orchestrator.stats.tail_quality import quality_curve

BOTH = pytest.mark.parametrize("metric", [F1Micro(), F1Macro()], ids=["micro", "macro"])


def brute_force(name, predictions, references):
    """F1 by the definition, one class and one sample at a time; None is no answer. Returns F1 of the classes of ``ideal``."""

    def of(answers, classes):
        pairs = list(zip(answers, references, strict=True))
        tp = {c: sum(a == r == c for a, r in pairs) for c in classes}
        fp = {c: sum(a == c != r for a, r in pairs) for c in classes}
        fn = {c: sum(r == c != a for a, r in pairs) for c in classes}
        if name == "f1_micro":
            tps, wrong = sum(tp.values()), sum(fp.values()) + sum(fn.values())
            return 2 * tps / (2 * tps + wrong)
        return sum(2 * tp[c] / (2 * tp[c] + fp[c] + fn[c]) if tp[c] + fp[c] + fn[c] else 0.0 for c in classes) / len(classes)

    classes = {*references, *(label for label in predictions if label is not None)}
    return lambda answers: of(answers, classes)


def late_answers(predictions, times, threshold):
    return [a if t <= threshold and not math.isinf(t) else None for a, t in zip(predictions, times, strict=True)]


@st.composite
def campaigns(draw):
    samples, rounds, bounds = draw(st.integers(1, 10)), draw(st.integers(0, 4)), draw(st.integers(0, 5))
    labels = draw(st.sampled_from(["abcd", (0, 3, 7, -2)]))
    references = draw(st.lists(st.sampled_from(labels), min_size=samples, max_size=samples))
    predictions = draw(st.lists(st.sampled_from([*labels, None]), min_size=samples, max_size=samples))
    whole = draw(st.booleans())
    number = st.integers(1, 9) if whole else st.one_of(st.integers(1, 9).map(float), st.just(math.inf))
    times = draw(st.lists(st.lists(number, min_size=samples, max_size=samples), min_size=rounds, max_size=rounds))
    theta = st.one_of(st.integers(0, 10), st.floats(-1, 10), st.just(math.inf))
    thresholds = draw(st.lists(theta, min_size=bounds, max_size=bounds))
    array = np.array(times, dtype=np.int64 if whole else np.float64).reshape(rounds, samples)
    return predictions, references, array, np.array(thresholds)


@pytest.mark.parametrize("module", [accuracy])
def test_examples_run(module):
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0


@BOTH
@given(campaigns())
def test_curve_equals_brute_force(metric, campaign):
    predictions, references, times, thresholds = campaign
    judged = metric.judge(Answers(predictions, references))
    oracle = brute_force(metric.name, predictions, references)
    assert judged.ideal() == pytest.approx(oracle(predictions), abs=1e-12)
    curve = judged.curve(times, thresholds)
    expected = [[oracle(late_answers(predictions, row, theta)) for row in times.tolist()] for theta in thresholds.tolist()]
    assert curve.shape == (len(thresholds), len(times))
    np.testing.assert_allclose(curve, np.reshape(expected, curve.shape), rtol=0, atol=1e-12)


@BOTH
def test_curve_equals_scikit_learn(metric):
    f1_score = pytest.importorskip("sklearn.metrics").f1_score
    random = np.random.default_rng(0)
    references = random.integers(0, 12, 300)
    predictions = np.where(random.random(300) < 0.7, references, random.integers(0, 15, 300))
    times, thresholds = random.integers(1, 1000, (4, 300)), [0, 50, 300, 900, 1000]
    judged = metric.judge(Answers(predictions, references))
    labels = np.unique([predictions, references])
    average = metric.name.removeprefix("f1_")

    def score(given):
        return f1_score(references, given, labels=labels, average=average, zero_division=0)

    assert judged.ideal() == pytest.approx(score(predictions), abs=1e-12)
    expected = [[score(np.where(row <= theta, predictions, 999)) for row in times] for theta in thresholds]
    np.testing.assert_allclose(judged.curve(times, thresholds), expected, rtol=0, atol=1e-12)


@BOTH
def test_quality_may_fall_when_the_threshold_rises(metric):
    judged = metric.judge(Answers(["a", "b", "a"], ["a", "b", "b"]))
    before, after = judged.curve([[10, 20, 30]], [20, 30])[:, 0]
    assert before > after == judged.ideal()


@BOTH
@given(campaigns())
def test_infinite_threshold_gives_plain_quality_and_none_in_time_gives_0(metric, campaign):
    predictions, references, _, _ = campaign
    judged = metric.judge(Answers(predictions, references))
    times = np.arange(1, len(references) + 1)[None]
    assert judged.curve(times, [math.inf, 0])[:, 0].tolist() == [judged.ideal(), 0.0]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc")), min_size=1, max_size=20))
def test_micro_of_answers_to_everything_is_accuracy(pairs):
    ideal = F1Micro().judge(Answers([answer for answer, _ in pairs], [truth for _, truth in pairs])).ideal()
    assert ideal == pytest.approx(sum(answer == truth for answer, truth in pairs) / len(pairs), abs=1e-15)


def test_macro_keeps_a_class_that_is_only_answered_when_its_answers_are_late():
    judged = F1Macro().judge(Answers(["a", "b"], ["a", "a"]))
    assert judged.curve([[1, 2]], [1, 2])[:, 0] == pytest.approx([(2 / 3) / 2, (2 / 3) / 2])
    assert judged.curve([[2, 1]], [1])[0, 0] == 0


def test_large_case_keeps_each_class_apart():
    """Classes with one sample each, all right: macro is the share on time, whatever the block."""
    times = np.random.default_rng(2).integers(1, 10**6, (7, 2000))
    thresholds = np.quantile(times, np.linspace(0, 1, 30))
    judged = F1Macro().judge(Answers(range(2000), range(2000)))
    np.testing.assert_allclose(judged.curve(times, thresholds), quality_curve(np.ones(2000), times, thresholds), rtol=0, atol=1e-12)


def test_times_too_large_for_a_float_are_told_apart():
    longest = 2**63 - 1
    for metric in (F1Micro(), F1Macro()):
        curve = metric.judge(Answers(["a"], ["a"])).curve([[longest]], [longest - 1, longest])
        assert curve[:, 0].tolist() == [0, 1]


def test_the_first_of_a_ranking_counts():
    judged = F1Macro().judge(Answers([[7, 2], (3, 7), [], None], [7, 7, 7, 7]))
    assert judged.right.tolist() == [True, False, False, False]
    assert [(own.tolist(), to_find) for own, to_find in judged.classes] == [([1], 0), ([0], 4)]
    array = np.array([[7, 2], [3, 7]], dtype=np.int32)
    assert F1Micro().judge(Answers(array, np.array([7, 7]))).right.tolist() == [True, False]
    assert F1Micro().judge(Answers(["ab", "b"], ["ab", "a"])).right.tolist() == [True, False]


@BOTH
def test_a_model_that_answers_nothing(metric):
    judged = metric.judge(Answers([None, []], [1, 2]))
    assert judged.ideal() == 0
    assert judged.curve([[1, 2]], [2]).tolist() == [[0.0]]


@BOTH
@pytest.mark.parametrize(
    ("predictions", "references"), [(["a"], [0]), ([0], ["a"]), ([[0.5]], [1]), ([["a"], [1]], ["a", "a"]), (["a"], [None]), ([True], [1])]
)
def test_text_never_meets_numbers(metric, predictions, references):
    with pytest.raises(InputError, match="all text, all whole numbers, or all true and false"):
        metric.judge(Answers(predictions, references))


@BOTH
def test_what_is_refused(metric):
    judged = metric.judge(Answers(["a"], ["a"]))
    with pytest.raises(InputError, match="time of nan"):
        judged.curve([[math.nan]], [1])
    with pytest.raises(InputError, match="NaN bounds nothing"):
        judged.curve([[1.0]], [math.nan])


@BOTH
def test_found_by_name(metric):
    found = find_metric(metric.name)
    assert type(found) is type(metric)
    assert isinstance(found, WholeTaskMetric)
    assert not isinstance(found, MeanMetric)
    assert isinstance(found.judge(Answers(["a"], ["a"])), Judged)
