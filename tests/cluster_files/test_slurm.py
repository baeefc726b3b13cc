"""cluster/slurm.sbatch under SLURM's own daemons, on three nodes out of this machine."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

HERE = Path(__file__).parent
PROJECT = HERE.parents[1]
SUPPORT = HERE.parent / "support"
SCRIPT = PROJECT / "cluster" / "slurm.sbatch"
NAMESPACES = ["unshare", "--pid", "--fork", "--mount-proc", "--net", "--uts"]
CAMPAIGN = [
    *["-m", "--config-dir", str(SUPPORT / "conf"), f"code=[{SUPPORT / 'code'}]", "model=echo", "task=numbers"],
    *["runtime=torch", "system=cpu_1core", "measurement.rule=rounds"],
]
ROUNDS = 65
pytestmark = [pytest.mark.slow, pytest.mark.first]


@dataclass(frozen=True)
class Slurm:
    """Three nodes, n1 to n3, and their controller, which lives in the namespaces of a process."""

    folder: Path
    process: int

    def ask(self, *words: str | Path, locks: Path = Path()) -> str:
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("RAY_", "SLURM_"))}
        variables = kept | {
            "ORCHESTRATOR_LOCK_DIR": str(locks),
            "SLURM_CONF": str(self.folder / "slurm.conf"),
            "TAIL_QUALITY_PYTHON": sys.executable,
        }
        command = ["nsenter", "--target", str(self.process), "--net", "--uts", *map(str, words)]
        return subprocess.run(command, env=variables, cwd=PROJECT, capture_output=True, text=True, check=True).stdout

    def is_up(self) -> bool:
        with suppress(subprocess.CalledProcessError):  # its controller does not answer yet
            return self.ask("sinfo", "--noheader", "--format=%D %t").split() == ["3", "idle"]
        return False

    def submit(self, results: Path, *words: str, **options: str) -> str:
        """Return the number of a new job, whose output goes beside its results."""
        locks = Path(f"{results}.locks")  # a machine of its own: no job waits for the turn of another
        locks.mkdir()
        chosen = {"parsable": "", "cpus-per-task": "1", "output": f"{results}.log", **options}
        given = [f"--{name}={value}" if value else f"--{name}" for name, value in chosen.items()]
        return self.ask("sbatch", *given, SCRIPT, results, *CAMPAIGN, *words, locks=locks).strip()

    def job(self, number: str) -> dict[str, Any]:
        (job,) = json.loads(self.ask("scontrol", "show", "job", number, "--json"))["jobs"]
        return dict(job)

    def has_ended(self, number: str) -> bool:
        return self.job(number)["job_state"] in (
            ["COMPLETED"],
            ["FAILED"],
            ["CANCELLED"],
            ["TIMEOUT"],
        )  # while it completes, that is said too

    def ended(self, number: str) -> dict[str, Any]:
        """Return a job that has left the queue."""
        until(lambda: self.has_ended(number))
        return self.job(number)


def until(holds: Callable[[], object]) -> None:
    while not holds():
        time.sleep(1)  # pytest-timeout ends it; asking takes a process


def trials(results: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted(results.glob("trials/*/trial.json"))]


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slurm]:
    missing = [name for name in ("slurmctld", "slurmd", "munged", "ip", "nsenter") if shutil.which(name) is None]
    if missing:
        pytest.skip(f"no {missing[0]} here: apt-get install slurm-wlm munge iproute2 util-linux")
    if subprocess.run([*NAMESPACES, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("needs namespaces of processes and networks: run as root on Linux")
    folder = tmp_path_factory.mktemp("slurm")
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen([*NAMESPACES, HERE / "slurm_cluster", folder], stdin=subprocess.PIPE, stdout=log, stderr=log) as cluster,
    ):
        until(lambda: psutil.Process(cluster.pid).children())
        found = Slurm(folder, psutil.Process(cluster.pid).children()[0].pid)
        until(lambda: (folder / "slurm.conf").exists())
        until(found.is_up)
        yield found


@dataclass(frozen=True)
class Ended:
    """A job that has left the queue, the records of its trials, and those of the allotment that was too short where it had one."""

    job: dict[str, Any]
    results: Path
    stopped: list[dict[str, Any]]

    @property
    def trials(self) -> list[dict[str, Any]]:
        return trials(self.results)


@pytest.fixture(scope="module")
def jobs(slurm: Slurm, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ended]:
    """Two jobs side by side; SLURM looks twice a minute at what walltime is left, and the campaign on n3 lasts for longer than that.

    The signal of walltime reaches the job on n3 first before its campaign has begun, and then while it measures.
    """
    folder = tmp_path_factory.mktemp("campaigns")
    few, many = (
        (f"model.sleep_ms={sleep_ms}", f"measurement.min_rounds={count}", f"measurement.max_rounds={count}")
        for sleep_ms, count in ((5, 10), (20, ROUNDS))
    )
    short = slurm.submit(folder / "short", *many, "system.labels.system=n3", nodelist="n3", time="9")
    pair = slurm.submit(folder / "pair", *few, "system.labels.system=n1,n2", nodes="2", nodelist="n1,n2")
    until(lambda: any(path.stat().st_size for path in folder.glob(f".tail-quality-{short}/token")))
    slurm.ask("scancel", "--batch", "--signal=TERM", short)
    until(lambda: slurm.job(short)["job_state"] == ["PENDING"] or slurm.has_ended(short))
    # Not in the second in which it was requeued: the node would take it for the job that it has just ended.
    slurm.ask("scontrol", "update", f"JobId={short}", "StartTime=now+2")
    until(lambda: list(folder.glob("short/trials/*/rounds/part-*")) or slurm.has_ended(short))
    slurm.ask("scontrol", "update", f"JobId={short}", "TimeLimit=2")  # the script asks for its signal 120 s before the end
    until(lambda: slurm.job(short)["job_state"] == ["PENDING"] or slurm.has_ended(short))
    stopped = trials(folder / "short")
    slurm.ask("scontrol", "update", f"JobId={short}", "TimeLimit=9", "StartTime=now+2")
    return {"short": Ended(slurm.ended(short), folder / "short", stopped), "pair": Ended(slurm.ended(pair), folder / "pair", [])}


@pytest.mark.parametrize(("name", "nodes", "restarts"), [("pair", ["n1", "n2"], 0), ("short", ["n3"], 2)])
def test_a_job_ends_when_its_campaign_is_done(jobs: dict[str, Ended], name: str, nodes: list[str], restarts: int) -> None:
    ended = jobs[name]
    written = Path(f"{ended.results}.log").read_text()
    assert (ended.job["job_state"], ended.job["exit_code"]["return_code"]["number"]) == (["COMPLETED"], 0), written
    assert ended.job["restart_cnt"] == restarts
    assert {record["state"] for record in ended.trials} == {"done"}
    assert sorted(record["placement"]["host"] for record in ended.trials) == nodes
    assert list(ended.results.parent.glob(f".tail-quality-{ended.job['job_id']}")) == []  # the token


def test_a_job_whose_walltime_was_too_short_went_on_where_it_had_stopped(jobs: dict[str, Ended]) -> None:
    (stopped,), (resumed,) = jobs["short"].stopped, jobs["short"].trials
    assert stopped["state"] == "interrupted"
    assert 0 < stopped["rounds"] < resumed["rounds"] == ROUNDS
    assert len(resumed["processes"]) == 2
