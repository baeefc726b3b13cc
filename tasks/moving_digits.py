"""The task ``moving_digits``: handwritten digits that move over textured ground. Each sequence is a video, with the truth of every frame.

The digits are real, from MNIST. All chance and arithmetic are those of ``scene_layout``, so that frames are the same on every machine.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import sqrt
from random import Random

from orchestrator.contracts import Sample
from tasks.digit_scenes import DigitScenes, scene_sample
from tasks.mnist_digits import PACKAGE, SIDE, Ink, digits
from tasks.packages import ASSETS, VISION, Need
from tasks.scene_layout import Light, Scene, between, draw_digit, grain, noisy, paint, scaled

FRAME_SIDE = 640
FEWEST, MOST = 4, 8
"""Digits of a sequence."""
SMALLEST, LARGEST = 32, 64
"""Sides in pixels of a digit's square of 28 x 28 cells, after scaling."""
BRIGHTEST_GROUND = 60
FAINTEST_INK = 130
MOST_SEQUENCES = MOST_FRAMES = 1000
"""A slice has at most so many groups."""
NEEDS = (
    Need("task moving_digits", PACKAGE, "digits", ASSETS),
    Need("task moving_digits", "pillow", "decoding", VISION),
)


class MovingDigits(DigitScenes):
    """``sequences`` videos of ``frames`` frames, in which each digit moves ``speed`` pixels a frame and bounces off the edges."""

    def __init__(self, sequences: int = 8, frames: int = 30, speed: float = 2.0, seed: int = 0) -> None:
        super().__init__(seed=seed)
        self._ranges |= {"sequences": (sequences, 1, MOST_SEQUENCES), "frames": (frames, 1, MOST_FRAMES)}
        self._sequences = sequences
        self._frames = frames
        self._speed = speed

    def _draw(self) -> Iterator[Sample]:
        for number in range(self._sequences):
            name = f"sequence-{number:03}"
            for frame, scene in enumerate(draw_video(f"moving {self._seed} {number}", digits("test"), self._frames, self._speed)):
                sample = scene_sample(f"{name}/frame-{frame:05}.png", scene)
                yield replace(sample, stratum=name, slices={**sample.slices, "sequence": name})


@dataclass(frozen=True)
class Mover:
    """A digit's class, its ink and brightness, and along both axes its first place, its step per frame and how far it may go."""

    label: int
    ink: Light
    brightness: int
    axes: Sequence[tuple[float, float, int]]

    def place(self, frame: int) -> list[int]:
        """Return its left and top in whole pixels: it turns back at the edges."""
        turns = [(start + step * frame, room) for start, step, room in self.axes]
        return [int(min(way % (2 * room), -way % (2 * room)) + 0.5) for way, room in turns]


def draw_video(seed: str, digits: Sequence[Sequence[Ink]], frames: int, speed: float) -> Iterator[Scene]:
    """Yield the frames of a seed: 4 to 8 digits on ground that stays, each in a direction of its own; a later one hides an earlier one.

    Parameters
    ----------
    seed
        any text; another one draws another video. ``frames`` and ``speed`` change neither ground nor digits.
    digits
        the digits to choose from, by class.
    speed
        pixels a frame.
    """
    chance = Random(seed)  # noqa: S311 - nothing here is secret
    ground = scaled(grain(seed, SIDE), FRAME_SIDE) * (BRIGHTEST_GROUND / 255)
    movers = [_mover(chance, digits, speed) for _ in range(between(chance, FEWEST, MOST))]
    for frame in range(frames):
        light = ground.copy()
        boxes = [[*mover.place(frame), *reversed(mover.ink.shape)] for mover in movers]
        for mover, (x, y, _, _) in zip(movers, boxes, strict=True):
            paint(light, mover.ink, x, y, mover.brightness)
        yield Scene(noisy(light, f"{seed} {frame}"), boxes, [mover.label for mover in movers])


def _mover(chance: Random, digits: Sequence[Sequence[Ink]], speed: float) -> Mover:
    label, ink, brightness = draw_digit(chance, digits, (SMALLEST, LARGEST), FAINTEST_INK)
    across = 2 * chance.random() - 1
    steps = across * speed, sqrt(1 - across * across) * speed * (1 if chance.random() < 0.5 else -1)
    rooms = [FRAME_SIDE - side for side in reversed(ink.shape)]
    return Mover(label, ink, brightness, [(chance.random() * room, step, room) for step, room in zip(steps, rooms, strict=True)])
