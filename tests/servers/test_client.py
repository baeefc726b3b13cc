"""The client against servers that behave and that do not: one request, its moments, and one line for whatever goes wrong."""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from fault_server import FaultServer, fault_server

from orchestrator.configuration.environment_values import Secret
from orchestrator.configuration.server import ServerSettings
from orchestrator.contracts import InputError, Request, ServerFault, ServerTimeout
from orchestrator.measurement.asking import LONGEST_WAIT_S, Client, joined
from orchestrator.measurement.in_flight import UNASKED, InFlight
from orchestrator.measurement.load_loop import Served
from orchestrator.measurement.timing import STAMPS, Stages
from orchestrator.subject.server import check_server

TOKEN = "sk-Zq81-never-to-be-seen"
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


class Clients:
    """Makes clients, and closes their connections afterwards."""

    def __init__(self) -> None:
        self.made: list[Client] = []

    def __call__(self, server: FaultServer, **keys: object) -> Client:
        self.made.append(Client(settings(server, **keys)))
        return self.made[-1]


@pytest.fixture
def client_of() -> Iterator[Clients]:
    clients = Clients()
    yield clients
    for client in clients.made:
        client.close()


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with fault_server({number: fault for number, (fault, _) in FAULTS.items()}) as started:
        yield started


def test_an_answer_has_a_moment_for_every_step(server: FaultServer, client_of: Clients) -> None:
    client = client_of(server)
    began = time.perf_counter_ns()
    reply = client.ask(asked(12))
    assert json.loads(reply.body) == {"said": {"number": 12}}
    assert began <= reply.sent_ns < reply.headers_ns <= reply.ended_ns <= time.perf_counter_ns()
    assert reply.lines == []


def test_a_connection_serves_many_requests_and_one_that_the_server_closed_is_not_used_again(
    server: FaultServer, client_of: Clients
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


@pytest.mark.parametrize("streamed", [False, True])
def test_informational_answers_before_the_final_one_are_passed_over(streamed: bool, client_of: Clients) -> None:
    with fault_server({30: "says 103 and 102 before"}) as server:
        client = client_of(server, keep_alive=True)
        found, plain = (client.ask(asked(number, streamed)) for number in (30, 31))
        assert client.connections == 1
    assert (found.body, [line for _, line in found.lines]) == (
        plain.body.replace(b"31", b"30"),
        [line.replace(b"31", b"30") for _, line in plain.lines],
    )
    assert found.headers.keys() == plain.headers.keys()


def test_lines_of_a_stream_have_their_moments(server: FaultServer, client_of: Clients) -> None:
    reply = client_of(server).ask(asked(20, streamed=True))
    moments = [moment for moment, _ in reply.lines]
    assert moments == sorted(moments)
    assert reply.headers_ns <= moments[0] <= moments[-1] <= reply.ended_ns
    assert reply.lines[-1][1] == b"data: [DONE]"
    assert not any(line.endswith(b"\n") for _, line in reply.lines)


@pytest.mark.parametrize("number", FAULTS, ids=lambda number: FAULTS[number][0])
def test_what_goes_wrong_is_one_line(server: FaultServer, number: int, client_of: Clients) -> None:
    client = client_of(server)
    before = len(server.heads)
    with pytest.raises(ServerFault) as raised:
        client.ask(asked(number))
    assert FAULTS[number][1] in str(raised.value)
    assert "\n" not in str(raised.value)
    assert isinstance(raised.value, ServerTimeout) == ("no whole answer" in FAULTS[number][1])
    assert len(server.heads) == before + 1  # no request is sent twice
    assert json.loads(client.ask(asked(12)).body)["said"]["number"] == 12


def test_a_server_that_is_gone_refuses(server: FaultServer, client_of: Clients) -> None:
    client = client_of(server)
    server.close()
    with pytest.raises(ServerFault, match="refused the connection"):
        client.ask(asked(12))


def test_a_token_is_sent_and_never_shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, client_of: Clients) -> None:
    monkeypatch.setenv("TQ_SERVER_TOKEN", TOKEN)
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    with fault_server({1: "echoes its head"}) as server:
        for keys in ({"token_env": "TQ_SERVER_TOKEN"}, {"token_file": str(tmp_path / "token")}):
            client = client_of(server, **keys)
            with pytest.raises(ServerFault) as raised:
                client.ask(asked(1))
            assert f"Authorization: Bearer {TOKEN}\r\n".encode() in server.heads[-1]
            assert "Authorization: Bearer ***" in str(raised.value)
            assert TOKEN not in f"{raised.value}{client.__dict__}"
        client_of(server, token_env="TQ_SERVER_TOKEN", token_header="X-Key").ask(asked(2))
        assert f"X-Key: {TOKEN}\r\n".encode() in server.heads[-1]


def test_a_token_is_taken_out_of_texts() -> None:
    secret = Secret(TOKEN)
    assert secret.hide(f"no {TOKEN} here") == "no *** here"
    assert Secret("short").hide("short") == "short"


def test_a_token_that_is_not_to_be_had_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, server: FaultServer) -> None:
    monkeypatch.delenv("TQ_SERVER_TOKEN", raising=False)
    with pytest.raises(InputError, match=r"server.token_env: this environment variable is not set"):
        check_server(settings(server, token_env="TQ_SERVER_TOKEN"))
    (tmp_path / "token").write_text("two words")
    with pytest.raises(InputError, match="holds no token") as raised:
        check_server(settings(server, token_file=str(tmp_path / "token")))
    assert "two words" not in str(raised.value)
    with pytest.raises(InputError, match=r"server\.token_file cannot be read") as raised:
        check_server(settings(server, token_file=str(tmp_path / "sk-pasted")))
    assert "pasted" not in str(raised.value)
    with pytest.raises(InputError, match=r"server\.token_env: this environment variable is not set") as raised:
        check_server(settings(server, token_env="sk_pasted"))
    assert "pasted" not in str(raised.value)


def test_a_server_that_is_not_there_is_one_line(server: FaultServer) -> None:
    check_server(settings(server))
    server.close()
    with pytest.raises(InputError, match="the server numbers takes no connection \\(connection refused\\); start it, or correct the URL"):
        check_server(settings(server))
    check_server(settings(server, command=["sh"]))  # it is started later


def test_an_interpreter_that_is_not_there_is_found_before_anything_is_started(server: FaultServer) -> None:
    keys = {"command": ["{interpreter}", "-m", "served"], "version_command": ["{interpreter}", "-V"]}
    with pytest.raises(InputError, match=r"server.settings.interpreter=/nope: .*TAIL_QUALITY_SERVERS_PYTHON=FOLDER/bin/python"):
        check_server(settings(server, settings={"interpreter": "/nope"}, **keys))
    check_server(settings(server, settings={"interpreter": "sh"}, **keys))
    with pytest.raises(InputError, match="needs the program /no/such, which is not on PATH"):
        check_server(settings(server, settings={"program": "/no/such"}, command=["{program}"]))
    check_server(settings(server, command=["{python}"]))


def certificate(folder: Path) -> tuple[Path, ssl.SSLContext]:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return folder / "ca.pem", context


def test_https_is_checked_against_the_certificates_that_are_named(tmp_path: Path, client_of: Clients) -> None:
    ca, context = certificate(tmp_path)
    with fault_server(tls=context) as server:
        assert json.loads(client_of(server, ca=str(ca)).ask(asked(7)).body)["said"]["number"] == 7
        with pytest.raises(InputError, match="its certificate is not trusted"):
            check_server(settings(server))


@pytest.mark.parametrize("encrypted", [False, True])
def test_an_answer_that_nobody_asked_for_spoils_its_connection_and_no_other(tmp_path: Path, client_of: Clients, encrypted: bool) -> None:
    """The first answer of 2 comes for nothing; the true one passes for that to 3, whose own passes for that to 4, and so on."""
    authority, context, more = trustme.CA(), None, {}
    if encrypted:
        authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        context, more = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), {"ca": str(tmp_path / "ca.pem")}
        authority.issue_cert("127.0.0.1").configure_cert(context)
    with fault_server({2: "answers twice"}, delay_s=0.01, tls=context) as server:
        client = client_of(server, timeout_s=20, **more)
        threads = InFlight(1, client)
        stages = Stages(lambda batch: asked(batch[0]), client.ask, lambda reply: [json.loads(reply.body)["said"]["number"]])

        def round_of(*numbers: int) -> Served:
            stamps = memoryview(bytearray(8 * STAMPS * len(numbers))).cast("q")
            found = threads.ask([(number,) for number in numbers], stages, stamps, time.perf_counter_ns)
            threads.doubt(found, stamps)
            assert [bool(stamps[STAMPS * place]) for place in range(len(numbers))] == [
                place not in found.errors for place in range(len(numbers))
            ]
            return found

        assert round_of(0, 1).answers == [[0], [1]]
        spoilt = round_of(1, 2, 3, 4, 5)
        assert spoilt.answers == [None] * 5
        assert set(spoilt.errors.values()) == {UNASKED}
        assert round_of(3, 4, 5).answers == [[3], [4], [5]]
        assert client.connections == 2


def test_the_wait_after_a_round_is_short_however_long_its_answers_took(
    server: FaultServer, client_of: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = client_of(server, keep_alive=True)
    reply = client.ask(asked(12))
    reply.ended_ns = reply.sent_ns + 60_000_000_000
    waits: list[float] = []
    monkeypatch.setattr(time, "sleep", waits.append)
    assert client.doubted([reply]) == set()
    assert waits == [LONGEST_WAIT_S]


def test_threads_have_connections_of_their_own(server: FaultServer, client_of: Clients) -> None:
    client = client_of(server, timeout_s=10)
    said: list[int] = []

    def ask() -> None:
        said.extend(json.loads(client.ask(asked(number)).body)["said"]["number"] for number in range(20, 30))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(said) == sorted([*range(20, 30)] * 4)
    assert client.connections == 4


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
