"""Hosts that are cut off or die during a measurement: noticed, reported, and measured again when they are back."""

import random
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from four_hosts import SYSTEMS, null, rounds_of, trials
from four_hosts import FourHosts as Hosts

pytestmark = [pytest.mark.slow, pytest.mark.first]

HOSTS = ("one-core", "half-core", "quarter-core")
"""All that there are: one is left alone, one cut off, one killed."""
ROUNDS, ROUND_TIMEOUT_S = 40, 5
PATIENT_TIMEOUT_S = 600
"""Of a trial that must not be taken for one that hangs, however busy this machine is."""


def records(folder: Path) -> dict[str, dict[str, Any]]:
    return {record["trial"]["system"]["name"]: record for record in trials(folder)}


def stored_rounds(folder: Path, system: str) -> list[int]:
    return [row["round"] for row in rounds_of(folder, records(folder)[system])]


@contextmanager
def once_timed(results: Path, does: Mapping[str, Callable[[], None]]) -> Iterator[None]:
    """Have something done to each host once a round of its system is stored, while the block runs; fail where none ever is."""

    def disturb() -> None:
        waiting = dict(does)
        while waiting and not over.wait(0.1):
            for system in [system for system in waiting if list(results.glob(f"trials/*-{system}-*/rounds/part-*"))]:
                waiting.pop(system)()
        assert not waiting, f"nothing was measured on {list(waiting)}"

    over = threading.Event()
    with ThreadPoolExecutor(1) as beside:
        disturbed = beside.submit(disturb)
        try:
            yield
        finally:
            over.set()
        disturbed.result()


def long(*systems: str, timeout_s: int) -> list[str]:
    more = ["model=echo", "model.sleep_ms=12", f"measurement.round_timeout_s={timeout_s}", "results_dir=r"]
    return ["-m", *null(*systems, rounds=ROUNDS), *more]


def test_lost_hosts_are_noticed_and_completed_when_they_are_back(four_hosts: Hosts, tmp_path: Path) -> None:
    results, moments = tmp_path / "r", random.Random(7)

    def kill() -> None:
        four_hosts.kill("quarter-core")
        processes = ["ip", "netns", "pids", four_hosts.namespace("quarter-core")]
        assert subprocess.run(processes, capture_output=True, text=True, check=True).stdout == ""

    def cut() -> None:
        time.sleep(moments.uniform(0, 1))
        four_hosts.cut("half-core")

    with once_timed(results, {"half_core": cut, "quarter_core": kill}):
        done = four_hosts.orchestrator(*long(*(SYSTEMS[host] for host in HOSTS), timeout_s=ROUND_TIMEOUT_S), cwd=tmp_path)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    found = records(results)
    assert found["one_core"]["state"] == "done"
    before = {system: stored_rounds(results, system) for system in found}
    assert before["one_core"] == list(range(ROUNDS))
    for system in ("half_core", "quarter_core"):
        assert found[system]["state"] == "failed"
        assert {fault["name"] for fault in found[system]["faults"]} == {"host lost"}
        assert 0 < len(before[system]) < ROUNDS

    four_hosts.mend("half-core")
    four_hosts.kill("half-core")  # on a busy machine it was away for so long that Ray has given it up
    for host in ("half-core", "quarter-core"):
        four_hosts.start(host)
    done = four_hosts.run("resume", results, "--retry-failed", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for system, record in records(results).items():
        assert (record["state"], SYSTEMS[record["placement"]["host"]]) == ("done", system)
        same = record["placement"]["node_id"] == found[system]["placement"]["node_id"]
        assert same == (system == "one_core"), "a killed host comes back as a new node"
        rounds = rounds_of(results, record)
        assert [row["round"] for row in rounds] == list(range(ROUNDS))
        assert not any(row["incomplete"] for row in rounds)
        assert {row["process"] for row in rounds if row["round"] in before[system]} == {0}
        assert {row["process"] for row in rounds if row["round"] not in before[system]} <= {len(record["processes"]) - 1}


def test_a_link_that_is_back_soon_loses_no_round(four_hosts: Hosts, tmp_path: Path) -> None:
    def cut() -> None:
        four_hosts.cut("one-core")
        time.sleep(1.5)
        four_hosts.mend("one-core")

    with once_timed(tmp_path / "r", {"one_core": cut}):
        done = four_hosts.orchestrator(*long("one_core", timeout_s=PATIENT_TIMEOUT_S), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert records(tmp_path / "r")["one_core"]["faults"] == []
    assert stored_rounds(tmp_path / "r", "one_core") == list(range(ROUNDS))
