"""Which trials fit a machine, and a server that is started: its identity, where it fits, and that its trial is measured apart."""

from dataclasses import replace
from typing import Any

import pytest
from null_trials import null_trial
from refusals import refused
from small_cats import INSPECTION, MACHINE, make_trial

from orchestrator.configuration.config import Trial
from orchestrator.machine.host import cores_offered
from orchestrator.running.feasibility import why_not
from orchestrator.running.identity import match_key
from orchestrator.running.plan import Candidate, make_plan_of


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"system__cores": None},
        {"system__cores": 4},
        {"system__cores": [3, 0]},
        {"system__device": "cuda:0"},
        {"system__device": "GPU-1234"},
        {"system__labels": {"zone": "a"}},
        {"measurement__batch": 20},
        {"task__memory_limit": 1000},
        {"runtime__dtypes": {"cpu": ["fp32", "bf16"], "cuda": ["fp16"]}, "runtime__dtype": "bf16"},
        {"runtime__dtypes": {"cuda": ["fp16"]}, "runtime__dtype": "fp32"},
        {"model__parameters": 2**28, "runtime__dtype": "fp32"},
        {"model__parameters": 2**40, "model__path": "small.gguf"},
        {"model__parameters": 2**28, "runtime__dtype": "fp16", "system__device": "cuda:0"},
    ],
)
def test_what_the_machine_has_is_feasible(keys: dict[str, Any]) -> None:
    assert not [*why_not(make_trial(**keys), INSPECTION, MACHINE)]


@pytest.mark.parametrize(
    ("keys", "lacks"),
    [
        ({"system__cores": 5}, "system.cores=5"),
        ({"system__cores": [0, 7]}, "system.cores=[0, 7]"),
        ({"system__cores": []}, "system.cores=[]"),
        ({"system__device": "cuda:1"}, "system.device=cuda:1"),
        ({"system__device": "GPU-12345"}, "system.device=GPU-12345"),
        ({"system__device": "cuda:0,1", "model__several_gpus": True}, "system.device=cuda:0,1"),
        ({"system__device": "cuda:0,3"}, "system.device=cuda:0,3"),
        ({"system__numa": 9}, "system.numa=9"),
        ({"system__numa": 2}, "system.numa=2"),
        ({"system__labels": {"zone": "b"}}, "system.labels.zone=b"),
        ({"runtime__dtypes": {"cpu": ["fp32", "fp16"]}, "runtime__dtype": "bf16"}, "runtime.dtype=bf16"),
        ({"model__parameters": 2**28 + 1, "runtime__dtype": "fp32"}, "model small: its weights take 1.0 GiB in fp32, cpu of box has 1.0 GiB"),
        ({"model__parameters": 2**28, "system__device": "GPU-1234"}, "model small: its weights take 1.0 GiB in fp32, GPU-1234 of box has 0.5 GiB"),
        (
            {"model__parameters": 2**29, "system__device": "cuda:0", "runtime__dtype": "bf16"},
            "model small: its weights take 1.0 GiB in bf16, cuda:0 of box has 0.5 GiB",
        ),
        ({"measurement__batch": 21}, "measurement.batch=21"),
        ({"task__memory_limit": 999}, "task.preload=bytes"),
    ],
)  # fmt: skip
def test_what_the_machine_lacks_is_named(keys: dict[str, Any], lacks: str) -> None:
    found = "; ".join(why_not(make_trial(**keys), INSPECTION, MACHINE))
    assert found.startswith((f"{lacks}: ", f"{lacks}; "))


BOTH = {"system__device": "cuda:0,1", "runtime__dtype": "fp16"}


@pytest.mark.parametrize(
    ("second", "keys", "lacks"),
    [
        (2**29, {**BOTH, "model__parameters": 2**29, "system__device": "cuda:0"}, ["model small"]),
        (2**29, {**BOTH, "model__parameters": 2**29, "model__several_gpus": True}, []),
        (2**29, {**BOTH, "model__parameters": 2**29}, ["system.device=cuda"]),
        (2**29, {**BOTH, "model__parameters": 2**30, "model__several_gpus": True}, ["model small"]),
        (None, {**BOTH, "model__parameters": 2**29, "model__several_gpus": True}, []),
    ],
)
def test_several_gpus_hold_what_one_cannot(second: int | None, keys: dict[str, Any], lacks: list[str]) -> None:
    two = replace(MACHINE, device_memory={"cuda:0": 2**29, "cuda:1": second})
    assert [reason.partition(":")[0] for reason in why_not(make_trial(**keys), INSPECTION, two)] == lacks


def test_cores_come_from_the_numa_node() -> None:
    def offered(**keys: Any) -> tuple[int, ...]:
        return cores_offered(make_trial(**keys).system, MACHINE.cores, MACHINE.numa, MACHINE.host)

    assert offered(system__numa=1, system__cores=1) == (3,)
    assert offered(system__cores=None) == (0, 1, 2, 3)
    for keys, key, value in (({"system__numa": 9}, "system.numa", 9), ({"system__numa": 1, "system__cores": 3}, "system.cores", 3)):
        with refused("unsupported", key, value):
            offered(**keys)


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
    ("server", "model", "same"),
    [
        ({"settings": {"batch": 2}}, {}, False),
        ({"command": ["/opt/one/serve", "--size", "{batch}"]}, {}, False),
        ({"cores": 1}, {}, False),
        ({"environment": {"SPEED": "1"}}, {}, False),
        ({"name": "other"}, {}, False),
        ({"url": "http://127.0.0.1:8000"}, {}, True),
        ({"command": ["/home/me/serve", "--batch", "{batch}"]}, {}, True),
        ({"ready_s": 9}, {}, True),
        ({"stop_s": 9}, {}, True),
        ({"ready_url": "/ready"}, {}, True),
        ({"packages": ["json"]}, {}, True),
        ({"version_command": ["serve", "--version"]}, {}, True),
        ({}, {"same_as": "big"}, True),
    ],
)
def test_another_server_makes_another_trial_and_where_it_lies_how_long_it_takes_and_whose_weights_it_holds_do_not(
    server: dict[str, Any], model: dict[str, Any], same: bool
) -> None:
    assert (match_key(trial(server, model=model), INSPECTION) == match_key(trial({}), INSPECTION)) is same


def test_a_client_with_all_cores_leaves_none() -> None:
    assert not [*why_not(trial({}), INSPECTION, MACHINE)]
    [reason] = why_not(trial({}, system={"cores": None}), INSPECTION, MACHINE)
    assert reason.startswith("server.cores=null: ")
    for cores, lacks in (("same", ""), ([3, 0], ""), ([3, 7], "neighbour.cores=[3, 7]"), (None, "neighbour.cores=beside")):
        beside = trial(system={"cores": None}, neighbour={"name": "n", "command": ["x"], "cores": cores})
        assert "".join(why_not(beside, INSPECTION, MACHINE)).partition(":")[0] == lacks


def test_trials_with_servers_are_measured_apart() -> None:
    large = replace(MACHINE, memory_bytes=2**34)
    candidates = [
        Candidate(found, INSPECTION, large)
        for found in (trial(), trial({}), trial({"settings": {"batch": 2}}), trial(model={"name": "other"}))
    ]
    plan = make_plan_of(candidates)
    assert [planned.part for planned in plan.trials] == [0, 1, 2, 0]
    assert [planned.part for planned in make_plan_of(candidates[1:2]).trials] == [0]
