"""Scenes of digits: where each one lies, how large and how bright. The same on every machine and in every version of numpy.

All chance comes from ``random.Random.random``, whose sequence Python guarantees, and from SHAKE-256; all arithmetic is elementwise.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

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


@dataclass(frozen=True)
class Scene:
    """A grey picture uint8 [128, 128], and what is on it: boxes [x, y, width, height] in whole pixels, and digits."""

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
    paper = _between(chance, DARKEST_PAPER, BRIGHTEST_PAPER)
    light = np.full((SCENE_SIDE, SCENE_SIDE), float(paper))
    boxes: list[list[int]] = []
    labels: list[int] = []
    wanted = _between(chance, 1, MOST_DIGITS)
    while len(boxes) < wanted:
        label = _between(chance, 0, len(digits) - 1)
        digit = digits[label][_between(chance, 0, len(digits[label]) - 1)]
        ink = trimmed(scaled(digit, _between(chance, SMALLEST, LARGEST)))
        brightness = _between(chance, FAINTEST_INK, 255)
        height, width = ink.shape
        x, y = _between(chance, 0, SCENE_SIDE - width), _between(chance, 0, SCENE_SIDE - height)
        # A digit that finds no room is drawn anew, so that large ones do not stop the scene.
        if any(_touch((x, y, width, height), box) for box in boxes):
            continue
        light[y : y + height, x : x + width] += (brightness - paper) * (ink / 255.0)
        boxes.append([x, y, width, height])
        labels.append(label)
    light += NOISE * (2.0 * _grain(seed) - 1.0)
    return Scene(np.clip(np.rint(light), 0, 255).astype(np.uint8), boxes, labels)


def scaled(ink: Ink, side: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return a digit of [28, 28] as [side, side], interpolated linearly between the centres of cells."""
    place = np.clip((np.arange(side) + 0.5) * (SIDE / side) - 0.5, 0, SIDE - 1)
    low = np.minimum(place.astype(np.int64), SIDE - 2)
    share = place - low
    rows = ink[low] * (1 - share)[:, None] + ink[low + 1] * share[:, None]
    result: np.ndarray[Any, np.dtype[np.float64]] = rows[:, low] * (1 - share) + rows[:, low + 1] * share
    return result


def trimmed(ink: np.ndarray[Any, np.dtype[np.float64]]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return the part of a digit within the smallest box around its visible ink."""
    rows, columns = np.flatnonzero((ink >= VISIBLE).any(axis=1)), np.flatnonzero((ink >= VISIBLE).any(axis=0))
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _between(chance: Random, low: int, high: int) -> int:
    """Return a whole number, both ends included."""
    return low + int(chance.random() * (high - low + 1))


def _touch(one: Sequence[int], other: Sequence[int]) -> bool:
    return all(one[axis] < other[axis] + other[axis + 2] and other[axis] < one[axis] + one[axis + 2] for axis in (0, 1))


def _grain(seed: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return a number in [0, 1) per pixel."""
    raw = hashlib.shake_256(seed.encode()).digest(SCENE_SIDE**2)
    return np.frombuffer(raw, dtype=np.uint8).reshape(SCENE_SIDE, SCENE_SIDE) / 256.0
