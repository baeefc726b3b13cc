"""Stored values that deny each other."""

from __future__ import annotations

import numpy as np
import pytest

from orchestrator.analysis.loading import refuse_other_data, refuse_other_means
from orchestrator.analysis.trial_data import OTHERWISE
from orchestrator.contracts import InputError

TIMES = np.full((3, 4), 5.0)
RIGHT = np.array([1.0, 1.0, 1.0, 0.0])


def test_an_ideal_is_the_mean_of_the_stored_scores(build) -> None:
    refuse_other_means(build("a", TIMES, ideal={"top1": 0.75 + 1e-12, "other": 3.0}).record, {"top1": RIGHT})
    with pytest.raises(
        InputError, match=r"trials/net-a-r0: trial.json has ideal top1=0.5, and the mean of score_top1 .* is 0.75: one must"
    ):
        refuse_other_means(build("a", TIMES, ideal={"top1": 0.5}).record, {"top1": RIGHT})


@pytest.mark.parametrize(
    ("ideal", "scores", "told"),
    [
        (0.5, RIGHT, "net-a-r0: the answers in predictions.parquet give top1=0.75, and trial.json has ideal top1=0.5: one must"),
        (0.75, RIGHT[::-1], "net-a-r0: predictions.parquet has score_top1=0 at sample 0, whose answer gives 1: one must be the other"),
    ],
)
def test_answers_give_the_stored_scores(build, ideal, scores, told) -> None:
    def trial(judged_here: bool | None):
        made = build("a", TIMES, right=3, ideal={"top1": ideal})
        return made.__class__(**{**vars(made), "scores": {"top1": scores}, "judged_here": judged_here, "_judged": {}, "_otherwise": {}})

    with pytest.raises(InputError) as refused:
        trial(True).judged("top1")
    assert told in str(refused.value)
    other_version = trial(False)
    assert OTHERWISE in other_version.flags
    assert other_version.judged("top1").ideal() == 0.75
    assert OTHERWISE not in trial(None).flags


def test_scores_that_agree_have_no_flag(build) -> None:
    made = build("a", TIMES, right=3, ideal={"top1": 0.75})
    for here in (True, False):
        again = made.__class__(**{**vars(made), "scores": {"top1": RIGHT}, "judged_here": here, "_judged": {}, "_otherwise": {}})
        assert again.judged("top1").ideal() == 0.75
        assert OTHERWISE not in again.flags


def test_repeats_have_the_same_data(build) -> None:
    first = build("a", TIMES).record
    repeat = build("a", TIMES, repeat=1).record
    refuse_other_data([(first, [1, 2]), (repeat, [1, 2]), (build("b", TIMES, digests={"data": "e"}).record, [3])])
    with pytest.raises(
        InputError, match=r"trials/net-a-r1 has reference 3 at sample 1 in predictions\.parquet, and net-a-r0 has 2: repeats"
    ):
        refuse_other_data([(first, [1, 2]), (repeat, [1, 3])])
    with pytest.raises(InputError, match=r"has reference no sample at sample 1 .*, and net-a-r0 has 2"):
        refuse_other_data([(first, [1, 2]), (repeat, [1])])
    other = build("a", TIMES, repeat=1, digests={"data": "e"}).record
    with pytest.raises(InputError, match=r"trials/net-a-r1 has digests\.data=e in trial\.json, and net-a-r0 has d: repeats"):
        refuse_other_data([(first, [1]), (other, [1])])
    refuse_other_data([(first, [1]), (other.model_copy(update={"changes": ("data",)}), [2])])
