import json
import os
import pickle
import threading
from dataclasses import asdict
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.doctor import readings
from orchestrator.doctor.readings import busiest, offset_from, read_host, read_noise, read_processor, steps_of
from orchestrator.machine.cores import Quota, read_quota, read_throttle_files


def test_this_machine_is_read_as_plain_values_and_its_mask_put_back() -> None:
    before = os.sched_getaffinity(0)
    reading = read_host()
    assert os.sched_getaffinity(0) == before
    assert pickle.loads(pickle.dumps(reading)) == reading
    json.dumps(asdict(reading))
    assert reading.processor.cores == reading.machine.cores == reading.activity.cores == tuple(sorted(before))
    assert reading.machine.memory_bytes > 2**28
    assert (reading.noise.core, reading.noise.read_back, reading.noise.ran_on) == (max(before), (max(before),), max(before))
    assert reading.noise.count >= 300
    assert 0 < reading.noise.median_ns <= reading.noise.p99_ns <= reading.noise.max_ns
    assert (reading.clocks.overhead_ns > 0, reading.clocks.backwards) == (True, 0)
    assert 0 <= reading.activity.foreign_share <= 1
    assert reading.niceness == psutil.Process().nice()


def test_pinning_touches_no_other_thread() -> None:
    done, masks = threading.Event(), []
    other = threading.Thread(target=lambda: (done.wait(), masks.append(os.sched_getaffinity(0))))
    other.start()
    before = os.sched_getaffinity(0)
    assert read_noise(0.0).count == 300, "enough for a percentile, however short"
    done.set()
    other.join()
    assert masks == [before] == [os.sched_getaffinity(0)]


def test_the_step_of_a_clock() -> None:
    ticks = iter(range(0, 10_000_000, 1_000))
    assert set(steps_of(lambda: next(ticks), reads=10)) == {1_000}


@given(
    st.integers(-(10**18), 10**18),
    st.lists(st.tuples(st.integers(0, 10**18), st.integers(0, 10**9), st.integers(0, 10**9)), min_size=1),
)
def test_the_true_offset_is_within_half_a_trip(true_ns: int, legs: list[tuple[int, int, int]]) -> None:
    found = offset_from((sent, sent + there + true_ns, sent + there + back) for sent, there, back in legs)
    assert abs(found.offset_ns - true_ns) <= found.half_trip_ns
    assert found.half_trip_ns == min((there + back + 1) // 2 for _, there, back in legs)


def test_the_busiest_processes_are_named_together_by_name() -> None:
    before = {1: ("init", 5.0), 2: ("make", 1.0), 3: ("make", 1.0)}
    after = {1: ("init", 5.001), 2: ("make", 1.5), 3: ("make", 1.25), 4: ("new", 0.9)}
    assert busiest(before, after, 1.0) == (("make", 0.75),)


def test_siblings_and_governors_of_the_allowed_cores_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for core, (threads, governor) in enumerate(
        [("0,2", "performance"), ("1,3", "powersave"), ("0,2", "performance"), ("1,3", "powersave"), ("4", "x")]
    ):
        (tmp_path / f"cpu{core}" / "topology").mkdir(parents=True)
        (tmp_path / f"cpu{core}" / "cpufreq").mkdir()
        (tmp_path / f"cpu{core}" / "topology" / "thread_siblings_list").write_text(f"{threads}\n")
        (tmp_path / f"cpu{core}" / "cpufreq" / "scaling_governor").write_text(f"{governor}\n")
    monkeypatch.setattr(readings, "CPUS", tmp_path)
    for cores, siblings, governors in [
        ((0, 2), ((0, 2),), ("performance",)),
        ((0, 3), ((0, 2), (1, 3)), ("performance", "powersave")),
        ((4,), (), ("x",)),
        ((7,), (), ()),
    ]:
        monkeypatch.setattr(readings, "allowed_cores", lambda cores=cores: cores)
        found = read_processor()
        assert (found.siblings, found.governors) == (siblings, governors)


def mount_v2(folder: Path, root: str = "/") -> str:
    place = str(folder).replace(" ", "\\040")
    return f"30 23 0:26 / /proc rw - proc proc rw\n35 24 0:30 {root} {place} rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"


def test_a_quota_of_version_2_is_the_tightest_one_above_the_process(tmp_path: Path) -> None:
    top = tmp_path / "c groups"
    (top / "a" / "b").mkdir(parents=True)
    (top / "a" / "cpu.max").write_text("150000 100000\n")
    (top / "a" / "b" / "cpu.max").write_text("max 100000\n")
    assert read_quota("0::/a/b\n", mount_v2(top)) == Quota(1.5, 100_000, 2)
    (top / "a" / "b" / "cpu.max").write_text("5000 10000\n")
    assert read_quota("0::/a/b\n", mount_v2(top)) == Quota(0.5, 10_000, 2)
    assert read_quota("0::/\n", mount_v2(top)) is None


@pytest.mark.parametrize("own", ["/", "/../../other", "/elsewhere", "/kubepods/pod1"])
def test_in_a_container_the_mount_is_the_group(tmp_path: Path, own: str) -> None:
    (tmp_path / "cpu.max").write_text("200000 100000\n")
    assert read_quota(f"0::{own}\n", mount_v2(tmp_path, "/kubepods/pod1")) == Quota(2.0, 100_000, 2)


def test_a_quota_of_version_1(tmp_path: Path) -> None:
    (tmp_path / "job").mkdir()
    mounts = f"35 32 0:33 / {tmp_path} rw,relatime - cgroup cgroup rw,cpu,cpuacct\n36 32 0:34 / /nowhere rw - cgroup cgroup rw,cpuset\n"
    for folder, quota in [(tmp_path, -1), (tmp_path / "job", 25_000)]:
        (folder / "cpu.cfs_quota_us").write_text(f"{quota}\n")
        (folder / "cpu.cfs_period_us").write_text("100000\n")
    assert read_quota("4:cpu,cpuacct:/job\n3:cpuset:/\n", mounts) == Quota(0.25, 100_000, 1)
    assert read_quota("4:cpu,cpuacct:/\n3:cpuset:/job\n", mounts) is None
    assert read_quota("", "") is None


def test_throttling_is_counted_by_the_own_group_and_by_those_above_with_a_quota(tmp_path: Path) -> None:
    (tmp_path / "a" / "b" / "c").mkdir(parents=True)
    for folder in (tmp_path / "a", tmp_path / "a" / "b", tmp_path / "a" / "b" / "c"):
        (folder / "cpu.stat").write_text("usage_usec 9\nnr_throttled 0\nthrottled_usec 0\n")
    (tmp_path / "cpu.stat").write_text("usage_usec 9\n")
    (tmp_path / "a" / "cpu.max").write_text("150000 100000\n")
    found = read_throttle_files("0::/a/b/c\n", mount_v2(tmp_path))
    assert found == (tmp_path / "a" / "b" / "c" / "cpu.stat", tmp_path / "a" / "cpu.stat")
    assert read_throttle_files("0::/\n", mount_v2(tmp_path)) == ()
    v1 = f"35 32 0:33 / {tmp_path / 'a'} rw,relatime - cgroup cgroup rw,cpu,cpuacct\n"
    assert read_throttle_files("4:cpu,cpuacct:/b\n", v1) == (tmp_path / "a" / "b" / "cpu.stat",)
