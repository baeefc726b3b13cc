import hashlib
import io
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from orchestrator.contracts import LoadedModel
from orchestrator.metrics import Answers, find_metric
from tasks.digit_scenes import DigitScenes
from tasks.mnist_digits import digits
from tasks.models.checkpoint import read_checkpoint
from tasks.models.scene_detector import WEIGHTS, SceneDetector
from tasks.moving_digits import FRAME_SIDE, MovingDigits
from tasks.scene_layout import SCENE_SIDE


def test_there_are_four_hundred_scenes_of_one_to_five_digits() -> None:
    task = DigitScenes()
    samples = task.samples()
    assert len(samples) == 400
    assert {len(sample.reference["labels"]) for sample in samples} == {1, 2, 3, 4, 5}
    assert {label for sample in samples for label in sample.reference["labels"]} == set(range(10))
    assert samples[7].name == "scene-00007.png"
    assert task.decode(samples[7].read()).size == (SCENE_SIDE, SCENE_SIDE)


@pytest.mark.parametrize(
    ("task", "digest"),
    [
        (DigitScenes(scenes=20), "f3e9abfc024c568383b7078ca805eac91325e550d9946b3d3984902e8ef175a8"),
        (MovingDigits(sequences=2, frames=3), "7a5778b0a83045a4af111ffb8572595ecf42133d04665e5a1c7071a93eb5f291"),
    ],
    ids=["scenes", "moving"],
)
def test_scenes_are_the_same_on_every_machine(task: DigitScenes, digest: str) -> None:
    samples = task.samples()
    content = b"".join(sample.read() for sample in samples) + repr([sample.reference for sample in samples]).encode()
    assert hashlib.sha256(content).hexdigest() == digest


def test_a_seed_draws_other_scenes_and_more_scenes_start_with_the_same() -> None:
    first, more, other = ([sample.read() for sample in DigitScenes(scenes, seed).samples()] for scenes, seed in ((3, 0), (5, 0), (3, 1)))
    assert first == more[:3] != other


def test_boxes_lie_inside_and_ink_touches_the_edges_of_its_own_box_alone() -> None:
    for sample in DigitScenes(scenes=50).samples():
        pixels = np.asarray(Image.open(io.BytesIO(sample.read()))).astype(int)
        paper = int(np.median(pixels))
        taken = np.zeros((SCENE_SIDE, SCENE_SIDE), dtype=int)
        for x, y, width, height in sample.reference["boxes"]:
            assert 0 <= x < x + width <= SCENE_SIDE
            assert 0 <= y < y + height <= SCENE_SIDE
            taken[y : y + height, x : x + width] += 1
            assert (pixels[y : y + height, x : x + width] - paper).max() > 15
        assert taken.max() == 1
        assert (pixels[taken == 0] - paper).max() <= 26  # twice the noise: the median has some too


@pytest.mark.parametrize("speed", [0, 7.5, -40])
def test_digits_move_by_the_speed_and_stay_inside(speed: float) -> None:
    samples = MovingDigits(sequences=2, frames=12, speed=speed).samples()
    assert [sample.slices["sequence"] for sample in samples] == ["sequence-000"] * 12 + ["sequence-001"] * 12
    for frames in (samples[:12], samples[12:]):
        assert len({tuple(sample.reference["labels"]) for sample in frames}) == 1
        places, sizes = np.split(np.array([sample.reference["boxes"] for sample in frames]), 2, axis=-1)
        assert 0 <= places.min() <= (places + sizes).max() <= FRAME_SIDE
        way = np.linalg.norm(np.diff(places, axis=0), axis=-1)
        assert abs(speed) * 0.8 - 1.5 <= np.median(way) <= way.max() <= abs(speed) + 1.5  # whole pixels; one that turns back moves less


def test_no_digit_is_in_both_parts() -> None:
    parts = [{ink.tobytes() for of_class in digits(part) for ink in of_class} for part in ("training", "test")]
    assert not parts[0] & parts[1]
    assert [[len(of_class) for of_class in digits(part)] for part in ("test", "training")] == [[100] * 10, [400] * 10]


def answer(model: LoadedModel, pictures: list[Any], batch: int) -> list[Any]:
    batches = [pictures[start : start + batch] for start in range(0, len(pictures), batch)]
    return [row for part in batches for row in model.postprocess(model.infer(model.preprocess(part)))]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "side", "low", "high"),
    [
        (DigitScenes(scenes=40), None, 0.78, 0.9),
        (MovingDigits(sequences=6, frames=2, speed=40), 640, 0.78, 0.9),
        (MovingDigits(sequences=6, frames=2, speed=40), 320, 0.5, 0.7),  # half the pixels find less
    ],
)
def test_it_finds_digits(task: DigitScenes, side: int | None, low: float, high: float, make_context: Any) -> None:
    samples = task.samples()
    loaded = SceneDetector(input_size=side).load(make_context())
    pictures = [task.decode(sample.read()) for sample in samples]
    found = answer(loaded, pictures, batch=7)  # the last batch has 5
    assert low < find_metric("map").judge(Answers(found, [sample.reference for sample in samples])).ideal() < high
    assert (loaded.input_size(pictures[0]), loaded.facts["threads"]) == (pictures[0].width ** 2, {"intra_op": 2})
    alone = answer(loaded, pictures[:3], batch=1)
    for one, same in zip(alone, found, strict=False):
        assert one["labels"] == same["labels"]
        assert np.allclose(one["boxes"], same["boxes"], atol=1e-3)


@pytest.mark.slow
def test_the_training_script_writes_weights_that_load(
    tmp_path: Path, make_context: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / "weights.safetensors"
    monkeypatch.setattr("sys.argv", ["", "--steps", "2", "--out", str(out)])
    with pytest.raises(SystemExit, match="0"):
        runpy.run_module("tasks.training.scene_detector", run_name="__main__")
    assert capsys.readouterr().out == f"{out}\n"
    assert SceneDetector(path=str(out)).load(make_context()).facts["threads"] == {"intra_op": 2}
    assert read_checkpoint(out).keys() == read_checkpoint(WEIGHTS).keys()
