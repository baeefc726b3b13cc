"""Signals at every stage, one, two or five of them, and one that is not meant for us: exit code 130, and nothing is left."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from processes import ENDLESS_S, wait_until
from program import NULL

WORDS = [*NULL, "model=echo", "model.sleep_ms=2"]
RULE = ["measurement.rule=rounds", "measurement.min_rounds=40", "measurement.max_rounds=40"]
LONG = ["measurement.min_rounds=4000", "measurement.max_rounds=4000"]


@pytest.fixture
def temporary(tmp_path: Path) -> Iterator[Path]:
    """The folder of the campaign's temporary files, with a name that is short enough for Ray's sockets."""
    with tempfile.TemporaryDirectory(prefix="tq") as folder:
        (tmp_path / "t").symlink_to(folder)
        yield Path(folder)


def start(folder: Path, *words: str, ignore: int | None = None) -> subprocess.Popen[str]:
    """Start a campaign whose temporary files lie in a folder of its own, also where this process ignores signals."""
    ways = dict.fromkeys((signal.SIGTERM, signal.SIGHUP), "SIG_DFL") | ({} if ignore is None else {ignore: "SIG_IGN"})
    prelude = "".join(f"signal.signal({number:d}, signal.{way}); " for number, way in ways.items())
    interrupt = "signal.signal(signal.SIGINT, signal.default_int_handler)"
    program = f"import signal; {prelude}{interrupt}\nimport runpy; runpy.run_module('orchestrator', run_name='__main__', alter_sys=True)"
    chosen = {word.partition("=")[0]: word for word in [*RULE, *words]}
    command = [sys.executable, "-c", program, *WORDS, "results_dir=r", *chosen.values()]
    environment = {**os.environ, "TMPDIR": str((folder / "t").readlink())}
    return subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def read_until(driver: subprocess.Popen[str], words: str) -> str:
    told = ""
    while words not in told:
        line = driver.stderr.readline()
        assert line, told
        told += line
    return told


def receives_signals(driver: subprocess.Popen[str]) -> bool:
    """Whether the program has entered its main module: it blocks these signals in its main thread from then on."""
    lines = dict(line.split(":\t", 1) for line in Path(f"/proc/{driver.pid}/status").read_text().splitlines())
    mask = sum(1 << (number - 1) for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM))
    return int(lines["SigBlk"], 16) == mask


def wait_until_nothing_is_left(folder: Path) -> None:
    """Wait until no file of the campaign is left but its results, and no process works on one."""
    temporary, began = (folder / "t").readlink(), time.monotonic()
    while left := [*temporary.iterdir(), *(words for words in command_lines() if str(temporary) in " ".join(words))]:
        assert time.monotonic() - began < ENDLESS_S, left
        time.sleep(0.1)


def command_lines() -> list[list[str]]:
    return [process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline"])]


pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("temporary")]
needs_proc = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc: run it on Linux")


@needs_proc
@pytest.mark.parametrize(("sent", "times"), [(signal.SIGHUP, 5), (signal.SIGINT, 2)])
def test_a_signal_in_the_first_moment_ends_the_program_with_130(tmp_path: Path, sent: signal.Signals, times: int) -> None:
    with start(tmp_path, "cluster=inline") as driver:
        wait_until(lambda: receives_signals(driver))
        for _ in range(times):
            driver.send_signal(sent)
        _, told = driver.communicate(timeout=ENDLESS_S)
    assert driver.returncode == 130, told
    assert "Traceback" not in told
    wait_until_nothing_is_left(tmp_path)


@needs_proc
@pytest.mark.slow
def test_two_signals_while_ray_starts_end_the_program_with_130(tmp_path: Path) -> None:
    with start(tmp_path) as driver:
        temporary = str((tmp_path / "t").readlink())
        wait_until(lambda: any("gcs_server" in words[0] and temporary in " ".join(words) for words in command_lines() if words))
        driver.send_signal(signal.SIGTERM)
        driver.send_signal(signal.SIGTERM)
        _, told = driver.communicate(timeout=ENDLESS_S)
    assert driver.returncode == 130, told
    assert "Traceback" not in told
    assert ("go on with: python -m orchestrator resume r" in told) == (tmp_path / "r" / "campaign.json").exists()
    wait_until_nothing_is_left(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sent", "until", "word"),
    [(signal.SIGINT, ": round ", "model.sleep_ms=20")],
)
def test_a_second_signal_ends_the_program_at_once_with_130(tmp_path: Path, sent: signal.Signals, until: str, word: str) -> None:
    with start(tmp_path, *LONG, word) as driver:
        told = read_until(driver, until)
        driver.send_signal(sent)
        told += read_until(driver, "finishing the round")
        time.sleep(0.7)  # for one that comes sooner is the same signal, told twice
        for _ in range(4):
            driver.send_signal(sent)
        told += driver.communicate(timeout=ENDLESS_S)[1]
    assert driver.returncode == 130, told
    assert told.splitlines()[-1].endswith("; go on with: python -m orchestrator resume r")
    assert json.loads((tmp_path / "r" / "campaign.json").read_text())["trials"][0]["state"] == "interrupted"
    assert json.loads(next(tmp_path.glob("r/trials/*/trial.json")).read_text())["faults"] == []
    wait_until_nothing_is_left(tmp_path)


def test_a_hang_up_that_is_ignored_stops_nothing_and_a_signal_when_all_is_measured_ends_the_program_with_130(tmp_path: Path) -> None:
    """As under nohup: the terminal goes, and the campaign goes on."""
    with start(tmp_path, "cluster=inline", ignore=signal.SIGHUP) as driver:
        wait_until(lambda: list(tmp_path.glob("r/trials/*/timings/part-*")))
        driver.send_signal(signal.SIGHUP)
        told = read_until(driver, "[1/1]")
        driver.send_signal(signal.SIGTERM)
        told += driver.communicate(timeout=ENDLESS_S)[1]
    assert driver.returncode == 130, told
    assert "SIGHUP" not in told
    assert json.loads((tmp_path / "r" / "campaign.json").read_text())["trials"][0]["state"] == "done"
    assert "interrupted when all was measured and reported" in told
    assert (tmp_path / "r" / "report.html").exists()
