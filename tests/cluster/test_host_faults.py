"""Hosts that are cut off or die during a measurement: noticed, reported, and measured again when they are back."""

import json
import random
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from four_hosts import FourHosts as Hosts

pytestmark = [pytest.mark.slow, pytest.mark.first]

SUPPORT = Path(__file__).parents[1] / "support"
ROUNDS, ROUND_TIMEOUT_S = 40, 5
PATIENT_TIMEOUT_S = 600
"""Of a trial that must not be taken for one that hangs, however busy this machine is."""
SYSTEMS = ("one_core", "half_core", "quarter_core")


Lost = tuple[Path, int, str]
"""The results, the driver's exit code, and what it said."""


def records(folder: Path) -> dict[str, dict[str, Any]]:
    found = (json.loads(path.read_text()) for path in folder.glob("trials/*/trial.json"))
    return {record["trial"]["system"]["name"]: record for record in found}


def stored_rounds(folder: Path, system: str) -> list[int]:
    record = records(folder)[system]
    numbers: list[int] = pq.read_table(folder / "trials" / record["trial_id"] / "rounds").column("round").to_pylist()
    return sorted(numbers)


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


def words_of(systems: str, timeout_s: int) -> list[str]:
    rounds = [f"measurement.min_rounds={ROUNDS}", f"measurement.max_rounds={ROUNDS}", f"measurement.round_timeout_s={timeout_s}"]
    code = ["-m", "--config-dir", str(SUPPORT / "conf"), f"code=[{SUPPORT / 'code'}]"]
    return [*code, "task=numbers", "model=echo", "model.sleep_ms=12", "measurement.rule=rounds", *rounds, f"system={systems}"]


def disturbed(four_hosts: Hosts, folder: Path) -> Lost:
    """Measure a campaign of three hosts: one is left alone, one cut off, one killed."""

    def kill() -> None:
        four_hosts.kill("quarter-core")
        processes = ["ip", "netns", "pids", four_hosts.namespace("quarter-core")]
        assert subprocess.run(processes, capture_output=True, text=True, check=True).stdout == ""

    moments = random.Random(7)

    def cut() -> None:
        time.sleep(moments.uniform(0, 1))
        four_hosts.cut("half-core")

    with once_timed(folder / "r", {"half_core": cut, "quarter_core": kill}):
        done = four_hosts.orchestrator(*words_of(",".join(SYSTEMS), ROUND_TIMEOUT_S), "results_dir=r", cwd=folder)
    return folder / "r", done.returncode, done.stderr


def test_lost_hosts_are_noticed_and_completed_when_they_are_back(four_hosts: Hosts, tmp_path: Path) -> None:
    results, code, complaint = disturbed(four_hosts, tmp_path)
    assert code == 1
    assert "Traceback" not in complaint
    found = records(results)
    assert found["one_core"]["state"] == "done"
    assert stored_rounds(results, "one_core") == list(range(ROUNDS))
    for system in ("half_core", "quarter_core"):
        assert found[system]["state"] == "failed"
        assert {fault["name"] for fault in found[system]["faults"]} == {"host lost"}
        assert 0 < len(stored_rounds(results, system)) < ROUNDS

    before = {system: stored_rounds(results, system) for system in SYSTEMS}
    nodes = {system: record["placement"]["node_id"] for system, record in records(results).items()}
    four_hosts.mend("half-core")
    four_hosts.kill("half-core")  # on a busy machine it was away for so long that Ray has given it up
    for host in ("half-core", "quarter-core"):
        four_hosts.start(host)
    done = four_hosts.run("resume", results, "--retry-failed", cwd=results.parent)
    assert done.returncode == 0, done.stderr
    for system in SYSTEMS:
        assert stored_rounds(results, system) == list(range(ROUNDS))
        record = records(results)[system]
        assert record["state"] == "done"
        assert record["placement"]["host"] == system.replace("_", "-")
        assert (record["placement"]["node_id"] == nodes[system]) == (system == "one_core"), "a killed host comes back as a new node"
        rounds = pq.read_table(results / "trials" / record["trial_id"] / "rounds").sort_by("round").to_pylist()
        assert not any(row["incomplete"] for row in rounds)
        assert {row["process"] for row in rounds if row["round"] in before[system]} == {0}
        assert {row["process"] for row in rounds if row["round"] not in before[system]} <= {len(record["processes"]) - 1}


def test_a_link_that_is_back_soon_loses_no_round(four_hosts: Hosts, tmp_path: Path) -> None:
    def cut() -> None:
        four_hosts.cut("one-core")
        time.sleep(1.5)
        four_hosts.mend("one-core")

    with once_timed(tmp_path / "r", {"one_core": cut}):
        done = four_hosts.orchestrator(*words_of("one_core", PATIENT_TIMEOUT_S), "results_dir=r", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert records(tmp_path / "r")["one_core"]["faults"] == []
    assert stored_rounds(tmp_path / "r", "one_core") == list(range(ROUNDS))
