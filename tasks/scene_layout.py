"""Scenes of digits: where each one lies, how large and how bright. The same on every machine and in every version of numpy.

All chance comes from ``random.Random.random``, whose sequence Python guarantees, and from SHAKE-256; all arithmetic is elementwise.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, TypeAlias

import numpy as np

from tasks.mnist_digits import SIDE, Ink

SCENE_SIDE = 128
MOST_DIGITS = 5
SMALLEST, LARGEST = 26, 56
"""Sides in pixels of a digit's square of 28 x 28 cells, after scaling."""
DARKEST_PAPER, BRIGHTEST_PAPER = 0, 90
FAINTEST_INK = 120
NOISE = 12
"""Each pixel is brighter or darker by up to this."""
VISIBLE = 32
"""Ink of at least this much belongs to a digit's box."""

Light: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Scene:
    """A grey picture uint8 [height, width], and what is on it: boxes [x, y, width, height] in whole pixels, and digits."""

    pixels: np.ndarray[Any, np.dtype[np.uint8]]
    boxes: list[list[int]]
    labels: list[int]


def draw_scene(seed: str, digits: Sequence[Sequence[Ink]]) -> Scene:
    """Return the scene of a seed: 1 to 5 digits on noisy paper, whose boxes do not overlap.

    Parameters
    ----------
    seed
        any text; another one draws another scene.
    digits
        the digits to choose from, by class.
    """
    chance = Random(seed)  # noqa: S311 - nothing here is secret
    paper = between(chance, DARKEST_PAPER, BRIGHTEST_PAPER)
    light = np.full((SCENE_SIDE, SCENE_SIDE), float(paper))
    boxes: list[list[int]] = []
    labels: list[int] = []
    wanted = between(chance, 1, MOST_DIGITS)
    while len(boxes) < wanted:
        label, ink, brightness = draw_digit(chance, digits, (SMALLEST, LARGEST), FAINTEST_INK)
        height, width = ink.shape
        x, y = between(chance, 0, SCENE_SIDE - width), between(chance, 0, SCENE_SIDE - height)
        # A digit that finds no room is drawn anew, so that large ones do not stop the scene.
        if any(_touch((x, y, width, height), box) for box in boxes):
            continue
        paint(light, ink, x, y, brightness)
        boxes.append([x, y, width, height])
        labels.append(label)
    return Scene(noisy(light, seed), boxes, labels)


def draw_digit(chance: Random, digits: Sequence[Sequence[Ink]], sides: tuple[int, int], faintest: int) -> tuple[int, Light, int]:
    """Return a class, the ink of one of its digits, trimmed after scaling to a side within these, and a brightness up to 255."""
    label = between(chance, 0, len(digits) - 1)
    digit = digits[label][between(chance, 0, len(digits[label]) - 1)]
    return label, trimmed(scaled(digit, between(chance, *sides))), between(chance, faintest, 255)


def paint(light: Light, ink: Light, x: int, y: int, brightness: int) -> None:
    """Draw ink of 0 to 255 over what is there; ink of 255 has the brightness."""
    height, width = ink.shape
    ground = light[y : y + height, x : x + width]
    ground += (brightness - ground) * (ink / 255.0)


def noisy(light: Light, seed: str) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return square pixels with the noise of a seed."""
    noise = NOISE * (2.0 * (grain(seed, len(light)) / 256.0) - 1.0)
    return np.clip(np.rint(light + noise), 0, 255).astype(np.uint8)


def scaled(ink: Ink, side: int) -> Light:
    """Return a digit of [28, 28] as [side, side], interpolated linearly between the centres of cells."""
    place = np.clip((np.arange(side) + 0.5) * (SIDE / side) - 0.5, 0, SIDE - 1)
    low = np.minimum(place.astype(np.int64), SIDE - 2)
    share = place - low
    rows = ink[low] * (1 - share)[:, None] + ink[low + 1] * share[:, None]
    result: Light = rows[:, low] * (1 - share) + rows[:, low + 1] * share
    return result


def trimmed(ink: Light) -> Light:
    """Return the part of a digit within the smallest box around its visible ink."""
    rows, columns = np.flatnonzero((ink >= VISIBLE).any(axis=1)), np.flatnonzero((ink >= VISIBLE).any(axis=0))
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def between(chance: Random, low: int, high: int) -> int:
    """Return a whole number, both ends included."""
    return low + int(chance.random() * (high - low + 1))


def _touch(one: Sequence[int], other: Sequence[int]) -> bool:
    return all(one[axis] < other[axis] + other[axis + 2] and other[axis] < one[axis] + one[axis + 2] for axis in (0, 1))


def grain(seed: str, side: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return a number from 0 to 255 per pixel of a square."""
    return np.frombuffer(hashlib.shake_256(seed.encode()).digest(side**2), dtype=np.uint8).reshape(side, side)
