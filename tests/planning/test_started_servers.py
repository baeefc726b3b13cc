"""A server that is started: what of it is a trial's identity, where it fits, and that its trial is measured apart."""

from dataclasses import replace
from typing import Any

import pytest
from null_trials import null_trial

from orchestrator.configuration.config import Trial
from orchestrator.configuration.environment_values import resolved, variables_in, without_values
from orchestrator.machine.host import Machine
from orchestrator.running.feasibility import why_not
from orchestrator.running.identity import match_key
from orchestrator.running.plan import Candidate, make_plan_of
from orchestrator.subject.inspection import Inspection

SERVER = {
    "name": "tiny", "url": "http://127.0.0.1:0", "command": ["/opt/one/serve", "--batch", "{batch}"], "settings": {"batch": 1},
}  # fmt: skip


def trial(server: dict[str, Any] | None = None, **blocks: Any) -> Trial:
    model = {"runtimes": ["http_json", "torch"], **blocks.pop("model", {})}
    blocks = {"system": {"name": "cpu_1core", "cores": 1}, **blocks}
    if server is not None:
        blocks |= {"runtime": {"name": "http_json", "asks_server": True}, "server": SERVER | server}
    return null_trial(model=model, **blocks)


@pytest.mark.parametrize(
    "server",
    [
        {"settings": {"batch": 2}},
        {"command": ["/opt/one/serve", "--size", "{batch}"]},
        {"cores": 1},
        {"environment": {"SPEED": "1"}},
        {"name": "other"},
    ],
)
def test_what_makes_another_server_makes_another_trial(inspection: Inspection, server: dict[str, Any]) -> None:
    assert match_key(trial(server), inspection) != match_key(trial({}), inspection)


@pytest.mark.parametrize(
    "server",
    [
        {"url": "http://127.0.0.1:8000"},
        {"command": ["/home/me/serve", "--batch", "{batch}"]},
        {"ready_s": 9},
        {"stop_s": 9},
        {"ready_url": "/ready"},
        {"packages": ["json"]},
        {"version_command": ["serve", "--version"]},
    ],
)
def test_where_it_lies_and_how_long_it_takes_do_not(inspection: Inspection, server: dict[str, Any]) -> None:
    assert match_key(trial(server), inspection) == match_key(trial({}), inspection)


def test_whose_weights_a_server_holds_is_no_part_of_the_work(inspection: Inspection) -> None:
    assert match_key(trial({}, model={"same_as": "big"}), inspection) == match_key(trial({}), inspection)


def test_values_of_the_environment_are_stored_as_expressions(inspection: Inspection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVER_KEY", "squeamish-ossifrage")
    asked = trial({"environment": {"KEY": "${oc.env:SERVER_KEY}"}})
    assert variables_in(asked) == ("SERVER_KEY",)
    assert resolved(asked).server.environment == {"KEY": "squeamish-ossifrage"}
    assert without_values(asked, "key squeamish-ossifrage refused") == "key ${oc.env:SERVER_KEY} refused"
    key = match_key(asked, inspection)
    monkeypatch.setenv("SERVER_KEY", "another-value")
    assert match_key(asked, inspection) != key


def test_a_client_with_all_cores_leaves_none(inspection: Inspection, machine: Machine) -> None:
    assert not [*why_not(trial({}), inspection, machine)]
    [reason] = why_not(trial({}, system={"cores": None}), inspection, machine)
    assert reason.startswith("server.cores=null: ")


def test_trials_with_servers_are_measured_apart(inspection: Inspection, machine: Machine) -> None:
    machine = replace(machine, memory_bytes=2**34)
    candidates = [
        Candidate(found, inspection, machine)
        for found in (trial(), trial({}), trial({"settings": {"batch": 2}}), trial(model={"name": "other"}))
    ]
    plan = make_plan_of(candidates)
    assert [planned.part for planned in plan.trials] == [0, 1, 2, 0]
    assert [planned.part for planned in make_plan_of(candidates[1:2]).trials] == [0]
