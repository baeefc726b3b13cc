from __future__ import annotations

import json
import re
import string
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.contracts import InputError
from orchestrator.metrics import Answers, find_metric
from orchestrator.metrics.accuracy import ExactMatch, WordF1

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


def test_the_best_of_several_right_answers_counts():
    answers = Answers(["in Paris", None], [["Oslo", "Paris", "Paris, France"], ["x"]])
    assert WordF1().score(answers).tolist() == [pytest.approx(2 / 3), 0]
    assert json.dumps(ExactMatch().score(answers).tolist()) == "[0.0, 0.0]"


@pytest.mark.parametrize("answers", [([1], ["a"]), (["a"], [1]), (["a"], [[]]), (["a"], [None]), (["a"], [["a", 2]])])
def test_what_is_no_text_is_refused(answers):
    with pytest.raises(InputError, match="must be text"):
        WordF1().score(Answers(*answers))


def test_they_are_found_by_name():
    assert isinstance(find_metric("exact_match"), ExactMatch)
    assert isinstance(find_metric("word_f1"), WordF1)
