from dataclasses import replace
from typing import Any

import pytest

from orchestrator.configuration.config import SystemConfig
from orchestrator.configuration.server import ServerSettings
from orchestrator.doctor.judge import (
    Diagnosis,
    Examined,
    graded,
    host_names,
    judge_all,
    judge_node,
    judge_place,
    judge_reading,
    judge_versions,
    judge_wall_clock,
    worst,
)
from orchestrator.doctor.readings import Activity, Clocks, Gpu, HostReading, Noise, Offset, Processor
from orchestrator.machine.cores import Quota
from orchestrator.machine.host import Machine
from orchestrator.machine.turn import TurnState

CLOCKS = Clocks(overhead_ns=60, resolution_ns=1, wall_resolution_ns=1, backwards=0, source="tsc")


PROCESSOR = Processor("a chip", (0, 1), 4, siblings=(), governors=("performance",), turbo=False, is_virtual=False)


NOISE = Noise(
    core=1, read_back=(1,), ran_on=1, refused="", count=1000, median_ns=1_000_000,
    p99_ns=1_010_000, max_ns=1_500_000, duration_ns=2_000_000_000, steal_ns=0,
)  # fmt: skip


ACTIVITY = Activity((0, 1), foreign_share=0.0, busiest=(), load=0.1, swap_used_bytes=0, swapped_in=0)


GPU = Gpu(0, "a card", "GPU-1", 80 * 2**30, persistence=True, processes=0, throttle_reasons=1)


READING = HostReading(
    Machine("host", (0, 1), 2**33),
    CLOCKS,
    PROCESSOR,
    NOISE,
    ACTIVITY,
    quota=None,
    niceness=0,
    turn=TurnState("/run/locks", True),
    gpus=(GPU,),
)


def judged(what: str, **parts: Any) -> Diagnosis:
    """The line on one thing of a good machine with other parts."""
    return next(found for found in judge_reading("host", replace(READING, **parts)) if found.what == what)


def test_grades() -> None:
    assert [graded(value, 1, 2) for value in (0, 1, 1.1, 2, 2.1)] == ["good", "good", "doubtful", "doubtful", "bad"]
    assert worst("good", "bad", "doubtful") == "bad"


@pytest.mark.parametrize(
    ("offset_ns", "half_trip_ns", "grade"),
    [
        (99_000_000, 1_000_000, "good"),
        (-99_000_000, 1_000_000, "good"),
        (0, 100_000_001, "doubtful"),
        (-99_000_000, 1_000_001, "doubtful"),
        (1_001_000_000, 1_000_000, "doubtful"),
        (1_001_000_001, 1_000_000, "bad"),
        (-1_001_000_001, 1_000_000, "bad"),
    ],
)
def test_offset_is_judged_by_what_is_certain(offset_ns: int, half_trip_ns: int, grade: str) -> None:
    assert judge_wall_clock("host", CLOCKS, Offset(offset_ns, half_trip_ns)).grade == grade


@pytest.mark.parametrize(
    ("step_ns", "grade"), [(1_000_000, "good"), (1_000_001, "doubtful"), (20_000_000, "doubtful"), (20_000_001, "bad"), (0, "bad")]
)
@pytest.mark.parametrize("offset", [None, Offset(0, 1_000)])
def test_steps_of_the_wall_clock(step_ns: int, grade: str, offset: Offset | None) -> None:
    assert judge_wall_clock("host", replace(CLOCKS, wall_resolution_ns=step_ns), offset).grade == grade


@pytest.mark.parametrize(
    ("what", "part", "changed", "grade"),
    [
        ("timer", "clocks", {"overhead_ns": 200}, "good"),
        ("timer", "clocks", {"overhead_ns": 201}, "doubtful"),
        ("timer", "clocks", {"overhead_ns": 2_000}, "doubtful"),
        ("timer", "clocks", {"overhead_ns": 2_001}, "bad"),
        ("timer", "clocks", {"resolution_ns": 1_000}, "good"),
        ("timer", "clocks", {"resolution_ns": 1_001}, "doubtful"),
        ("timer", "clocks", {"resolution_ns": 100_000}, "doubtful"),
        ("timer", "clocks", {"resolution_ns": 100_001}, "bad"),
        ("timer", "clocks", {"resolution_ns": 0}, "bad"),
        ("timer", "clocks", {"backwards": 1}, "bad"),
        ("turn", "turn", {}, "good"),
        ("turn", "turn", {"folder": "/tmp/own", "every_user": False}, "doubtful"),
        ("turn", "turn", {"holder": "user one (1000), process 7,"}, "doubtful"),
        ("turn", "turn", {"every_user": False, "problem": "/run/locks is no folder: make one"}, "bad"),
        ("CPU quota", None, {"quota": None}, "good"),
        ("CPU quota", None, {"quota": Quota(0.5, 100_000, 2)}, "doubtful"),
        *(
            ("niceness", None, {"niceness": niceness}, grade)
            for niceness, grade in ((-5, "good"), (0, "good"), (1, "doubtful"), (9, "doubtful"), (10, "bad"), (15, "bad"))
        ),
        *(
            ("GPU 0", None, {"gpus": (replace(GPU, **changed),)}, grade)
            for changed, grade in (
                ({}, "good"),
                ({"persistence": False}, "doubtful"),
                ({"persistence": None}, "doubtful"),
                ({"processes": None}, "doubtful"),
                ({"processes": 1}, "bad"),
                ({"memory_bytes": None}, "good"),
            )
        ),
        ("cores", "processor", {}, "good"),
        ("cores", "processor", {"cores": (3,)}, "doubtful"),
        ("pinning", "noise", {}, "good"),
        ("pinning", "noise", {"ran_on": None}, "good"),
        ("pinning", "noise", {"ran_on": 0}, "doubtful"),
        ("pinning", "noise", {"read_back": ()}, "doubtful"),
        ("pinning", "noise", {"read_back": (0, 1)}, "bad"),
        ("pinning", "noise", {"refused": "Operation not permitted"}, "bad"),
        ("hyper-threads", "processor", {}, "good"),
        ("hyper-threads", "processor", {"siblings": ((0, 1),)}, "doubtful"),
        ("hyper-threads", "processor", {"siblings": ((0, 4), (1, 5))}, "doubtful"),
        ("governor", "processor", {}, "good"),
        ("governor", "processor", {"governors": ("performance", "powersave")}, "doubtful"),
        ("governor", "processor", {"governors": ()}, "doubtful"),
        ("turbo", "processor", {}, "good"),
        ("turbo", "processor", {"turbo": True}, "doubtful"),
        ("turbo", "processor", {"turbo": None}, "doubtful"),
        ("noise floor", "noise", {"p99_ns": 1_100_000, "max_ns": 2_000_000}, "good"),
        ("noise floor", "noise", {"p99_ns": 1_100_001, "max_ns": 2_000_000}, "doubtful"),
        ("noise floor", "noise", {"p99_ns": 1_100_000, "max_ns": 2_000_001}, "doubtful"),
        ("noise floor", "noise", {"p99_ns": 1_500_000, "max_ns": 10_000_000}, "doubtful"),
        ("noise floor", "noise", {"p99_ns": 1_500_001, "max_ns": 10_000_000}, "bad"),
        ("noise floor", "noise", {"p99_ns": 1_500_000, "max_ns": 10_000_001}, "bad"),
        ("stolen time", "noise", {"steal_ns": 10_000_000}, "good"),
        ("stolen time", "noise", {"steal_ns": 10_000_001}, "doubtful"),
        ("stolen time", "noise", {"steal_ns": 100_000_001}, "bad"),
        ("foreign load", "activity", {"foreign_share": 0.02}, "good"),
        ("foreign load", "activity", {"foreign_share": 0.021}, "doubtful"),
        ("foreign load", "activity", {"foreign_share": 0.2}, "doubtful"),
        ("foreign load", "activity", {"foreign_share": 0.21}, "bad"),
        ("swap", "activity", {}, "good"),
        ("swap", "activity", {"swap_used_bytes": 1}, "doubtful"),
        ("swap", "activity", {"swap_used_bytes": 1, "swapped_in": 1}, "bad"),
    ],
)
def test_a_part_of_the_machine(what: str, part: str | None, changed: dict[str, Any], grade: str) -> None:
    assert judged(what, **({part: replace(getattr(READING, part), **changed)} if part else changed)).grade == grade


@pytest.mark.parametrize(
    ("mask", "grade", "seen"),
    [
        (0, "good", "none"),
        (0x1, "good", "none"),
        (0x3, "good", "clocks set by an application"),
        (0x4, "doubtful", "power cap"),
        (0x24, "bad", "power cap, too hot (software)"),
        (0x40, "bad", "too hot (hardware)"),
        (0x80, "bad", "power brake"),
        (0x8, "bad", "hardware slowdown"),
        (0x1000, "doubtful", "reasons 0x1000"),
        (None, "doubtful", "unknown"),
    ],
)
def test_throttling(mask: int | None, grade: str, seen: str) -> None:
    found = judged("GPU 0 throttling", gpus=(replace(GPU, throttle_reasons=mask),))
    assert (found.grade, found.seen) == (grade, seen)


def test_a_machine_without_gpus_has_one_line_and_one_with_two_has_four() -> None:
    assert judged("GPUs", gpus=()).grade == "good"
    whats = [found.what for found in judge_reading("host", replace(READING, gpus=(GPU, replace(GPU, index=1)))) if "GPU" in found.what]
    assert whats == ["GPU 0", "GPU 0 throttling", "GPU 1", "GPU 1 throttling"]


MACHINE = Machine(host="one", cores=(2, 3), memory_bytes=2**33, boot_id="aaaaaaaaaa", versions={"python": "3.11.7", "torch": "2.7"})


OF_ONE = replace(
    READING, machine=MACHINE, processor=replace(PROCESSOR, cores=(2, 3)), noise=replace(NOISE, core=3, read_back=(3,), ran_on=3),
    activity=replace(ACTIVITY, cores=(2, 3)), gpus=(),
)  # fmt: skip
ONE = Examined(
    "10.0.0.1 (system=one)", "n1", "10.0.0.1", {"system": "one", "ray.io/node-id": "n1"}, reading=OF_ONE, offset=Offset(0, 1_000)
)


TWO = replace(
    ONE, name="10.0.0.2 (system=two)", node_id="n2", address="10.0.0.2", labels={"system": "two"},
    reading=replace(OF_ONE, machine=replace(MACHINE, host="two", boot_id="bbbbbbbbbb")),
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


def test_hosts_of_one_name_have_names_that_differ() -> None:
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
