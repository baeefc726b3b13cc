"""Two campaigns that are started at once on one machine."""

import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from processes import wait_until
from program import NULL, orchestrator

pytestmark = pytest.mark.slow

WORDS = [
    *NULL, "model=echo", "model.sleep_ms=6",
    "measurement.rule=rounds", "measurement.min_rounds=20", "measurement.max_rounds=20", "cluster=inline", "-m", "measurement.repeat=2",
]  # fmt: skip


def spans(results: Path) -> list[tuple[int, int, str]]:
    """Start and end of every round, ns, and whose it is."""
    rows = [row for path in results.glob("trials/*/rounds") for row in pq.read_table(path).to_pylist()]
    return [(row["started_monotonic_ns"], row["started_monotonic_ns"] + row["duration_ns"], results.name) for row in rows]


def test_their_trials_take_turns(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "orchestrator", *WORDS, "results_dir=one"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as one:
        wait_until(lambda: list(tmp_path.glob("one/trials/*/rounds/part-*")) or one.poll() is not None)
        two = orchestrator(*WORDS, "results_dir=two", cwd=tmp_path)
        _, told = one.communicate(timeout=600)
    assert one.returncode == 0, told
    assert two.returncode == 0, two.stderr
    rounds = sorted(spans(tmp_path / "one") + spans(tmp_path / "two"))
    assert len(rounds) == 80
    assert all(before[1] <= after[0] for before, after in pairwise(rounds))
    assert str(tmp_path / "one") in two.stderr
