"""A driver under Ray, and a process that Ray cannot do without, are killed in the midst of a campaign."""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path

import psutil
import pyarrow.parquet as pq
import pytest
from processes import ENDLESS_S, wait_until
from program import NULL

pytestmark = [pytest.mark.slow, pytest.mark.first]

ROUNDS = 16
RULE = ["measurement.rule=rounds", f"measurement.min_rounds={ROUNDS}", f"measurement.max_rounds={ROUNDS}", "results_dir=r"]


@pytest.fixture
def temporary() -> Iterator[Path]:
    """A folder for the campaign's temporary files alone, with a name that is short enough for Ray's sockets."""
    with tempfile.TemporaryDirectory(prefix="tq") as folder:
        yield Path(folder)


def started(folder: Path, temporary: Path, *words: str, **environment: str) -> subprocess.Popen[str]:
    """Start the program and return it once it has stored a round."""
    before = parts(folder)
    driver = subprocess.Popen(
        [sys.executable, "-m", "orchestrator", *words], cwd=folder, env={**os.environ, "TMPDIR": str(temporary), **environment},
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    wait_until(lambda: parts(folder) - before)
    return driver


def parts(folder: Path) -> set[Path]:
    return set(folder.glob("r/trials/*/rounds/part-*"))


def kill(temporary: Path, name: str) -> None:
    """Kill the one process of that name whose command line has a file of the campaign's folder."""
    found = psutil.process_iter(["name", "cmdline"])
    (victim,) = [each for each in found if each.info["name"] == name and str(temporary) in " ".join(each.info["cmdline"] or [])]
    victim.kill()


def rounds_in(paths: Iterable[Path]) -> dict[int, int]:
    """The number of each stored round, and of the process that timed it."""
    found = [row for path in paths for row in pq.read_table(path).to_pylist()]
    assert len({row["round"] for row in found}) == len(found)
    return {row["round"]: row["process"] for row in found}


def test_a_killed_driver_is_gone_on_with_at_once_and_so_is_a_dead_ray(tmp_path: Path, temporary: Path) -> None:
    """Nothing is lost or measured twice, and the process that a driver has left never overlaps a new round."""
    trace = tmp_path / "trace"
    trace.touch()  # what is there is known as a path, and no part of the trial's id
    words = [*NULL, *RULE, "task.count=5", "model=traced", "model.sleep_ms=100", f"model.trace={trace}", "system=cpu_1core"]
    with started(tmp_path, temporary, *words) as driver:
        driver.kill()
        driver.communicate()
    first = rounds_in(parts(tmp_path))
    with started(tmp_path, temporary, "resume", "r") as driver:
        second = rounds_in(parts(tmp_path))
        kill(temporary, "raylet")
        _, told = driver.communicate(timeout=ENDLESS_S)
    assert driver.returncode == 1, told
    # Ray's core may end the head before it has said which process it lost.
    said = re.fullmatch(r"error: the embedded Ray has (.*); go on with: python -m orchestrator resume r", told.splitlines()[-1])
    assert said, told
    assert said[1] == "lost its process raylet (signal 9)" or said[1].startswith("ended ("), told
    with started(tmp_path, temporary, "resume", "r") as driver:
        _, told = driver.communicate(timeout=ENDLESS_S)
    assert driver.returncode == 0, told
    (trial,) = json.loads((tmp_path / "r" / "campaign.json").read_text())["trials"]
    assert trial["state"] == "done"
    place = tmp_path / "r" / "trials" / trial["trial_id"]
    record = json.loads((place / "trial.json").read_text())
    assert [fault["name"] for fault in record["faults"]] == ["ray lost"]
    assert not any(row["incomplete"] for row in pq.read_table(place / "rounds").to_pylist())
    processes = rounds_in([place / "rounds"])
    assert sorted(processes) == list(range(ROUNDS))
    assert {number: processes[number] for number in second} == second
    assert set(first.values()) == {0}
    assert {second[number] for number in set(second) - set(first)} <= {0, 1}
    assert set(processes.values()) == {0, 1, 2}
    assert "ray lost" in (tmp_path / "r" / "report.md").read_text()
    assert list(temporary.iterdir()) == []

    spans: dict[int, tuple[int, int]] = {}
    for written in trace.read_text().splitlines():
        pid, start, end = map(int, written.split())
        earliest, latest = spans.get(pid, (start, end))
        spans[pid] = min(earliest, start), max(latest, end)
    assert len(spans) == 3
    assert all(one[1] < other[0] for one, other in pairwise(sorted(spans.values())))
    assert {process["pid"] for process in record["processes"]} == set(spans)
