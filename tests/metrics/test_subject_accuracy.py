from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.contracts import InputError
from orchestrator.metrics import Answers, MeanMetric, find_metric
from orchestrator.metrics.accuracy import SubjectAccuracy
from orchestrator.stats.tail_quality import quality_curve

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


def test_all_right_scores_one_however_uneven_the_subjects():
    subjects = ["law"] * 97 + ["art"] * 2 + ["chess"]
    scores = SubjectAccuracy().score(Answers(["A"] * 100, ["A"] * 100, {"subject": subjects}))
    assert scores.mean() == pytest.approx(1, abs=1e-12)
    assert scores[-1] == pytest.approx(100 / 3)


def test_arrays_and_no_samples():
    score = SubjectAccuracy().score
    assert score(Answers(np.array([0, 1]), np.array([0, 0]), {"subject": np.array(["x", "y"])})).tolist() == [1, 0]
    assert score(Answers([], [], {"subject": []})).tolist() == []


def test_a_task_without_subjects():
    with pytest.raises(InputError, match="slices none: needs a slice 'subject'"):
        SubjectAccuracy().score(Answers(["A"], ["A"]))
    with pytest.raises(InputError, match="slices length: needs a slice 'subject'"):
        SubjectAccuracy().score(Answers(["A"], ["A"], {"length": ["long"]}))


def test_text_never_meets_numbers():
    with pytest.raises(InputError, match="all text, all whole numbers, or all true and false"):
        SubjectAccuracy().score(Answers([0], ["A"], {"subject": ["law"]}))


def test_found_by_name():
    found = find_metric("subject_accuracy")
    assert isinstance(found, MeanMetric)
