"""The keys of a server and of a neighbour: what goes together, and one line for what does not."""

import pytest
from refusals import refused

from orchestrator.configuration.composition import compose_trials
from orchestrator.configuration.config import Trial, parse_trial
from orchestrator.configuration.server import MOST_UNASKED_IN_FLIGHT

WORDS = ["model=served_chat", "task=mmlu_dev"]
SERVED = ["runtime=openai", "server=url", "server.name=mine", "server.url=http://127.0.0.1:8000"]


def parsed(*words: str) -> Trial:
    (document,) = compose_trials([*WORDS, *words]).documents
    return parse_trial(document)


def test_without_a_server_nothing_is_stored_of_one() -> None:
    trial = parsed("runtime=torch")
    assert not trial.server.is_asked
    assert trial.in_flight == 1
    assert not {"server", "neighbour"} & trial.model_dump(mode="json").keys()
    assert "asks_server" not in trial.model_dump(mode="json")["runtime"]


def test_how_many_requests_are_on_their_way() -> None:
    assert parsed(*SERVED).in_flight == 1
    assert parsed(*SERVED, "load=poisson", "load.rate_per_s=5").in_flight == MOST_UNASKED_IN_FLIGHT
    assert parsed(*SERVED, "server.in_flight=7").in_flight == 7


@pytest.mark.parametrize(
    "words",
    [
        ["runtime=openai"],
        [*SERVED[1:], "runtime=torch"],
        [*SERVED, "system.device=cuda:0"],
        [*SERVED[:2], "server.url=http://a"],
        SERVED[:3],
        [*SERVED[:3], "server.url=a:80"],
        [*SERVED[:3], "server.url=http://h:99999"],
        [*SERVED[:3], "server.url='http://h/?key=secret'"],
        [*SERVED, "server.token_env=A", "server.token_file=b"],
        [*SERVED, "server.ca=a.pem"],
        [*SERVED, "server.timeout_s=0"],
        ["runtime=torch", "server.in_flight=3"],
        [*SERVED, "load=poisson", "load.rate_per_s=5", "load.policy=newest"],
        [*SERVED, "load=poisson", "load.rate_per_s=5", "measurement.batch=2"],
        ["runtime=torch", "neighbour.cores=same"],
        ["runtime=torch", "neighbour.name=mine"],
        ["runtime=torch", "neighbour=cpu", "neighbour.settings.python=7"],
        ["runtime=torch", "neighbour=cpu", "neighbour.command=[yes,{often}]"],
        ["runtime=torch", "neighbour=io", "neighbour.settings.often=7"],
    ],
)
def test_what_does_not_go_together_is_refused(words: list[str]) -> None:
    with refused("invalid"):
        parsed(*words)


@pytest.mark.parametrize(
    "words",
    [
        [*SERVED[:3], "server.url=http://me:pasted@h"],
        [*SERVED, "server.token_env=sk-pasted-1"],
        [*SERVED, "server.token_header='Bearer: sk-pasted-1'"],
        ["runtime=torch", "server.token_env=sk_pasted_1"],
        ["runtime=torch", "server.token_file=sk-pasted-1"],
    ],
)
def test_a_token_that_was_pasted_is_not_shown(words: list[str]) -> None:
    with refused("invalid") as caught:
        parsed(*words)
    assert "pasted" not in str(caught.value)


@pytest.mark.parametrize("name", ["Authorization", "authorization", "X-Api-Key"])
def test_a_header_that_holds_a_token_is_refused(name: str) -> None:
    (document,) = compose_trials([*WORDS, *SERVED]).documents
    request = {"body": {"text": "{text}"}, "headers": {name: "Bearer sk-pasted-1"}}
    with refused("invalid") as caught:
        parse_trial({**document, "model": {**document["model"], "request": request}})
    assert "pasted" not in str(caught.value)
