"""Hosts that are cut off or die while they time: noticed, told, and measured again when they are back."""

from __future__ import annotations

import json
import random
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Protocol

import program
import pyarrow.parquet as pq
import pytest

pytestmark = pytest.mark.slow

SUPPORT = Path(__file__).parents[1] / "support"
ROUNDS, ROUND_TIMEOUT_S = 40, 5
PATIENT_TIMEOUT_S = 600
"""Of a trial that must not be taken for one that hangs, however busy this machine is."""
SYSTEMS = ("one_core", "half_core", "quarter_core")


class Hosts(Protocol):
    """What the fixture offers."""

    def orchestrator(self, *words: str, cwd: Path, machines: str = "node", **changes: str) -> program.Done: ...
    def entered(self, **changes: str) -> AbstractContextManager[None]: ...
    def namespace(self, host: str) -> str: ...
    def cut(self, host: str) -> None: ...
    def mend(self, host: str) -> None: ...
    def kill(self, host: str) -> None: ...
    def start(self, host: str) -> None: ...


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


@pytest.fixture(scope="module")
def disturbed(four_hosts: Hosts, tmp_path_factory: pytest.TempPathFactory) -> Lost:
    """A campaign of three hosts: one is left alone, one cut off, one killed."""
    folder = tmp_path_factory.mktemp("hosts lost")
    short = [
        "measurement.rule=rounds", f"measurement.min_rounds={ROUNDS}", f"measurement.max_rounds={ROUNDS}",
        f"measurement.round_timeout_s={ROUND_TIMEOUT_S}", "model.sleep_ms=12", f"system={','.join(SYSTEMS)}",
    ]  # fmt: skip
    words = ["-m", "--config-dir", str(SUPPORT / "conf"), f"code=[{SUPPORT / 'code'}]", "task=numbers", "model=echo", *short]

    def kill() -> None:
        four_hosts.kill("quarter-core")
        processes = ["ip", "netns", "pids", four_hosts.namespace("quarter-core")]
        assert subprocess.run(processes, capture_output=True, text=True, check=True).stdout == ""

    moments = random.Random(7)

    def cut() -> None:
        time.sleep(moments.uniform(0, 1))
        four_hosts.cut("half-core")

    with once_timed(folder / "r", {"half_core": cut, "quarter_core": kill}):
        done = four_hosts.orchestrator(*words, "results_dir=r", cwd=folder)
    return folder / "r", done.returncode, done.stderr


def test_lost_hosts_are_noticed_and_the_others_finish(disturbed: Lost) -> None:
    results, code, complaint = disturbed
    assert code == 1
    assert "Traceback" not in complaint
    found = records(results)
    assert found["one_core"]["state"] == "done"
    assert stored_rounds(results, "one_core") == list(range(ROUNDS))
    for system in ("half_core", "quarter_core"):
        assert found[system]["state"] == "failed"
        assert {fault["name"] for fault in found[system]["faults"]} == {"host lost"}
        assert 0 < len(stored_rounds(results, system)) < ROUNDS
    assert "host lost" in (results / "report.md").read_text()


def test_they_are_completed_when_they_are_back(four_hosts: Hosts, disturbed: Lost) -> None:
    results = disturbed[0]
    before = {system: stored_rounds(results, system) for system in SYSTEMS}
    nodes = {system: record["placement"]["node_id"] for system, record in records(results).items()}
    four_hosts.mend("half-core")
    four_hosts.kill("half-core")  # on a busy machine it was away for so long that Ray has given it up
    for host in ("half-core", "quarter-core"):
        four_hosts.start(host)
    with four_hosts.entered():
        done = program.orchestrator("resume", results, "--retry-failed", cwd=results.parent)
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


@pytest.mark.parametrize("seed", [11])
def test_models_fault_at_random_moments_while_a_link_is_down_and_back(four_hosts: Hosts, tmp_path: Path, seed: int) -> None:
    """Each host's model does something bad in a round and on a sample of its own, and one host's link goes for two seconds."""
    moments = random.Random(seed)
    names = {"hang": "hang", "kill": "process killed", "gpu": "gpu error"}
    systems = ("two_cores", "one_core", "half_core")
    at = {fault: (moments.randrange(2, ROUNDS - 2), moments.randrange(1, 20)) for fault in names}
    timeout_s = {fault: ROUND_TIMEOUT_S if fault == "hang" else PATIENT_TIMEOUT_S for fault in names}
    (tmp_path / "conf" / "sweep").mkdir(parents=True)
    (tmp_path / "conf" / "sweep" / "bad.yaml").write_text(
        "axes:\n"
        f"  system: {','.join(systems)}\n"
        f"  model.fault: {','.join(names)}\n"
        f"  model.at_round: {','.join(str(number) for number, _ in at.values())}\n"
        f"  model.sample: {','.join(str(sample) for _, sample in at.values())}\n"
        f"  model.once: {','.join(f'{tmp_path}/{fault}' for fault in names)}\n"
        # Only the one that hangs must be noticed by its time: the link's two seconds are nobody's hang.
        f"  measurement.round_timeout_s: {','.join(str(timeout_s[fault]) for fault in names)}\n"
        "pair: [[system, model.fault, model.at_round, model.sample, model.once, measurement.round_timeout_s]]\n"
    )
    rule = ["measurement.rule=rounds", f"measurement.min_rounds={ROUNDS}", f"measurement.max_rounds={ROUNDS}"]
    words = ["--config-dir", str(tmp_path / "conf"), "--config-dir", str(SUPPORT / "conf"), f"code=[{SUPPORT / 'code'}]", "+sweep=bad"]

    def cut() -> None:
        four_hosts.cut("one-core")
        time.sleep(moments.uniform(1, 2))
        four_hosts.mend("one-core")

    with once_timed(tmp_path / "r", {"one_core": cut}):
        done = four_hosts.orchestrator(*words, *rule, "task=numbers", "model=faulty", "results_dir=r", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = records(tmp_path / "r")
    for system, (fault, name) in zip(systems, names.items(), strict=True):
        number, sample = at[fault]
        (told,) = found[system]["faults"]
        assert told["name"] == name
        # Short rounds are asked for two at a time: where the second one hangs, the first has not come back and is measured again.
        assert told["round"] in (number - 1, number)
        assert stored_rounds(tmp_path / "r", system) == list(range(ROUNDS))
        timings = pq.read_table(tmp_path / "r" / "trials" / found[system]["trial_id"] / "timings").to_pylist()
        bad = {(row["round"], row["sample"]) for row in timings if row["outcome"] in ("error", "timeout")}
        assert bad == {(told["round"], sample)}
