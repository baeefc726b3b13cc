"""A vision transformer and the framework runtimes through the program itself, each in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from lazily import Lazily

torch = Lazily("torch")

pytestmark = pytest.mark.slow

TWO_ROUNDS = [
    "task=imagenet_samples",
    "task.limit=5",
    "system=cpu_1core",
    "measurement.rule=rounds",
    "measurement.min_rounds=2",
    "measurement.max_rounds=2",
    "measurement.warmup_rounds=1",
    "measurement.batch=4",
]
CONF = Path(__file__).parents[2] / "conf" / "model"


def own_model(folder: Path, name: str, of: str, changes: dict[str, str]) -> None:
    """Write a model of the user's own: a shipped YAML with other values."""
    lines = (CONF / f"{of}.yaml").read_text().splitlines()
    changed = [f"{key}: {changes[key]}" if (key := line.split(":")[0]) in changes else line for line in lines]
    (folder / f"{name}.yaml").write_text("\n".join(changed).replace(f"name: {of}", f"name: {name}") + "\n")


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One campaign of two rounds of each of two models, from random weights where none are at hand."""
    for package in ("timm", "tensorflow"):
        if find_spec(package) is None:
            pytest.skip(f"{package} is not installed: run `pip install 'tail-quality[{package}]'`")
    import timm
    from safetensors.torch import save_file

    folder = tmp_path_factory.mktemp("vision")
    torch.manual_seed(0)
    save_file(timm.create_model("test_vit").state_dict(), folder / "vit.safetensors")
    models, sweeps = folder / "conf" / "model", folder / "conf" / "sweep"
    models.mkdir(parents=True)
    sweeps.mkdir()
    own_model(models, "of_timm", "timm_vit_base_patch16_224", {"path": f"{folder}/vit.safetensors", "architecture": "test_vit.r160_in1k"})
    (sweeps / "two.yaml").write_text(
        "axes:\n"
        "  model: of_timm,efficientnet_lite0\n"
        "  runtime: torchscript,tensorflow\n"
        "  runtime.deterministic: false,true\n"
        "pair: [[model, runtime, runtime.deterministic]]\n"
    )
    command = [sys.executable, "-m", "orchestrator", "--config-dir", str(folder / "conf"), "+sweep=two", *TWO_ROUNDS]
    done = subprocess.run([*command, f"results_dir={folder / 'r'}"], cwd=folder, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    return folder / "r"


def checked_record(campaign: Path, model: str) -> dict[str, Any]:
    """Check the rounds of the trial of a model, and return its record."""
    (trial,) = (campaign / "trials").glob(f"{model}-*")
    record: dict[str, Any] = json.loads((trial / "trial.json").read_text())
    timings = pq.read_table(trial / "timings").to_pylist()
    assert record["state"] == "done"
    assert sorted((row["round"], row["sample"]) for row in timings) == [(number, sample) for number in (0, 1) for sample in range(5)]
    assert {row["outcome"] for row in timings} == {"ok"}
    assert record["facts"]["threads"] == {"intra_op": 1}
    assert record["placement"]["pinned"] is True
    return record


def test_a_small_vit_of_timm_from_a_random_checkpoint(campaign: Path) -> None:
    facts = checked_record(campaign, "of_timm")["facts"]
    assert facts["largest_difference"] < facts["tolerance"]


def test_lite0_in_tensorflow(campaign: Path) -> None:
    facts = checked_record(campaign, "efficientnet_lite0")["facts"]
    assert facts["largest_difference"] < 1e-3
    assert facts["deterministic"] is True
