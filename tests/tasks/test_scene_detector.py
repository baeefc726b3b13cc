from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lazily import Lazily
from refusals import refused

from orchestrator.contracts import LoadedModel, Model
from orchestrator.metrics import Answers, find_metric
from tasks.digit_scenes import DigitScenes
from tasks.models.checkpoint import read_checkpoint
from tasks.models.scene_detector import WEIGHTS, SceneDetector, read_scenes
from tasks.models.scene_network import PLACES, STRIDE
from tasks.scene_layout import Scene
from tasks.training.scene_targets import targets

torch = Lazily("torch")

pytestmark = pytest.mark.slow


def answer(model: LoadedModel, pictures: list[Any], batch: int) -> list[Any]:
    batches = [pictures[start : start + batch] for start in range(0, len(pictures), batch)]
    return [row for part in batches for row in model.postprocess(model.infer(model.preprocess(part)))]


@pytest.mark.parametrize(("runtime", "scenes"), [("torch", 160), ("onnxruntime", 80)])
def test_it_finds_the_digits_of_test_scenes(runtime: str, scenes: int, make_context: Any) -> None:
    task = DigitScenes(scenes=scenes)
    samples = task.samples()
    model = SceneDetector()
    model.check()
    assert isinstance(model, Model)
    loaded = model.load(make_context(runtime))
    assert isinstance(loaded, LoadedModel)
    pictures = [task.decode(sample.read()) for sample in samples]
    found = answer(loaded, pictures, batch=32)  # the last batch has 16
    quality = {name: find_metric(name).judge(Answers(found, [sample.reference for sample in samples])).ideal() for name in ("map", "map50")}
    assert quality["map50"] > 0.97
    assert quality["map"] > 0.78
    assert loaded.input_size(pictures[0]) == 128 * 128
    assert loaded.facts["threads"] == {"intra_op": 2}
    alone = answer(loaded, pictures[:3], batch=1)
    for one, same in zip(alone, found, strict=False):
        assert one["labels"] == same["labels"]
        assert np.allclose(one["boxes"], same["boxes"], atol=1e-3)


def test_a_place_answers_for_a_digit_near_it_and_reading_turns_it_back() -> None:
    scene = Scene(np.zeros((128, 128), dtype=np.uint8), [[30, 40, 20, 24], [90, 10, 4, 30]], [7, 1])
    holds, classes, corners = targets(scene)
    assert set(holds[classes[:, 7] == 1]) == {True}
    assert classes[~holds].sum() == 0
    assert 2 <= holds.sum() <= 8
    place = PLACES * (52 // STRIDE) + 40 // STRIDE
    assert corners[place].tolist() == [30, 40, 50, 64]
    found = read_scenes((classes[None], corners[None]), [(128, 128)], least_score=0.5, most_overlap=0.5)[0]
    assert sorted(zip(found["labels"], found["boxes"], strict=True)) == [(1, [90, 10, 4, 30]), (7, [30, 40, 20, 24])]


def test_the_training_script_writes_weights_that_load(tmp_path: Path, make_context: Any) -> None:
    out = tmp_path / "new" / "weights.safetensors"
    command = [sys.executable, "-m", "tasks.training.scene_detector", "--steps", "3", "--out", str(out)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ran.stdout == f"{out}\n"
    assert SceneDetector(path=str(out)).load(make_context()).facts["threads"] == {"intra_op": 2}
    assert read_checkpoint(out).keys() == read_checkpoint(WEIGHTS).keys()


def test_a_checkpoint_of_another_architecture_is_refused(tmp_path: Path, make_context: Any) -> None:
    torch.save(torch.nn.Linear(3, 4).state_dict(), tmp_path / "other.pth")
    with refused("conflict"):
        SceneDetector(path=str(tmp_path / "other.pth")).load(make_context())
