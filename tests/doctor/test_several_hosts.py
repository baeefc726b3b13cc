from dataclasses import replace
from typing import Any

import pytest

from orchestrator.configuration.config import SystemConfig
from orchestrator.configuration.server import ServerSettings
from orchestrator.doctor.judge import Examined, host_names, judge_all, judge_node, judge_place, judge_versions
from orchestrator.doctor.readings import Activity, Clocks, HostReading, Noise, Offset, Processor
from orchestrator.machine.host import Machine
from orchestrator.machine.turn import TurnState

MACHINE = Machine(host="one", cores=(2, 3), memory_bytes=2**33, boot_id="aaaaaaaaaa", versions={"python": "3.11.7", "torch": "2.7"})
READING = HostReading(
    machine=MACHINE,
    clocks=Clocks(60, 1, 1, 0, "tsc"),
    processor=Processor("a chip", (2, 3), 4, (), ("performance",), False, False),
    noise=Noise(3, (3,), 3, "", 1000, 10**6, 10**6, 10**6, 2 * 10**9, 0),
    activity=Activity((2, 3), 0.0, (), 0.0, 0, 0),
    quota=None,
    niceness=0,
    turn=TurnState("/run/orchestrator", every_user=True),
    gpus=(),
)
ONE = Examined(
    "10.0.0.1 (system=one)", "n1", "10.0.0.1", {"system": "one", "ray.io/node-id": "n1"}, reading=READING, offset=Offset(0, 1_000)
)
TWO = replace(
    ONE, name="10.0.0.2 (system=two)", node_id="n2", address="10.0.0.2", labels={"system": "two"},
    reading=replace(READING, machine=replace(MACHINE, host="two", boot_id="bbbbbbbbbb")),
)  # fmt: skip


def test_two_good_hosts_have_good_lines_only() -> None:
    findings = list(judge_all([ONE, TWO], "boot_id", MACHINE.versions))
    assert {(found.host, found.grade) for found in findings} == {("one", "good"), ("two", "good")}
    assert len(findings) == 34


def test_a_host_that_does_not_answer_is_one_bad_line() -> None:
    away = replace(TWO, reading=None, offset=None, failure="10.0.0.2 (system=two) does not answer")
    findings = [found for found in judge_all([ONE, away], "boot_id", MACHINE.versions) if found.host != "one"]
    assert [(found.host, found.what, found.grade) for found in findings] == [("10.0.0.2 (system=two)", "node", "bad")]


@pytest.mark.parametrize("machines", ["boot_id", "node"])
def test_hosts_of_one_boot_id_are_doubtful(machines: Any) -> None:
    found = judge_node("one", ONE, {"two": "aaaaaaaaaa", "three": "cccccccccc"}, machines)
    assert (found.grade, found.seen.rpartition(" ")[2]) == ("doubtful", "two")


def test_a_node_without_label_is_doubtful_unless_it_is_the_drivers() -> None:
    plain = replace(ONE, labels={"ray.io/node-id": "n1"})
    assert judge_node("one", plain, {}, "boot_id").grade == "doubtful"
    assert judge_node("one", replace(plain, is_own=True), {}, "boot_id").grade == "good"


def test_hosts_of_one_name_are_told_apart() -> None:
    again = replace(ONE, node_id="n3", address="10.0.0.3")
    assert host_names([ONE, TWO, again]) == ["one 10.0.0.1", "two", "one 10.0.0.3"]


def test_other_versions_than_the_drivers_are_doubtful() -> None:
    assert judge_versions("one", MACHINE.versions, MACHINE.versions).grade == "good"
    found = judge_versions("one", {"python": "3.11.7", "torch": "2.8"}, {"python": "3.11.7", "torch": "2.7", "driver": "550"})
    assert (found.grade, found.seen) == ("doubtful", "driver none and not 550; torch 2.8 and not 2.7")


@pytest.mark.parametrize(
    ("asked", "grade", "seen"),
    [
        ({"cores": 1}, "good", "cores 3, device cpu"),
        ({"cores": 2}, "good", "cores 2-3, device cpu"),
        ({"cores": 3}, "bad", "system.cores=3"),
        ({"device": "cuda:1"}, "good", "cores 2-3, device cuda:1"),
        ({"device": "cuda:2"}, "bad", "system.device=cuda:2: there is cpu, cuda:1, GPU-12ab"),
        ({"device": "cuda:1,2"}, "bad", "system.device=cuda:1,2: there is cpu, cuda:1, GPU-12ab"),
        ({"device": "GPU-12"}, "good", "device GPU-12"),
        ({"labels": {"system": "x"}}, "bad", "system=x is not here"),
        ({"numa": 1}, "bad", "system.numa=1"),
    ],
)
def test_a_system_needs_its_cores_device_and_labels(asked: dict[str, object], grade: str, seen: str) -> None:
    machine = replace(MACHINE, device_memory={"cuda:1": 1, "GPU-12ab": 1})
    (found,) = judge_place("one", SystemConfig.model_validate({"name": "x", **asked}), ServerSettings(), machine)
    assert found.grade == grade
    assert seen in found.seen
