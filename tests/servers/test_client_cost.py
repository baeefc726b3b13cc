"""The client's own part of a time: over TLS where the trial is, at the trial's concurrency, and nothing of it left behind."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fault_server import FaultServer, fault_server
from trustme import CA

from orchestrator.configuration.server import ServerSettings
from orchestrator.contracts import Request
from orchestrator.measurement.asking import Client
from orchestrator.measurement.client_cost import REQUESTS, AtOnce, client_cost, instant_server
from orchestrator.measurement.in_flight import InFlight
from orchestrator.measurement.timing import Stages
from orchestrator.measurement.waiting import waiting


class Ticks:
    """A clock on which every look takes a microsecond, so that no figure depends on the machine."""

    def __init__(self) -> None:
        self.now = 10**9

    def __call__(self) -> int:
        self.now += 1000
        return self.now


@pytest.fixture(params=[False, True], ids=["plain", "tls"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[FaultServer, dict[str, Any]]]:
    context, more = None, {}
    if request.param:
        authority = CA()
        authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        context, more = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), {"ca": str(tmp_path / "ca.pem")}
        authority.issue_cert("127.0.0.1").configure_cert(context)
    with fault_server(tls=context) as running:
        yield running, more


def stages_of(client: Client) -> Stages:
    return Stages(lambda batch: Request("/predict", json.dumps({"number": batch[0]}).encode()), client.ask, lambda reply: [reply.body])


def test_the_cost_is_that_of_the_trials_way_to_ask(server: tuple[FaultServer, dict[str, Any]]) -> None:
    running, more = server
    client = Client(ServerSettings.model_validate({"name": "numbers", "url": running.url, "timeout_s": 20, **more}), Ticks())
    threads = InFlight(3)
    stages, clock = stages_of(client), Ticks()
    batches = [(number,) for number in range(4)]
    client.ask(stages.preprocess((9,)))
    cost = client_cost(client, batches, stages, clock, [], AtOnce(threads, 3, (), lambda: waiting("sleep", 0)))
    assert "reason" not in cost, cost
    assert cost["tls"] is bool(more)
    assert 0 < cost["requests"] <= REQUESTS
    assert cost["at_once"]["in_flight"] == 3
    assert cost["at_once"]["scheduled"] is False
    assert 0 < cost["at_once"]["request_p50_ns"] <= cost["at_once"]["total_p50_ns"]
    # One request of our own and one whose answer is given again: the rest went elsewhere, and the kept connection is used again.
    assert len(running.heads) == 2
    client.ask(stages.preprocess((9,)))
    assert (len(running.heads), client.connections) == (3, 1)
    client.close()
    threads.close()


def test_a_schedule_of_few_requests_says_nothing_of_several(server: tuple[FaultServer, dict[str, Any]]) -> None:
    running, more = server
    client = Client(ServerSettings.model_validate({"name": "numbers", "url": running.url, "timeout_s": 20, **more}))
    threads = InFlight(4)
    stages = stages_of(client)
    due = [number * 10**9 for number in range(30)]
    cost = client_cost(client, [(1,)], stages, Ticks(), [], AtOnce(threads, 4, due, lambda: waiting("sleep", 0)))
    assert "reason" not in cost, cost
    assert "at_once" not in cost
    client.close()
    threads.close()


def test_the_certificate_lies_nowhere_afterwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with instant_server(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", [], encrypted=True) as address:
        assert address.tls is not None
        (file,) = tmp_path.rglob("*.pem")
        assert file.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.rglob("*")) == []
