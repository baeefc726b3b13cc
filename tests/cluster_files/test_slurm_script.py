from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PROJECT = HERE.parents[1]
SUPPORT = HERE.parent / "support"
Allotment = Callable[..., subprocess.CompletedProcess[str]]
CAMPAIGN = [
    *["--config-dir", str(SUPPORT / "conf"), f"code=[{SUPPORT / 'code'}]", "model=echo", "task=numbers", "runtime=torch"],
    *["system=cpu_1core", "system.labels.system=allotted", "measurement.min_rounds=60", "measurement.max_rounds=60"],
]


@pytest.fixture
def allotment(tmp_path: Path) -> Allotment:
    namespaces = ["unshare", "--pid", "--fork", "--mount-proc", "--net", "--uts"]
    if shutil.which("unshare") is None or subprocess.run([*namespaces, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("needs namespaces of processes and networks: run as root on Linux, with util-linux and iproute2")
    (tmp_path / "bin").mkdir()
    for name in ("srun", "scontrol"):
        (tmp_path / "bin" / name).symlink_to(HERE / f"stand_in_{name}")

    def run(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("RAY_", "SLURM_"))}
        command = [*namespaces, str(HERE / "slurm_allotment"), str(PROJECT), str(tmp_path), *words]
        return subprocess.run(
            command, env=kept | {"TAIL_QUALITY_PYTHON": sys.executable} | variables, capture_output=True, text=True, check=False
        )

    return run


def test_walltime_comes_with_a_signal_for_the_script_alone(cluster_folder: Path) -> None:
    options = re.findall(r"^#SBATCH --(\S+)$", (cluster_folder / "slurm.sbatch").read_text(), flags=re.MULTILINE)
    assert {"signal=B:TERM@120", "requeue", "exclusive", "open-mode=append", "ntasks-per-node=1"} <= set(options)


@pytest.mark.slow
def test_a_signal_finishes_the_round_and_requeues_and_the_next_allotment_goes_on(allotment: Allotment, tmp_path: Path) -> None:
    results = tmp_path / "results"
    stopped = allotment(str(results), *CAMPAIGN, "model.sleep_ms=5", WALLTIME="near")
    assert stopped.returncode == 130, stopped.stdout + stopped.stderr
    calls = (tmp_path / "calls").read_text().splitlines()
    assert calls[-1] == "scontrol requeue 4711"
    assert calls[0].startswith("srun --wait=20 --ntasks-per-node=1 --cpus-per-task=1 ")
    trial = next((results / "trials").glob("*/trial.json"))
    first = json.loads(trial.read_text())
    assert first["state"] == "interrupted"
    assert [path.name for path in tmp_path.glob(".tail-quality-*")] == []

    resumed = allotment(str(results), *CAMPAIGN, "model.sleep_ms=5")
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    assert (tmp_path / "calls").read_text().count("scontrol") == 1
    assert json.loads(trial.read_text())["state"] == "done"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "error: no arguments: must be a folder for the results and what to run"),
        (["+sweep=vision", "model=a"], "error: +sweep=vision model=a: must be a folder"),
    ],
)
def test_mistakes_are_one_line(cluster_folder: Path, words: list[str], said: str) -> None:
    refused = subprocess.run(["bash", cluster_folder / "slurm.sbatch", *words], capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert refused.stderr.startswith(said)
    assert refused.stderr.count("\n") == 1
