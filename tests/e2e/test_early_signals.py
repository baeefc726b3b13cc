"""Signals that come before anything is measured, and one that is not meant for us."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SUPPORT = Path(__file__).parents[1] / "support"
WORDS = ["--config-dir", str(SUPPORT / "conf"), f"code=[{SUPPORT / 'code'}]", "task=numbers", "model=echo", "model.sleep_ms=2"]
RULE = ["measurement.rule=rounds", "measurement.min_rounds=40", "measurement.max_rounds=40"]


def start(folder: Path, *words: str, ignore: int | None = None) -> subprocess.Popen[str]:
    prelude = f"import signal; signal.signal({ignore}, signal.SIG_IGN); " if ignore is not None else ""
    program = f"{prelude}import runpy; runpy.run_module('orchestrator', run_name='__main__', alter_sys=True)"
    command = [sys.executable, "-c", program, *WORDS, *RULE, "results_dir=r", *words]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


@pytest.mark.slow
@pytest.mark.cluster
@pytest.mark.parametrize(("sent", "after_s"), [(signal.SIGTERM, 3.0), (signal.SIGHUP, 4.5)])
def test_a_signal_while_ray_starts_ends_the_program_with_130(tmp_path: Path, sent: signal.Signals, after_s: float) -> None:
    with start(tmp_path) as driver:
        time.sleep(after_s)
        driver.send_signal(sent)
        _, told = driver.communicate(timeout=60)
    assert driver.returncode == 130, told
    assert "Traceback" not in told
    if (tmp_path / "r" / "campaign.json").exists():
        assert "go on with: python -m orchestrator resume r" in told
    assert not list(Path("/tmp").glob(f"tq-{driver.pid}-*"))


def test_a_hang_up_that_is_ignored_stops_nothing(tmp_path: Path) -> None:
    """As under nohup: the terminal goes, and the campaign goes on."""
    with start(tmp_path, "cluster=inline", ignore=signal.SIGHUP) as driver:
        began = time.monotonic()
        while not list(tmp_path.glob("r/trials/*/timings/part-*")):
            assert time.monotonic() - began < 60
            time.sleep(0.02)
        driver.send_signal(signal.SIGHUP)
        _, told = driver.communicate(timeout=60)
    assert driver.returncode == 0, told
    assert "SIGHUP" not in told
