import hashlib
import io

import numpy as np
import pytest
from PIL import Image

from orchestrator.contracts import Task
from tasks.digit_scenes import DigitScenes
from tasks.mnist_digits import digits
from tasks.png import encode_grey
from tasks.scene_layout import SCENE_SIDE


def test_there_are_four_hundred_scenes_of_one_to_five_digits() -> None:
    task = DigitScenes()
    task.check()
    samples = task.samples()
    assert isinstance(task, Task)
    assert len(samples) == 400
    assert {len(sample.reference["labels"]) for sample in samples} == {1, 2, 3, 4, 5}
    assert {label for sample in samples for label in sample.reference["labels"]} == set(range(10))
    assert samples[7].name == "scene-00007.png"
    picture = task.decode(samples[7].read())
    assert (picture.mode, picture.size) == ("RGB", (SCENE_SIDE, SCENE_SIDE))


def test_scenes_are_the_same_on_every_machine() -> None:
    samples = DigitScenes(scenes=20).samples()
    content = b"".join(sample.read() for sample in samples) + repr([sample.reference for sample in samples]).encode()
    assert hashlib.sha256(content).hexdigest() == "f3e9abfc024c568383b7078ca805eac91325e550d9946b3d3984902e8ef175a8"


def test_a_seed_draws_other_scenes_and_more_scenes_start_with_the_same() -> None:
    first = DigitScenes(scenes=3).samples()
    assert [sample.read() for sample in DigitScenes(scenes=5).samples()][:3] == [sample.read() for sample in first]
    assert DigitScenes(scenes=3, seed=1).samples()[0].read() != first[0].read()


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


def test_no_digit_is_in_both_parts() -> None:
    parts = [{ink.tobytes() for of_class in digits(part) for ink in of_class} for part in ("training", "test")]
    assert not parts[0] & parts[1]
    assert [len(of_class) for of_class in digits("test")] == [100] * 10
    assert [len(of_class) for of_class in digits("training")] == [400] * 10


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (300, 500)])
def test_png_files_decode_to_what_was_encoded(shape: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    picture = Image.open(io.BytesIO(encode_grey(pixels)))
    picture.load()
    assert picture.format == "PNG"
    assert np.array_equal(np.asarray(picture), pixels)
