"""Signals that come before anything is measured, a second one, and one that is not meant for us."""

from __future__ import annotations

import json
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
    chosen = {word.partition("=")[0]: word for word in [*RULE, *words]}
    command = [sys.executable, "-c", program, *WORDS, "results_dir=r", *chosen.values()]
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


@pytest.mark.slow
@pytest.mark.cluster
@pytest.mark.parametrize(("sent", "until"), [(signal.SIGTERM, "loading"), (signal.SIGINT, "loading"), (signal.SIGINT, "round")])
def test_a_second_signal_ends_the_program_at_once_with_130(tmp_path: Path, sent: signal.Signals, until: str) -> None:
    with start(tmp_path, "measurement.warmup_rounds=50", "measurement.min_rounds=4000", "measurement.max_rounds=4000") as driver:
        assert driver.stderr is not None
        told = ""
        while until not in told:
            told += driver.stderr.readline()
        driver.send_signal(sent)
        time.sleep(0.8)
        driver.send_signal(sent)
        time.sleep(0.2)
        if driver.poll() is None:
            driver.send_signal(sent)  # a third one, while Ray ends, changes nothing
        told += driver.communicate(timeout=60)[1]
    assert driver.returncode == 130, told
    assert told.splitlines()[-1].endswith("; go on with: python -m orchestrator resume r")
    assert json.loads((tmp_path / "r" / "campaign.json").read_text())["trials"][0]["state"] == "interrupted"
    assert json.loads(next(tmp_path.glob("r/trials/*/trial.json")).read_text())["faults"] == []
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
