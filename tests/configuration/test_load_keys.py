"""The keys of a load: what goes together, and one line for what does not."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.configuration.composition import compose_trials
from orchestrator.configuration.config import Trial, parse_trial
from orchestrator.configuration.load import LoadConfig
from orchestrator.contracts import InputError

WORK = ["model=efficientnet_lite0", "task=imagenet_samples"]


def parsed(*overrides: str) -> list[Trial]:
    return [parse_trial(document) for document in compose_trials([*WORK, *overrides], multirun=True).documents]


def test_closed_is_the_default_everywhere() -> None:
    (trial,) = parsed()
    assert trial.load == LoadConfig()
    assert trial.load.words == "closed"
    assert "load" not in trial.model_dump(mode="json")


def test_rates_and_laws_are_axes() -> None:
    trials = parsed("load=poisson,periodic", "load.rate_per_s=10,20")
    assert {trial.load.words for trial in trials} == {"poisson 10/s", "poisson 20/s", "periodic 10/s", "periodic 20/s"}


def test_null_is_the_default_of_every_key_where_it_has_one() -> None:
    keys = set(LoadConfig.model_fields) - {"name"}
    assert LoadConfig.model_validate(dict.fromkeys(keys)) == LoadConfig()
    sweep = ("load=poisson", "load.rate_per_s=10", "load.group=null,3", "load.burstiness=null", "load.max_backlog_s=null")
    assert [trial.load.words for trial in parsed(*sweep)] == ["poisson 10/s", "poisson 10/s in groups of 3"]


@pytest.mark.parametrize(
    ("load", "rule"),
    [
        ({"rate_per_s": 10}, "has no effect under load=closed"),
        ({"name": "poisson"}, "add load.rate_per_s"),
        ({"name": "poisson", "rate_per_s": 0}, "at least 0.001"),
        ({"name": "poisson", "rate_per_s": 1, "burstiness": 2}, "choose load=gamma"),
        ({"name": "trace"}, "add load.file"),
        ({"name": "trace", "file": "a.csv", "rate_per_s": 3}, "has no effect under load=trace"),
        ({"name": "periodic", "rate_per_s": 1, "policy": "skip_late"}, "needs load.deadline_ms"),
        ({"name": "periodic", "rate_per_s": 1, "deadline_ms": 5}, "no other policy takes one"),
        ({"name": "periodic", "rate_per_s": 1, "stream_s": 1, "ramp_s": 1}, "lower load.ramp_s"),
        ({"name": "periodic", "rate_per_s": 1, "stream_s": 1}, "load.stream_s=1 leaves nothing .* set load.ramp_s=0.05"),
        ({"name": "trace", "file": "a.csv", "stream_s": 0.5}, "load.stream_s=0.5 leaves nothing .* set load.ramp_s=0.025"),
        ({"name": "periodic", "rate_per_s": 1, "queue_limit": 0}, "greater than 0"),
        ({"name": "periodic", "rate_per_s": 1, "batch_wait_ms": 5}, "raise measurement.batch"),
        ({"name": "gamma", "rate_per_s": 1, "burstiness": None}, "burstiness=None"),
        ({"name": "uniform"}, "closed"),
        ({"name": "poisson", "rate_per_s": 1, "jitter": 1}, "no such key"),
    ],
)
def test_what_does_not_go_together_is_refused_in_one_line(load: dict[str, Any], rule: str) -> None:
    (document,) = compose_trials(WORK).documents
    with pytest.raises(InputError, match=rule) as refused:
        parse_trial({**document, "load": load})
    assert len(str(refused.value).splitlines()) == 1


def test_a_batch_that_waits_until_it_is_dropped_is_refused() -> None:
    late = ["load=poisson", "load.rate_per_s=9", "load.policy=skip_late", "load.deadline_ms=20", "measurement.batch=4"]
    assert parsed(*late, "load.batch_wait_ms=19")
    with pytest.raises(InputError, match=r"load.batch_wait_ms=20 .* load.deadline_ms=20; lower load.batch_wait_ms"):
        parsed(*late, "load.batch_wait_ms=20")


def test_what_an_older_version_measured_in_a_short_stream_stays_readable() -> None:
    assert LoadConfig(name="periodic", rate_per_s=1, stream_s=0.5).stream_s == 0.5


def test_words_name_what_differs() -> None:
    words = [
        LoadConfig(name="gamma", rate_per_s=5, burstiness=0.5, group=3).words,
        LoadConfig(name="periodic", rate_per_s=29.97, policy="newest").words,
        LoadConfig(name="trace", file="a", speed=2).words,
    ]
    assert words == ["gamma 5/s burstiness 0.5 in groups of 3", "periodic 29.97/s newest", "trace x2"]
