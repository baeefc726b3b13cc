import math
import re
import string
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lazily import Lazily
from refusals import refused

from orchestrator.metrics import Answers, MeanMetric, find_metric
from orchestrator.metrics.accuracy import Accuracy, ExactMatch, F1Macro, F1Micro, SubjectAccuracy, Top1, TopK, WordF1
from orchestrator.stats.tail_quality import quality_curve


@pytest.mark.parametrize(
    ("metric", "predictions", "references", "scores"),
    [
        (Accuracy(), np.array([0, 1, 2, 3]), np.array([0, 1, 3, 3]), [1, 1, 0, 1]),
        (Accuracy(), [0, 1, 2, 3], np.array([0, 1, 3, 3]), [1, 1, 0, 1]),
        (Accuracy(), [None, None], [0, 1], [0, 0]),
        (Accuracy(), [True, None, True], [True, False, False], [1, 0, 0]),
        (Top1(), [None, [], [3]], [3, 3, 3], [0, 0, 1]),
        (Top1(), [None, []], [3, 3], [0, 0]),
        (Top1(), [], [], []),
        (WordF1(), ["in Paris", None], [["Oslo", "Paris", "Paris, France"], ["x"]], [2 / 3, 0]),
        (ExactMatch(), ["in Paris", None], [["Oslo", "Paris", "Paris, France"], ["x"]], [0, 0]),
    ],
)
def test_scores_of_numbers_texts_and_failed_samples(metric, predictions, references, scores):
    found = metric.score(Answers(predictions, references))
    assert found.tolist() == pytest.approx(scores)
    assert found.dtype == np.float64


@pytest.mark.parametrize(
    ("choices", "truth"),
    [(["A"], [0]), ([0], ["A"]), (["A", 1], ["A", "B"]), (["A"], [None]), ([True, False], [1, 0]), ([1], [True]), ([0.5], [1])],
)
@pytest.mark.parametrize("metric", [Accuracy(), Top1(), SubjectAccuracy(), F1Micro(), F1Macro()], ids=lambda metric: metric.name)
def test_text_never_meets_numbers(metric, choices, truth):
    if metric.name == "top1":
        choices = [[choice] for choice in choices]
    answers = Answers(choices, truth, {"subject": ["law"] * len(truth)})
    with refused("invalid"):
        metric.score(answers) if isinstance(metric, MeanMetric) else metric.judge(answers)


@pytest.mark.parametrize(
    ("metric", "answers", "code", "key"),
    [
        (SubjectAccuracy(), Answers(["A"], ["A"], {"length": ["long"]}), "missing", "subject"),
        *(
            (WordF1(), Answers(*given), "invalid", None)
            for given in (([1], ["a"]), (["a"], [1]), (["a"], [[]]), (["a"], [None]), (["a"], [["a", 2]]))
        ),
    ],
)
def test_a_task_without_subjects_and_what_is_no_text_are_refused(metric, answers, code, key):
    with refused(code, key):
        metric.score(answers)


@given(st.lists(st.tuples(st.lists(st.integers(0, 6), max_size=7), st.integers(0, 6)), max_size=12), st.integers(1, 5))
def test_scores_one_sample_at_a_time(answers, k):
    predictions, references = [list(ranking) for ranking, _ in answers], [truth for _, truth in answers]
    longest = max(map(len, predictions), default=0)
    if 0 < longest < k:
        with refused("invalid", value=longest):
            TopK(f"top{k}", k).score(Answers(predictions, references))
    else:
        expected = [float(truth in ranking[:k]) for ranking, truth in answers]
        assert TopK(f"top{k}", k).score(Answers(predictions, references)).tolist() == expected


@pytest.mark.slow
@pytest.mark.parametrize(("name", "peer"), [("hit_rate_at_10", "RetrievalHitRate"), ("ndcg_at_10", "RetrievalNormalizedDCG")])
def test_quality_of_lists_is_that_of_torchmetrics_where_a_late_list_holds_nothing_right(name, peer):
    random, tensor = np.random.default_rng(0), Lazily("torch").tensor
    lists, right, times = random.permuted([range(25)] * 60, axis=1)[:, :15], random.integers(0, 25, 60), random.integers(1, 1000, (1, 60))
    measured = getattr(Lazily("torchmetrics.retrieval"), peer)(top_k=10, empty_target_action="neg")
    for threshold in (0, 300, 1000):
        found = (lists == right[:, None]) & (threshold >= times.T)
        expected = measured(tensor([[*range(15, 0, -1)]] * 60).float(), tensor(found), indexes=tensor([[user] * 15 for user in range(60)]))
        quality = quality_curve(find_metric(name).score(Answers(lists, right)), times, [threshold])[0, 0]
        assert quality == pytest.approx(expected.item(), abs=1e-6)


QUESTIONS = st.lists(
    st.tuples(st.sampled_from(["law", "art", "10", "9"]), st.sampled_from(["A", "B", None]), st.sampled_from("AB"), st.integers(1, 9)),
    min_size=1,
    max_size=30,
)


def by_subject(questions, threshold):
    """The definition: right and on time per subject, then the plain average of the shares."""
    found = defaultdict(list)
    for subject, choice, truth, time in questions:
        found[subject].append(choice == truth and time <= threshold)
    return sum(sum(right) / len(right) for right in found.values()) / len(found)


@given(QUESTIONS, st.integers(0, 10))
def test_tail_quality_is_the_average_over_subjects(questions, threshold):
    subjects, choices, truth, times = zip(*questions, strict=True)
    scores = SubjectAccuracy().score(Answers(choices, truth, {"size": ["s"] * len(truth), "subject": subjects}))
    assert quality_curve(scores, [times], [threshold])[0, 0] == pytest.approx(by_subject(questions, threshold), abs=1e-12)
    assert scores.mean() == pytest.approx(by_subject(questions, 9), abs=1e-12)


TEXTS = st.lists(st.sampled_from(["a", "The", "moon", "Moon,", "is", "round.", "an", "egg"]), max_size=8).map(" ".join)


def squad_words(text):
    """As evaluate-v1.1.py of SQuAD has it."""
    text = "".join(letter for letter in text.lower() if letter not in set(string.punctuation))
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split()).split()


def squad_f1(said, right):
    common = Counter(squad_words(said)) & Counter(squad_words(right))
    same = sum(common.values())
    if same == 0:
        return 0
    precision, recall = same / len(squad_words(said)), same / len(squad_words(right))
    return 2 * precision * recall / (precision + recall)


@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=10))
def test_scores_are_those_of_squads_own_program(pairs):
    answers = Answers([said for said, _ in pairs], [right for _, right in pairs])
    assert WordF1().score(answers).tolist() == pytest.approx([squad_f1(said, right) for said, right in pairs])
    assert ExactMatch().score(answers).tolist() == [squad_words(said) == squad_words(right) for said, right in pairs]


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
