"""What the detector of digit scenes should answer at each place of its grid."""

from __future__ import annotations

from typing import Any

import numpy as np

from tasks.models.scene_network import CLASSES, PLACES, STRIDE
from tasks.scene_layout import Scene

NEAR = 0.75 * STRIDE
"""Places at most this far from a box's centre, along both axes, answer for it: one to four places per box."""

Targets = tuple[np.ndarray[Any, np.dtype[np.bool_]], np.ndarray[Any, np.dtype[np.float32]], np.ndarray[Any, np.dtype[np.float32]]]


def targets(scene: Scene) -> Targets:
    """Return, for each of 256 places row by row, whether it answers for a box, 0 or 1 per class, and its box's corners in pixels.

    A place that is near several boxes answers for the nearest. Shapes: [256], [256, 10], [256, 4].
    """
    x, y, width, height = np.array(scene.boxes, dtype=np.float32).T
    corners = np.stack([x, y, x + width, y + height], axis=1)
    centres = (np.arange(PLACES, dtype=np.float32) + 0.5) * STRIDE
    place_y, place_x = (grid.ravel()[:, None] for grid in np.meshgrid(centres, centres, indexing="ij"))
    distance = np.maximum(np.abs(place_x - (x + width / 2)), np.abs(place_y - (y + height / 2)))
    nearest = distance.argmin(axis=1)
    holds = distance.min(axis=1) <= NEAR
    classes = np.zeros((PLACES**2, CLASSES), dtype=np.float32)
    classes[holds, np.array(scene.labels)[nearest[holds]]] = 1
    return holds, classes, corners[nearest]
