"""The task ``digit_scenes``: pictures of 1 to 5 handwritten digits. The digits are real, from MNIST; where they lie is made up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from orchestrator.contracts import InputError, Sample
from tasks.boxes import METRICS, objects_group
from tasks.mnist_digits import PACKAGE, digits
from tasks.packages import ASSETS, VISION, Need
from tasks.pictures import decode
from tasks.png import encode_grey
from tasks.scene_layout import Scene, draw_scene

if TYPE_CHECKING:
    from PIL.Image import Image

MOST_SCENES = 100_000
NEEDS = (
    Need("task digit_scenes", PACKAGE, "digits", ASSETS),
    Need("task digit_scenes", "pillow", "decoding", VISION),
)


class DigitScenes:
    """``scenes`` pictures of test digits; another ``seed`` gives others. A label is the digit itself, 0 to 9."""

    metrics: Sequence[str] = METRICS

    def __init__(self, scenes: int = 400, seed: int = 0) -> None:
        self._ranges = {"scenes": (scenes, 1, MOST_SCENES), "seed": (seed, 0, 2**63)}
        self._scenes = scenes
        self._seed = seed
        self._samples: list[Sample] = []

    def check(self) -> None:
        """Raise InputError for a number of pictures that is none, and where the package with the digits is missing."""
        for name, (value, low, high) in self._ranges.items():
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                raise InputError(
                    f"task.{name}={value} must be a whole number from {low} to {high}; correct it", key=f"task.{name}", value=value
                )
        digits("test")

    def samples(self) -> Sequence[Sample]:
        """Return the pictures as PNG files in memory."""
        if not self._samples:
            self.check()
            self._samples = list(self._draw())
        return self._samples

    def decode(self, encoded: bytes) -> Image:
        """Return the picture as RGB."""
        return decode(encoded)

    def _draw(self) -> Iterator[Sample]:
        for number in range(self._scenes):
            yield scene_sample(f"scene-{number:05}.png", draw_scene(f"test {self._seed} {number}", digits("test")))


def scene_sample(name: str, scene: Scene) -> Sample:
    """Return the sample of a scene, in the group of its number of digits."""
    group = objects_group(len(scene.labels))
    reference = {"boxes": scene.boxes, "labels": scene.labels}
    return Sample(name, reference, group, {"objects": group}, payload=encode_grey(scene.pixels))
