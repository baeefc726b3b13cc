"""The client against servers that behave and that do not: one request, its moments, and one line for whatever goes wrong."""

import json
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, nullcontext
from pathlib import Path

import pytest
import trustme
from fault_server import FaultServer, fault_server
from refusals import refused

from orchestrator.configuration.server import ServerSettings
from orchestrator.contracts import Request, ServerFault, ServerTimeout
from orchestrator.measurement.asking import Client, joined
from orchestrator.measurement.in_flight import UNASKED, InFlight
from orchestrator.measurement.load_loop import Served
from orchestrator.measurement.timing import STAMPS, Stages
from orchestrator.subject.server import check_server

FAULTS = {
    1: ("hangs", "no whole answer within server.timeout_s=1.5"),
    2: ("a byte at a time", "no whole answer within server.timeout_s=1.5"),
    3: ("closes half-way", "closed the connection within its answer"),
    4: ("closes", "closed the connection before it answered"),
    5: ("error 500", "HTTP 500 Oh: no memory left"),
    6: ("redirects", "HTTP 302 Found: no more said"),
    7: ("no HTTP", "answered what is no HTTP (BadStatusLine: I am a teapot, short and stout)"),
    8: ("hangs after headers", "no whole answer within server.timeout_s=1.5"),
    9: ("says 101", "HTTP 101 Other: no more said"),
}


def settings(server: FaultServer, **keys: object) -> ServerSettings:
    return ServerSettings.model_validate({"name": "numbers", "url": server.url, "timeout_s": 1.5, **keys})


def asked(number: int, streamed: bool = False) -> Request:
    if streamed:
        messages = [{"role": "user", "content": str(number)}]
        return Request("/v1/chat/completions", json.dumps({"messages": messages, "stream": True}).encode(), streamed=True)
    return Request("/predict", json.dumps({"number": number}).encode())


@pytest.fixture
def client_of() -> Iterator[Callable[..., Client]]:
    """Make clients, and close their connections afterwards."""
    with ExitStack() as made:
        yield lambda server, **keys: made.enter_context(closing(Client(settings(server, **keys))))


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with fault_server({number: fault for number, (fault, _) in FAULTS.items()}) as started:
        yield started


def test_an_answer_has_a_moment_for_every_step(server: FaultServer, client_of: Callable[..., Client]) -> None:
    client = client_of(server)
    began = time.perf_counter_ns()
    reply = client.ask(asked(12))
    assert json.loads(reply.body) == {"said": {"number": 12}}
    assert began <= reply.sent_ns < reply.headers_ns <= reply.ended_ns <= time.perf_counter_ns()
    assert reply.lines == []


def test_a_connection_serves_many_requests_and_one_that_the_server_closed_is_not_used_again(
    server: FaultServer, client_of: Callable[..., Client]
) -> None:
    client = client_of(server)
    for _ in range(5):
        client.ask(asked(12))
    assert client.connections == 1
    with pytest.raises(ServerFault):
        client.ask(asked(4))
    client.ask(asked(12))
    assert client.connections == 2
    fresh = client_of(server, keep_alive=False)
    for _ in range(3):
        fresh.ask(asked(12))
    assert fresh.connections == 3


@pytest.mark.parametrize("number", FAULTS, ids=lambda number: FAULTS[number][0])
def test_what_goes_wrong_is_one_line(server: FaultServer, number: int, client_of: Callable[..., Client]) -> None:
    client = client_of(server)
    before = len(server.heads)
    with pytest.raises(ServerFault) as raised:
        client.ask(asked(number))
    assert FAULTS[number][1] in str(raised.value)
    assert isinstance(raised.value, ServerTimeout) == ("no whole answer" in FAULTS[number][1])
    assert len(server.heads) == before + 1  # no request is sent twice
    assert json.loads(client.ask(asked(12)).body)["said"]["number"] == 12


def test_a_server_that_is_gone_refuses(server: FaultServer, client_of: Callable[..., Client]) -> None:
    client = client_of(server)
    server.close()
    with pytest.raises(ServerFault, match="refused the connection"):
        client.ask(asked(12))
    with refused("not_found", "server.url", server.url):
        check_server(settings(server))
    check_server(settings(server, command=["sh"]))  # it is started later


def test_a_token_that_is_not_to_be_had_is_never_shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, server: FaultServer) -> None:
    """A token may have been pasted in the place of the name of its variable or file."""
    monkeypatch.delenv("sk_pasted", raising=False)
    (tmp_path / "token").write_text("sk pasted")
    for keys, code in (
        ({"token_env": "sk_pasted"}, "missing"),
        ({"token_file": str(tmp_path / "token")}, "invalid"),
        ({"token_file": str(tmp_path / "sk-pasted")}, "unreadable"),
    ):
        with refused(code, f"server.{next(iter(keys))}", None) as caught:
            check_server(settings(server, **keys))
        assert "pasted" not in str(caught.value)


@pytest.mark.parametrize(
    ("keys", "refusal"),
    [
        ({"settings": {"program": "/nope"}, "command": ["{program}", "-m"]}, ("not_installed", "server")),
        ({"settings": {"interpreter": "/nope"}, "command": ["{interpreter}"]}, ("not_found", "server.settings.interpreter", "/nope")),
        ({"settings": {"interpreter": "sh"}, "command": ["{interpreter}", "-m", "served"]}, None),
        ({"command": ["{python}"]}, None),
        ({}, None),
    ],
)
def test_what_a_server_lacks_is_refused_before_anything_is_started(
    server: FaultServer, keys: dict[str, object], refusal: tuple[str, ...] | None
) -> None:
    with refused(*refusal) if refusal else nullcontext():
        check_server(settings(server, **keys))


def certificate(folder: Path) -> tuple[Path, ssl.SSLContext]:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return folder / "ca.pem", context


def test_https_is_checked_against_the_certificates_that_are_named(tmp_path: Path, client_of: Callable[..., Client]) -> None:
    ca, context = certificate(tmp_path)
    with fault_server(tls=context) as server:
        assert json.loads(client_of(server, ca=str(ca)).ask(asked(7)).body)["said"]["number"] == 7
        with refused("unsafe", "server.url"):
            check_server(settings(server))


@pytest.mark.parametrize("encrypted", [False, True])
def test_an_answer_that_nobody_asked_for_spoils_its_connection_and_no_other(
    tmp_path: Path, client_of: Callable[..., Client], encrypted: bool
) -> None:
    """The first answer of 2 comes for nothing; the true one passes for that to 3, whose own passes for that to 4, and so on."""
    ca, context = certificate(tmp_path)
    with fault_server({2: "answers twice"}, delay_s=0.01, tls=context if encrypted else None) as server:
        client = client_of(server, timeout_s=20, **({"ca": str(ca)} if encrypted else {}))
        threads = InFlight(1, client)
        stages = Stages(lambda batch: asked(batch[0]), client.ask, lambda reply: [json.loads(reply.body)["said"]["number"]])

        def round_of(*numbers: int) -> Served:
            stamps = memoryview(bytearray(8 * STAMPS * len(numbers))).cast("q")
            found = threads.ask([(number,) for number in numbers], stages, stamps, time.perf_counter_ns)
            threads.doubt(found, stamps)
            timed = [any(stamps[STAMPS * place : STAMPS * place + 3]) for place in range(len(numbers))]
            assert timed == [place not in found.errors for place in range(len(numbers))]
            return found

        assert round_of(0, 1).answers == [[0], [1]]
        spoilt = round_of(1, 2, 3, 4, 5)
        assert spoilt.answers == [None] * 5
        assert set(spoilt.errors.values()) == {UNASKED}
        assert round_of(3, 4, 5).answers == [[3], [4], [5]]
        assert client.connections == 2


@pytest.mark.parametrize(
    ("base", "path", "whole"),
    [
        ("", "/v1/completions", "/v1/completions"),
        ("/v1", "/v1/completions", "/v1/completions"),
        ("/model/v1", "/v1/completions", "/model/v1/completions"),
        ("/models", "/v2/models/a/infer", "/models/v2/models/a/infer"),
        ("/predict", "/", "/predict/"),
        ("", "/", "/"),
    ],
)
def test_a_version_in_the_url_is_not_said_twice(base: str, path: str, whole: str) -> None:
    assert joined(base, path) == whole
