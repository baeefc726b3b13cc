"""The keys of a load: what goes together, and one line for what does not."""

from typing import Any

import pytest
from refusals import refused

from orchestrator.configuration.composition import compose_trials
from orchestrator.configuration.config import Trial, parse_trial
from orchestrator.configuration.load import LoadConfig

WORK = ["model=efficientnet_lite0", "task=imagenet_samples"]


def parsed(*overrides: str) -> list[Trial]:
    return [parse_trial(document) for document in compose_trials([*WORK, *overrides], multirun=True).documents]


def test_rates_and_laws_are_axes() -> None:
    trials = parsed("load=poisson,periodic", "load.rate_per_s=10,20")
    assert {trial.load.words for trial in trials} == {"poisson 10/s", "poisson 20/s", "periodic 10/s", "periodic 20/s"}


def test_null_is_the_default_of_every_key_where_it_has_one() -> None:
    keys = set(LoadConfig.model_fields) - {"name"}
    assert LoadConfig.model_validate(dict.fromkeys(keys)) == LoadConfig()
    sweep = ("load=poisson", "load.rate_per_s=10", "load.group=null,3", "load.burstiness=null", "load.max_backlog_s=null")
    assert [trial.load.words for trial in parsed(*sweep)] == ["poisson 10/s", "poisson 10/s in groups of 3"]


@pytest.mark.parametrize(
    "load",
    [
        {"rate_per_s": 10},
        {"name": "poisson"},
        {"name": "poisson", "rate_per_s": 0},
        {"name": "poisson", "rate_per_s": 1, "burstiness": 2},
        {"name": "trace"},
        {"name": "trace", "file": "a.csv", "rate_per_s": 3},
        {"name": "periodic", "rate_per_s": 1, "policy": "skip_late"},
        {"name": "periodic", "rate_per_s": 1, "deadline_ms": 5},
        {"name": "periodic", "rate_per_s": 1, "stream_s": 1, "ramp_s": 1},
        {"name": "periodic", "rate_per_s": 1, "queue_limit": 0},
        {"name": "periodic", "rate_per_s": 1, "batch_wait_ms": 5},
        {"name": "gamma", "rate_per_s": 1, "burstiness": None},
        {"name": "uniform"},
    ],
)
def test_what_does_not_go_together_is_refused(load: dict[str, Any]) -> None:
    (document,) = compose_trials(WORK).documents
    with refused("invalid"):
        parse_trial({**document, "load": load})


@pytest.mark.parametrize("load", [{"name": "periodic", "rate_per_s": 1}, {"name": "trace", "file": "a.csv"}])
def test_a_stream_has_more_than_its_ramp(load: dict[str, Any]) -> None:
    (document,) = compose_trials(WORK).documents
    with refused("conflict", "load.stream_s", 0.5):
        parse_trial({**document, "load": {**load, "stream_s": 0.5}})


def test_a_batch_that_waits_until_it_is_dropped_is_refused() -> None:
    late = ["load=poisson", "load.rate_per_s=9", "load.policy=skip_late", "load.deadline_ms=20", "measurement.batch=4"]
    assert parsed(*late, "load.batch_wait_ms=19")
    with refused("conflict", "load.batch_wait_ms", 20):
        parsed(*late, "load.batch_wait_ms=20")


def test_what_an_older_version_measured_in_a_short_stream_stays_readable() -> None:
    assert LoadConfig(name="periodic", rate_per_s=1, stream_s=0.5).stream_s == 0.5
