"""Stored values that deny each other."""

from contextlib import nullcontext

import numpy as np
import pytest
from built_trials import build_trial
from refusals import refused

from orchestrator.analysis.loading import known_answers, refuse_other_data, refuse_other_means
from orchestrator.analysis.trial_data import OTHERWISE

TIMES = np.full((3, 4), 5.0)
RIGHT = np.array([1.0, 1.0, 1.0, 0.0])


def test_an_ideal_is_the_mean_of_the_stored_scores() -> None:
    refuse_other_means(build_trial("a", TIMES, ideal={"top1": 0.75 + 1e-12, "other": 3.0}).record, {"top1": RIGHT})
    with refused("damaged"):
        refuse_other_means(build_trial("a", TIMES, ideal={"top1": 0.5}).record, {"top1": RIGHT})


@pytest.mark.parametrize(("ideal", "scores", "agree"), [(0.5, RIGHT, False), (0.75, RIGHT[::-1], False), (0.75, RIGHT, True)])
def test_answers_give_the_stored_scores_or_those_of_another_version(ideal, scores, agree) -> None:
    def trial(judged_here: bool | None):
        made = build_trial("a", TIMES, right=3, ideal={"top1": ideal})
        return made.__class__(**{**vars(made), "scores": {"top1": scores}, "judged_here": judged_here, "_judged": {}, "_otherwise": {}})

    with nullcontext() if agree else refused("damaged"):
        assert trial(True).judged("top1").ideal() == 0.75
    other_version = trial(False)
    assert (OTHERWISE in other_version.flags) is not agree
    assert other_version.judged("top1").ideal() == 0.75
    assert OTHERWISE not in trial(None).flags


def test_repeats_have_the_same_data() -> None:
    first, repeat = (build_trial("a", TIMES, repeat=number).record for number in (0, 1))
    other = build_trial("a", TIMES, repeat=1, digests={"data": "e"}).record
    refuse_other_data([(first, [1, 2]), (repeat, [1, 2]), (build_trial("b", TIMES, digests={"data": "e"}).record, [3])])
    refuse_other_data([(first, [1]), (other.model_copy(update={"changes": ("data",)}), [2])])
    for record, references in ((repeat, [1, 3]), (repeat, [1]), (other, [1, 2])):
        with refused("damaged"):
            refuse_other_data([(first, [1, 2]), (record, references)])


def test_an_answer_after_none_is_no_other_one() -> None:
    answers, different, changed = known_answers(
        ["a", None, None, None], {3: {0: "x", 1: "b"}, 4: {1: "c", 2: "d"}, 5: {0: "x", 1: "b", 2: "d"}}, 6
    )
    assert answers == ["a", "b", "d", None]
    assert different.tolist() == [0, 0, 0, 1, 1, 1]
    assert changed == 2
