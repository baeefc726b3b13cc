from __future__ import annotations

import doctest

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.contracts import InputError
from orchestrator.metrics import Answers, accuracy
from orchestrator.metrics.accuracy import Top1, Top5, TopK


@pytest.mark.parametrize("module", [accuracy])
def test_examples_run(module):
    result = doctest.testmod(module, extraglobs={"Answers": Answers})
    assert result.attempted > 0
    assert result.failed == 0


@given(st.lists(st.tuples(st.lists(st.integers(0, 6), max_size=7), st.integers(0, 6)), max_size=12), st.integers(1, 5))
def test_scores_one_sample_at_a_time(answers, k):
    predictions, references = [list(ranking) for ranking, _ in answers], [truth for _, truth in answers]
    longest = max(map(len, predictions), default=0)
    if 0 < longest < k:
        with pytest.raises(InputError, match=f"top-{k}"):
            TopK(f"top{k}", k).score(Answers(predictions, references))
    else:
        expected = [float(truth in ranking[:k]) for ranking, truth in answers]
        assert TopK(f"top{k}", k).score(Answers(predictions, references)).tolist() == expected


@given(st.integers(1, 20), st.integers(0, 2**32 - 1))
def test_top5_is_never_below_top1(samples, seed):
    random = np.random.default_rng(seed)
    answers = Answers(random.permuted(np.tile(np.arange(8), (samples, 1)), axis=1), random.integers(0, 8, samples))
    assert (Top5().score(answers) >= Top1().score(answers)).all()


def test_arrays_and_lists_agree():
    random = np.random.default_rng(0)
    predictions, references = random.integers(0, 9, (50, 5), dtype=np.int32), random.integers(0, 9, 50, dtype=np.int32)
    for metric, k in ((Top1(), 1), (Top5(), 5)):
        from_arrays = metric.score(Answers(predictions, references))
        assert from_arrays.tolist() == (predictions[:, :k] == references[:, None]).any(axis=1).astype(float).tolist()
        assert from_arrays.tolist() == metric.score(Answers(predictions.tolist(), references.tolist())).tolist()
        assert from_arrays.dtype == np.float64


def test_a_failed_sample_scores_nothing():
    assert Top1().score(Answers([None, [], [3]], [3, 3, 3])).tolist() == [0, 0, 1]
    assert Top1().score(Answers([None, []], [3, 3])).tolist() == [0, 0]
    assert Top1().score(Answers([], [])).tolist() == []


@pytest.mark.parametrize(
    ("predictions", "references"),
    [
        ([["cat"]], [1]),
        ([[1]], ["cat"]),
        ([[1.0]], [1]),
        ([[1], ["1"]], [1, 1]),
        ([[True]], [1]),
        ([[1]], [None]),
        ([[True], [3]], [1, 3]),
        ([[1], [3]], [True, 3]),
    ],
)
def test_class_ids_are_whole_numbers(predictions, references):
    with pytest.raises(InputError, match="whole numbers"):
        Top1().score(Answers(predictions, references))
