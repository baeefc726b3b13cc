"""What a graph of the NanoDet family answers: at each place of several grids class scores, and how far each edge of the box is.

A distance is a distribution over whole strides (Li et al., "Generalized Focal Loss", arXiv 2006.04388, equation 5): its mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from orchestrator.contracts import InputError
from tasks.boxes import Array


@dataclass(frozen=True)
class Grids:
    """All places of all grids, the finest grid first, row by row.

    centres, strides
        [places, 2] x and y in pixels of the input; [places, 1] pixels between neighbours.
    classes
        number of classes.
    """

    centres: Array
    strides: Array
    classes: int

    def split(self, outputs: Sequence[Array]) -> tuple[Array, Array]:
        """Return class scores [pictures, places, classes] and distributions [pictures, places, 4, bins].

        The graph answers with both per grid, or with one array of both for all grids.

        Raises
        ------
        InputError
            where the shapes are others.
        """
        if not outputs or any(output.ndim != 3 for output in outputs):
            raise self._unlike(outputs)
        half = len(outputs) // 2
        if len(outputs) == 1:
            scores, distances = outputs[0][..., : self.classes], outputs[0][..., self.classes :]
        else:
            # In an export all scores come before all distances, or the two alternate.
            alternating = outputs[0].shape[2] != outputs[1].shape[2]
            pairs = (outputs[::2], outputs[1::2]) if alternating else (outputs[:half], outputs[half:])
            if any(len({output.shape[2] for output in part}) != 1 for part in pairs) or len(pairs[0]) != len(pairs[1]):
                raise self._unlike(outputs)
            scores, distances = (np.concatenate(sorted(part, key=lambda one: -one.shape[1]), axis=1) for part in pairs)
        places, channels = len(self.centres), distances.shape[2]
        if scores.shape[1:] != (places, self.classes) or distances.shape[1] != places or channels < 8 or channels % 4:
            raise self._unlike(outputs)
        return scores, distances.reshape(*distances.shape[:2], 4, channels // 4)

    def corners(self, distances: Array, places: Array) -> Array:
        """Return left, top, right, bottom [n, 4] in pixels of the input, from distributions [n, 4, bins] at some places [n]."""
        weights = np.exp(distances - distances.max(axis=2, keepdims=True))
        reach = weights @ np.arange(distances.shape[2]) / weights.sum(axis=2) * self.strides[places]
        centres = self.centres[places]
        return np.hstack([centres - reach[:, :2], centres + reach[:, 2:]])

    def _unlike(self, outputs: Sequence[Array]) -> InputError:
        shapes = ", ".join(str(list(output.shape)) for output in outputs)
        return InputError(
            f"the graph answers in shapes {shapes}, and a NanoDet of {self.classes} classes has {len(self.centres)} places with "
            f"{self.classes} scores and 4 x bins distances; set model.classes and model.strides to the graph's, or choose another file",
            "conflict",
        )


def make_grids(width: int, height: int, strides: Sequence[int], offset: float, classes: int) -> Grids:
    """Return the grids over an input of this size in pixels; places lie ``offset`` strides from the corners of their cells."""
    centres, steps = [], []
    for stride in strides:
        x, y = ((np.arange(-(-side // stride)) + offset) * stride for side in (width, height))
        grid_y, grid_x = np.meshgrid(y, x, indexing="ij")
        centres.append(np.stack([grid_x.ravel(), grid_y.ravel()], axis=1))
        steps.append(np.full((grid_x.size, 1), float(stride)))
    return Grids(np.concatenate(centres), np.concatenate(steps), classes)
