from pathlib import Path

import numpy as np
from visions import Campaigns, plan_trial

from orchestrator.analysis.late_answers import latest_answers
from orchestrator.stats.times import Clock
from orchestrator.storage.reader import open_campaign


def test_the_slowest_answers_with_their_neighbours(monday: Path) -> None:
    campaign = open_campaign(monday)
    trial = campaign.record.trials[0].trial_id
    total = campaign.matrix(trial).times[Clock.TOTAL]
    answers = latest_answers(campaign, trial, 7)
    assert [answer.total_ns for answer in answers] == sorted(total.ravel(), reverse=True)[:7]
    for answer in answers:
        sample = int(answer.names[0].removeprefix("number-"))
        assert total[answer.round, sample] == answer.total_ns
        assert answer.total_ns == answer.preprocess_ns + answer.inference_ns + answer.postprocess_ns  # type: ignore[operator]
        assert answer.before_ns == (total[answer.round, sample - 1] if sample else None)
        assert answer.after_ns == (total[answer.round, sample + 1] if sample < 19 else None)


def test_answers_without_a_time_come_first(campaigns: Campaigns) -> None:
    directory = campaigns("monday", [plan_trial([3], raises_on=[5, 9])])
    campaign = open_campaign(directory)
    answers = latest_answers(campaign, campaign.record.trials[0].trial_id, 70)
    assert [(answer.round, answer.names) for answer in answers[:4]] == [
        (0, ("number-5",)), (0, ("number-9",)), (1, ("number-5",)), (1, ("number-9",)),
    ]  # fmt: skip
    assert [answer.outcome for answer in answers] == ["error"] * 60 + ["ok"] * 10
    assert answers[0].total_ns is None
    assert answers[0].before_ns is not None


def test_neighbours_are_those_in_time(campaigns: Campaigns) -> None:
    directory = campaigns("monday", [plan_trial([3], order="shuffled", batch=3)])
    campaign = open_campaign(directory)
    trial = campaign.record.trials[0].trial_id
    answers = latest_answers(campaign, trial, 1000)
    assert len(answers) == 30 * 7
    assert {len(answer.names) for answer in answers} == {3, 2}
    matrix = campaign.matrix(trial)
    for answer in answers[:20]:
        order = np.random.default_rng([0, answer.round]).permutation(20).tolist()
        batches = [order[at : at + 3] for at in range(0, 20, 3)]
        place = next(at for at, batch in enumerate(batches) if tuple(f"number-{number}" for number in batch) == answer.names)
        before = matrix.times[Clock.TOTAL][answer.round, batches[place - 1][0]] if place else None
        after = matrix.times[Clock.TOTAL][answer.round, batches[place + 1][0]] if place < 6 else None
        assert (answer.before_ns, answer.after_ns) == (before, after)
