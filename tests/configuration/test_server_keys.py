"""The keys of a server: what goes together, and one line for what does not."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.configuration.composition import compose_trials
from orchestrator.configuration.config import Trial, parse_trial
from orchestrator.configuration.server import MOST_UNASKED_IN_FLIGHT
from orchestrator.contracts import InputError

WORDS = ["model=served_chat", "task=mmlu_dev"]
SERVED = ["runtime=openai", "server=url", "server.name=mine", "server.url=http://127.0.0.1:8000"]


def parsed(*words: str) -> Trial:
    (document,) = compose_trials([*WORDS, *words]).documents
    return parse_trial(document)


def test_without_a_server_nothing_is_stored_of_one() -> None:
    trial = parsed("runtime=torch")
    assert not trial.server.is_asked
    assert trial.in_flight == 1
    assert "server" not in trial.model_dump(mode="json")
    assert "asks_server" not in trial.model_dump(mode="json")["runtime"]


def test_how_many_requests_are_on_their_way() -> None:
    assert parsed(*SERVED).in_flight == 1
    assert parsed(*SERVED, "load=poisson", "load.rate_per_s=5").in_flight == MOST_UNASKED_IN_FLIGHT
    assert parsed(*SERVED, "server.in_flight=7").in_flight == 7


def test_servers_are_an_axis() -> None:
    composition = compose_trials([*WORDS, *SERVED[:3], "server.url=http://a,http://b"], multirun=True)
    assert [parse_trial(document).server.url for document in composition.documents] == ["http://a", "http://b"]


@pytest.mark.parametrize(
    ("words", "rule"),
    [
        (["runtime=openai"], "runtime=openai asks a server and none is named; add server=url server.name=NAME"),
        ([*SERVED[1:], "runtime=torch"], "runtime=torch computes in this process and asks no server=mine"),
        ([*SERVED, "system.device=cuda:0"], "set system.device=cpu"),
        ([*SERVED[:2], "server.url=http://a"], "has no name; add server.name=NAME"),
        ([*SERVED[:3]], "has no address; add server.url"),
        ([*SERVED[:3], "server.url=a:80"], "must be http://HOST:PORT"),
        ([*SERVED[:3], "server.url=http://"], "must be http://HOST:PORT"),
        ([*SERVED[:3], "server.url=http://h:99999"], "must be http://HOST:PORT"),
        ([*SERVED[:3], "server.url=http://me:secret@h"], "holds more than a host, a port and a path"),
        ([*SERVED[:3], "server.url='http://h/?key=secret'"], "holds more than a host, a port and a path"),
        ([*SERVED, "server.token_env=A", "server.token_file=b"], "has two tokens"),
        ([*SERVED, "server.ca=a.pem"], "has no effect on http://127.0.0.1:8000"),
        ([*SERVED, "server.timeout_s=0"], "greater than 0"),
        ([*SERVED, "server.timout_s=1"], "did you mean server.timeout_s?"),
        (["runtime=torch", "server.in_flight=3"], "in_flight=3 has no effect under server=none"),
        (
            [*SERVED, "load=poisson", "load.rate_per_s=5", "load.policy=newest"],
            "load.policy=newest has no effect where a server is asked under load",
        ),
        ([*SERVED, "load=poisson", "load.rate_per_s=5", "measurement.batch=2"], "measurement.batch=2 has no effect"),
    ],
)
def test_what_does_not_go_together_is_refused_in_one_line(words: list[str], rule: str) -> None:
    with pytest.raises(InputError) as raised:
        parsed(*words)
    assert rule in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_password_in_a_url_is_not_shown() -> None:
    with pytest.raises(InputError) as raised:
        parsed(*SERVED[:3], "server.url=http://me:secret@h")
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    "words",
    [
        [*SERVED, "server.token_env=sk-pasted-1"],
        [*SERVED, "server.token_header='Bearer: sk-pasted-1'"],
        ["runtime=torch", "server.token_env=sk_pasted_1"],
        ["runtime=torch", "server.token_file=sk-pasted-1"],
    ],
)
def test_a_token_that_was_pasted_is_not_shown(words: list[str]) -> None:
    with pytest.raises(InputError) as raised:
        parsed(*words)
    assert "pasted" not in str(raised.value)
    assert "token_" in str(raised.value)


@pytest.mark.parametrize("name", ["Authorization", "authorization", "X-Api-Key"])
def test_a_header_that_holds_a_token_is_refused(name: str) -> None:
    (document,) = compose_trials([*WORDS, *SERVED]).documents
    request = {"body": {"text": "{text}"}, "headers": {name: "Bearer sk-pasted-1"}}
    with pytest.raises(InputError) as raised:
        parse_trial({**document, "model": {**document["model"], "request": request}})
    assert f"model.request.headers.{name} would be stored with the results; give a token by server.token_env=VARIABLE" in str(raised.value)
    assert "pasted" not in str(raised.value)


def test_the_path_of_a_token_is_absolute() -> None:
    assert parsed(*SERVED, "server.token_file=here").server.token_file.startswith("/")  # type: ignore[union-attr]


def blocks(**server: Any) -> dict[str, Any]:
    (document,) = compose_trials([*WORDS, *SERVED]).documents
    return {**document, "server": {**document["server"], **server}}


def test_keys_that_start_a_server_are_kept() -> None:
    server = parse_trial(blocks(command=["llama-server", "--port", "8000"], cores=[1, 2])).server
    assert (server.command, server.cores) == (("llama-server", "--port", "8000"), (1, 2))
