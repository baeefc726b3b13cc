from dataclasses import replace
from typing import Any

import pytest

from orchestrator.doctor.judge import Finding, graded, judge_reading, judge_timer, judge_turn, judge_wall_clock, worst
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


def judged(what: str, **parts: Any) -> Finding:
    """The line on one thing of a good machine with other parts."""
    return next(found for found in judge_reading("host", replace(READING, **parts)) if found.what == what)


def test_grades() -> None:
    assert [graded(value, 1, 2) for value in (0, 1, 1.1, 2, 2.1)] == ["good", "good", "doubtful", "doubtful", "bad"]
    assert worst("good", "bad", "doubtful") == "bad"


@pytest.mark.parametrize(
    ("changed", "grade"),
    [
        ({"overhead_ns": 200}, "good"),
        ({"overhead_ns": 201}, "doubtful"),
        ({"overhead_ns": 2_000}, "doubtful"),
        ({"overhead_ns": 2_001}, "bad"),
        ({"resolution_ns": 1_000}, "good"),
        ({"resolution_ns": 1_001}, "doubtful"),
        ({"resolution_ns": 100_000}, "doubtful"),
        ({"resolution_ns": 100_001}, "bad"),
        ({"resolution_ns": 0}, "bad"),
        ({"backwards": 1}, "bad"),
    ],
)
def test_timer(changed: dict[str, Any], grade: str) -> None:
    assert judge_timer("host", replace(CLOCKS, **changed)).grade == grade


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
def test_a_part_of_the_machine(what: str, part: str, changed: dict[str, Any], grade: str) -> None:
    assert judged(what, **{part: replace(getattr(READING, part), **changed)}).grade == grade


def test_any_quota_is_doubtful() -> None:
    assert [judged("CPU quota", quota=quota).grade for quota in (None, Quota(0.5, 100_000, 2))] == ["good", "doubtful"]


@pytest.mark.parametrize(("niceness", "grade"), [(-5, "good"), (0, "good"), (1, "doubtful"), (9, "doubtful"), (10, "bad"), (15, "bad")])
def test_niceness(niceness: int, grade: str) -> None:
    assert judged("niceness", niceness=niceness).grade == grade


@pytest.mark.parametrize(
    ("changed", "grade"),
    [
        ({}, "good"),
        ({"persistence": False}, "doubtful"),
        ({"persistence": None}, "doubtful"),
        ({"processes": None}, "doubtful"),
        ({"processes": 1}, "bad"),
        ({"memory_bytes": None}, "good"),
    ],
)
def test_gpu(changed: dict[str, Any], grade: str) -> None:
    assert judged("GPU 0", gpus=(replace(GPU, **changed),)).grade == grade


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


@pytest.mark.parametrize(
    ("turn", "grade"),
    [
        (TurnState("/run/locks", every_user=True), "good"),
        (TurnState("/tmp/own", every_user=False), "doubtful"),
        (TurnState("/run/locks", True, "user one (1000), process 7,"), "doubtful"),
        (TurnState("/run/locks", False, problem="/run/locks is no folder: make one"), "bad"),
    ],
)
def test_turn(turn: TurnState, grade: str) -> None:
    assert judge_turn("host", turn).grade == grade
