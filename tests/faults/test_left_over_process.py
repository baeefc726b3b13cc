"""A driver under Ray is killed in the middle of a round and the campaign gone on with at once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import pyarrow.parquet as pq
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.cluster]

SUPPORT = Path(__file__).parents[1] / "support"
ROUNDS = 12
WORDS = [
    "--config-dir", str(SUPPORT / "conf"), f"code=[{SUPPORT / 'code'}]", "task=numbers", "task.count=5", "model=traced", "model.sleep_ms=100",
    "system=cpu_1core", "measurement.rule=rounds", f"measurement.min_rounds={ROUNDS}", f"measurement.max_rounds={ROUNDS}", "results_dir=r",
]  # fmt: skip


def test_it_never_overlaps_a_new_round(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    trace.touch()  # what is there is known as a path, and no part of the trial's id
    command = [sys.executable, "-m", "orchestrator"]
    driver = subprocess.Popen(
        [*command, *WORDS, f"model.trace={trace}"], cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    began = time.monotonic()
    while not list((tmp_path / "r").glob("trials/*/rounds/part-*")):
        assert time.monotonic() - began < 240
        time.sleep(0.05)
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    done = subprocess.run([*command, "resume", "r"], cwd=tmp_path, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr

    (path,) = (tmp_path / "r" / "trials").glob("*/trial.json")
    record = json.loads(path.read_text())
    assert record["state"] == "done"
    rounds = pq.read_table(path.parent / "rounds").sort_by("round").to_pylist()
    assert [row["round"] for row in rounds] == list(range(ROUNDS))
    assert {row["process"] for row in rounds} == {0, 1}
    spans: dict[int, tuple[int, int]] = {}
    for line in trace.read_text().splitlines():
        pid, start, end = map(int, line.split())
        first, last = spans.get(pid, (start, end))
        spans[pid] = min(first, start), max(last, end)
    assert len(spans) == 2
    assert all(one[1] < other[0] for one, other in pairwise(sorted(spans.values())))
    assert {process["pid"] for process in record["processes"]} == set(spans)
