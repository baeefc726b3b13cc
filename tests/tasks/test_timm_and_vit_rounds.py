"""Vision transformers and the framework runtimes through the program itself, each in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch

pytestmark = [pytest.mark.slow, pytest.mark.cluster]

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


def measured(folder: Path, *words: str) -> dict[str, Any]:
    """Run one trial of two rounds, check its rounds, and return its record."""
    command = [sys.executable, "-m", "orchestrator", *TWO_ROUNDS, *words, f"results_dir={folder / 'r'}"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr
    (trial,) = (folder / "r" / "trials").iterdir()
    record: dict[str, Any] = json.loads((trial / "trial.json").read_text())
    timings = pq.read_table(trial / "timings").to_pylist()
    assert record["state"] == "done"
    assert sorted((row["round"], row["sample"]) for row in timings) == [(number, sample) for number in (0, 1) for sample in range(5)]
    assert {row["outcome"] for row in timings} == {"ok"}
    assert record["facts"]["threads"] == {"intra_op": 1}
    assert record["placement"]["pinned"] is True
    return record


def test_vit_b_16_from_a_random_checkpoint(tmp_path: Path) -> None:
    """The network of the paper with pictures of 32 pixels: 86 million parameters as ever, and 5 patches instead of 197."""
    import torchvision

    torch.manual_seed(0)
    network = torchvision.models.vit_b_16(image_size=32)
    torch.save(network.state_dict(), tmp_path / "vit.pth")
    file = f"model.path={tmp_path / 'vit.pth'}"
    record = measured(tmp_path, "model=vit_b_16", "model.weights=null", file, "model.input_size=32", "model.resize_size=32")
    assert record["facts"]["classes"] == 1000


def test_a_small_vit_of_timm_from_a_random_checkpoint(tmp_path: Path) -> None:
    if find_spec("timm") is None:
        pytest.skip("timm is not installed: run `pip install 'tail-quality[timm]'`")
    import timm
    from safetensors.torch import save_file

    save_file(timm.create_model("test_vit").state_dict(), tmp_path / "vit.safetensors")
    file = f"model.path={tmp_path / 'vit.safetensors'}"
    record = measured(tmp_path, "model=timm_vit_base_patch16_224", "model.architecture=test_vit.r160_in1k", file, "runtime=torchscript")
    assert record["facts"]["largest_difference"] < record["facts"]["tolerance"]


def test_lite0_in_tensorflow(tmp_path: Path) -> None:
    if find_spec("tensorflow") is None:
        pytest.skip("tensorflow is not installed: run `pip install 'tail-quality[tensorflow]'`")
    record = measured(tmp_path, "model=efficientnet_lite0", "runtime=tensorflow", "runtime.deterministic=true")
    assert record["facts"]["largest_difference"] < 1e-3
    assert record["facts"]["deterministic"] is True
