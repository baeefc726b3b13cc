"""Campaigns that start their servers: what is recorded of them, how they sweep, and what becomes of a trial whose server dies or hangs."""

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pyarrow.parquet as pq
import pytest
from processes import gone, wait_until
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
    """Return what was started by this test and keeps a server; others may be running their own tests."""
    known = psutil.process_iter(["cmdline", "environ"])
    found = [process for process in known if keeper.__file__ in (process.info["cmdline"] or ())]
    return [process for process in found if (process.info["environ"] or {}).get("PYTEST_CURRENT_TEST") == os.environ["PYTEST_CURRENT_TEST"]]


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
    assert "server.settings.left=1" in (tmp_path / "r" / "report.md").read_text()


def test_one_that_dies_once_is_named_and_a_fresh_one_goes_on(tmp_path: Path) -> None:
    """Of 20 samples a round and as many of a warm-up, request 50 is in round 1; the client's cost is measured elsewhere."""
    done = run(tmp_path, command("--dies-after", "50", "--once", str(tmp_path / "once")), "measurement.max_errors=100")
    assert done.returncode == 0, done.stderr
    (record,) = records(tmp_path)
    assert [fault["name"] for fault in record["faults"]] == ["server died"]
    assert [process["process"] for process in record["processes"]] == [0, 1]
    found = outcomes(tmp_path, record)
    assert list(found) == list(range(ROUNDS))
    assert sum("error" in of_round for of_round in found.values()) == 1
    broken = next(of_round for of_round in found.values() if "error" in of_round)
    assert "ok" in broken  # what was answered before it died stays
    assert not keepers()


def kept_for(folder: Path, number: int) -> list[int]:
    """Return the processes below the keepers of a trial's process, once rounds are stored."""
    begun = any((folder / "r").glob("trials/*/timings/part-*"))
    workers = [str(process["pid"]) for process in records(folder)[0]["processes"] if process["process"] == number] if begun else []
    with suppress(psutil.NoSuchProcess):  # one that ends meanwhile
        keeping = [process for process in psutil.process_iter(["cmdline"]) if workers and (process.info["cmdline"] or [])[3:4] == workers]
        return [child.pid for process in keeping for child in process.children(recursive=True)]
    return []


def test_whoever_is_killed_no_server_and_no_neighbour_is_left_and_the_trial_goes_on(tmp_path: Path) -> None:
    """A worker, then its driver by Ctrl-C, then the next driver."""
    words = [
        *(word for word in ASKED if word != "cluster=inline"), command("--children", "1", "--wait-s", "0.02"), "server.stop_s=1",
        "neighbour.name=sleeps", "neighbour.command=[sleep,'600']", "neighbour.cores=same", "task.count=5", f"results_dir={tmp_path / 'r'}",
        "measurement.schedule=sequential", "measurement.rule=rounds", "measurement.min_rounds=60", "measurement.max_rounds=60",
    ]  # fmt: skip
    kills = [[("worker", signal.SIGKILL, 0), ("driver", signal.SIGINT, 1)], [("driver", signal.SIGKILL, 2)], []]
    for given, killed in zip((words, ["resume", "r"], ["resume", "r"]), kills, strict=True):
        with subprocess.Popen(
            [sys.executable, "-m", "orchestrator", *given], cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as driver:
            for whom, how, number in killed:
                wait_until(lambda number=number: len(kept_for(tmp_path, number)) == 3)
                family, worker = kept_for(tmp_path, number), records(tmp_path)[0]["processes"][number]["pid"]
                os.kill(driver.pid if whom == "driver" else worker, how)
                assert gone(family)
    assert driver.returncode == 0
    (record,) = records(tmp_path)
    assert record["state"] == "done"
    assert [process["process"] for process in record["processes"]] == [0, 1, 2, 3]
    assert gone([record["facts"]["server_started"]["pid"]])
