"""Campaigns that start their servers: what is recorded of them, how they sweep, and what becomes of a trial whose server dies or hangs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pyarrow.parquet as pq
import pytest
from program import Done, orchestrator

from orchestrator.machine.cores import allowed_cores
from orchestrator.running import keeper

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(len(allowed_cores()) < 2, reason="a server needs a core that its client has not: run it on two cores or more"),
]

SUPPORT = Path(__file__).parents[1] / "support"
TINY = SUPPORT / "tiny_server.py"
ASKED = [
    "--config-dir", str(SUPPORT / "conf"), f"code=[{SUPPORT / 'code'}]", "model=tiny_asked", "task=numbers", "runtime=http_json", "server=tiny",
    "system=cpu_1core", "cluster=inline",
]  # fmt: skip
ROUNDS = 4
SHORT = ["measurement.rule=rounds", f"measurement.min_rounds={ROUNDS}", f"measurement.max_rounds={ROUNDS}", "measurement.warmup_rounds=1"]
ENDLESS_S = 600


def command(*words: str) -> str:
    return f"server.command=[{','.join(repr(word) for word in ('{python}', str(TINY), '--port', '{port}', *words))}]"


def run(folder: Path, *words: str, verb: str | None = None) -> Done:
    given = [*ASKED, *SHORT, f"results_dir={folder / 'r'}", *words]
    return orchestrator(*([verb] if verb else []), *given, cwd=folder)


def records(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted((folder / "r").glob("trials/*/trial.json"))]


def log_of(folder: Path, record: dict[str, Any], process: int) -> str:
    return (folder / "r" / "trials" / record["trial_id"] / f"server-{process}.log").read_text()


def outcomes(folder: Path, record: dict[str, Any]) -> dict[int, list[str]]:
    rows = pq.read_table(folder / "r" / "trials" / record["trial_id"] / "timings").to_pylist()
    return {number: [row["outcome"] for row in rows if row["round"] == number] for number in sorted({row["round"] for row in rows})}


def keepers() -> list[psutil.Process]:
    """Return what was started by this process of a test run and keeps a server; others may be running their own tests."""
    found, ours = [], os.environ.get("PYTEST_XDIST_WORKER")
    for process in psutil.process_iter():
        try:
            keeps = keeper.__file__ in process.cmdline()
            if keeps and process.environ().get("PYTEST_XDIST_WORKER") == ours:
                found.append(process)
        except psutil.Error:
            continue
    return found


def gone(pids: list[int]) -> bool:
    until = time.monotonic() + ENDLESS_S
    while any(psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE for pid in pids):
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def test_settings_are_an_axis_and_a_server_is_recorded_and_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TINY_SECRET", "squeamish-ossifrage")
    words = [
        "-m", command("--children", "{left}", "--tells", "TINY_SECRET"), "server.settings.left=0,1", "server.stop_s=1",
        "server.environment.TINY_SECRET=${oc.env:TINY_SECRET}", "server.version_command=['{python}','-c','print(\"tiny 7\")']",
        "server.packages=[pytest]",
    ]  # fmt: skip
    done = run(tmp_path, *words)
    assert done.returncode == 0, done.stderr
    found = records(tmp_path)
    assert [record["trial"]["server"]["settings"] for record in found] in ([{"left": 0}, {"left": 1}], [{"left": 1}, {"left": 0}])
    assert len({record["match_key"] for record in found}) == 2
    for record in found:
        assert record["state"] == "done"
        facts = record["facts"]["server_started"]
        assert facts["version"] == "tiny 7"
        assert facts["packages"]["pytest"] == pytest.__version__
        assert facts["command"][1] == str(TINY)
        assert facts["url"].rpartition(":")[2] == facts["command"][3] != "0"
        assert record["facts"]["server_url"] == facts["url"]
        assert facts["processes"] == 1 + record["trial"]["server"]["settings"]["left"]
        assert not set(facts["cores"]) & set(record["placement"]["cores"])
        assert gone([facts["pid"]])
        assert log_of(tmp_path, record, 0) == "I know ${oc.env:TINY_SECRET}\n"
    assert not keepers()
    everything = (
        b"".join(path.read_bytes() for path in (tmp_path / "r").rglob("*") if path.is_file()) + (done.stdout + done.stderr).encode()
    )
    assert b"squeamish" not in everything
    assert "server.settings.left=1" in (tmp_path / "r" / "report.md").read_text()
    assert "Servers started" in (tmp_path / "r" / "report.md").read_text()


LOCKED = """
import os
from null_targets import Numbers

class Locked(Numbers):
    def __init__(self, count, key):
        assert key["of"] == ["mellon " + os.environ["TQ_GATE"]]
        super().__init__(count)
"""


def test_no_secret_of_a_model_a_task_or_a_server_is_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = {"TQ_GATE": "opened-by-friends", "TQ_TEAM": "team-osprey-4711", "TQ_SERVER": "squeamish-ossifrage"}
    for name, value in secrets.items():
        monkeypatch.setenv(name, value)
    for name, text in {
        "code/locked.py": LOCKED,
        "conf/task/locked.yaml": "{name: locked, kind: image_classification, target: 'locked:Locked', count: 20, "
        "key: {of: ['mellon ${oc.env:TQ_GATE}']}}",
        "conf/model/teamed.yaml": (SUPPORT / "conf/model/tiny_asked.yaml")
        .read_text()
        .replace("{path", "{headers: {X-Team: '${oc.env:TQ_TEAM}'}, path"),
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    words = [
        "--config-dir", "conf", f"code=[{SUPPORT / 'code'},{tmp_path / 'code'}]", "task=locked", "model=teamed", command("--tells", "SECRET"),
        "server.environment.SECRET=${oc.env:TQ_SERVER}",
    ]  # fmt: skip
    done = run(tmp_path, *words)
    assert done.returncode == 0, done.stderr
    (record,) = records(tmp_path)
    assert record["state"] == "done"
    assert log_of(tmp_path, record, 0) == "I know ${oc.env:TQ_SERVER}\n"
    stored = "".join(str(path) + path.read_text(errors="replace") for path in (tmp_path / "r").rglob("*") if path.is_file())
    for name, value in secrets.items():
        assert value not in stored + done.stdout + done.stderr, name


def test_the_plan_says_which_cores_it_has(tmp_path: Path) -> None:
    done = run(tmp_path, "-m", command(), "task.count=10,20", verb="plan")
    assert done.returncode == 0, done.stderr
    *others, last = allowed_cores()
    said = " ".join(done.stdout.split())
    assert "server tiny of 2 trials: started on" in said
    assert f"its client has {last}" in said
    assert "2 trials that start a server each are measured apart" in said
    assert len(others) >= 1
    done = run(tmp_path, command(), "system=cpu_all")
    assert done.returncode == 2
    assert "server.cores=null: the client leaves 0" in done.stderr
    assert "set system.cores to fewer" in done.stderr


def test_doctor_says_which_cores_it_has(tmp_path: Path) -> None:
    done = orchestrator("doctor", "--all", "--config-dir", str(SUPPORT / "conf"), "system=cpu_1core,cpu_all", "server=tiny", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stdout.count("server tiny") == 2
    said = " ".join(done.stdout.split())
    assert "its client has" in said
    assert "server.cores=null:" in said


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--exits", "3", "--says", "no such model"], "has ended (exit code 3) before it was ready; its last line: no such model"),
        (["--never-ready", "--says", "warming up"], "the server is not ready after server.ready_s=2 s"),
    ],
)
def test_one_that_does_not_get_ready_fails_its_trial_alone(tmp_path: Path, words: list[str], reason: str) -> None:
    done = run(tmp_path, command(*words), "server.ready_s=2")
    assert done.returncode == 1
    (record,) = records(tmp_path)
    assert record["state"] == "failed"
    assert reason in record["reason"]
    assert len(record["faults"]) == 2
    assert log_of(tmp_path, record, 0).strip() == words[-1]
    assert not keepers()


def test_one_that_dies_once_is_named_and_a_fresh_one_goes_on(tmp_path: Path) -> None:
    """Of 20 samples a round and as many of a warm-up, request 50 is in round 1; the client's cost is measured elsewhere."""
    done = run(tmp_path, command("--dies-after", "50", "--once", str(tmp_path / "once")), "measurement.max_errors=100")
    assert done.returncode == 0, done.stderr
    (record,) = records(tmp_path)
    assert [fault["name"] for fault in record["faults"]] == ["server died"]
    assert "has ended (signal SIGKILL)" in record["faults"][0]["message"]
    assert [process["process"] for process in record["processes"]] == [0, 1]
    found = outcomes(tmp_path, record)
    assert list(found) == list(range(ROUNDS))
    assert sum("error" in of_round for of_round in found.values()) == 1
    broken = next(of_round for of_round in found.values() if "error" in of_round)
    assert "ok" in broken  # what was answered before it died stays
    assert any("has ended (signal SIGKILL)" in error["message"] for error in record["errors"])
    assert not keepers()


def test_one_that_dies_again_and_again_fails_its_trial(tmp_path: Path) -> None:
    done = run(tmp_path, command("--dies-after", "30"))
    assert done.returncode == 1
    (record,) = records(tmp_path)
    assert record["state"] == "failed"
    assert [fault["name"] for fault in record["faults"]] == ["server died", "server died"]
    assert "has ended (signal SIGKILL)" in record["reason"]
    assert not keepers()


def test_one_that_hangs_is_timed_out_and_ended(tmp_path: Path) -> None:
    done = run(
        tmp_path, command("--hangs-after", "50", "--once", str(tmp_path / "once")), "server.timeout_s=1", "measurement.max_errors=100"
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (record,) = records(tmp_path)
    found = [outcome for of_round in outcomes(tmp_path, record).values() for outcome in of_round]
    assert found.count("timeout") == 1
    assert found.count("ok") == len(found) - 1
    assert not keepers()


@pytest.mark.slow
def test_a_killed_driver_leaves_no_server_and_resume_goes_on(tmp_path: Path) -> None:
    words = [word for word in ASKED if word != "cluster=inline"]
    given = [
        *words,
        *SHORT,
        command("--children", "1"),
        "server.stop_s=1",
        f"results_dir={tmp_path / 'r'}",
        "measurement.schedule=sequential",
    ]
    program = [sys.executable, "-m", "orchestrator", *given, "measurement.min_rounds=80", "measurement.max_rounds=80"]
    with subprocess.Popen(program, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as driver:
        until = time.monotonic() + ENDLESS_S
        while not list((tmp_path / "r").glob("trials/*/timings/part-*")) and time.monotonic() < until and driver.poll() is None:
            time.sleep(0.05)
        (record,) = records(tmp_path)
        pid = record["facts"]["server_started"]["pid"]
        family = [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]
        os.kill(driver.pid, signal.SIGKILL)
    assert len(family) == 2
    assert gone(family)
    done = subprocess.run(
        [sys.executable, "-m", "orchestrator", "resume", "r"], cwd=tmp_path, capture_output=True, text=True, timeout=600, check=False
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (record,) = records(tmp_path)
    assert record["state"] == "done"
    assert [process["process"] for process in record["processes"]] == [0, 1]
    assert gone([record["facts"]["server_started"]["pid"]])
