"""From pictures to the numbers a classifier takes: resize the shorter side, crop the centre, normalise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from orchestrator.contracts import InputError

if TYPE_CHECKING:
    from PIL.Image import Image

INTERPOLATIONS = ("nearest", "box", "bilinear", "hamming", "bicubic", "lanczos")


@dataclass(frozen=True)
class ImageInput:
    """What a classifier was trained on.

    crop_size, resize_size
        side of the square that the network sees, and of the picture's shorter side before cropping, both in pixels.
    interpolation
        Pillow's name of the filter for resizing.
    mean, std
        of red, green and blue, in pixel values 0 to 255.
    """

    crop_size: int
    resize_size: int
    interpolation: str
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        if not 0 < self.crop_size <= self.resize_size:
            raise InputError(
                f"model.resize_size={self.resize_size} must be at least model.input_size={self.crop_size}; raise it",
                "conflict",
                "model.resize_size",
                self.resize_size,
            )
        if self.interpolation not in INTERPOLATIONS:
            raise InputError(
                f"model.interpolation={self.interpolation} must be one of: {', '.join(INTERPOLATIONS)}",
                "unknown",
                "model.interpolation",
                self.interpolation,
            )
        if len(self.mean) != 3 or len(self.std) != 3 or min(self.std) <= 0:
            raise InputError("model.mean and model.std must have three numbers each, those of std above 0; correct them", key="model.mean")

    @classmethod
    def of_fractions(cls, crop_size: int, resize_size: int, interpolation: str, mean: Sequence[float], std: Sequence[float]) -> ImageInput:
        """Return what means and deviations of pixel values between 0 and 1 say."""
        return cls(crop_size, resize_size, interpolation, tuple(255 * value for value in mean), tuple(255 * value for value in std))

    def array(self, pictures: Sequence[Image]) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Return RGB pictures as one float32 array of shape [pictures, 3, crop_size, crop_size]."""
        mean, std = (np.array(values, dtype=np.float32)[:, None, None] for values in (self.mean, self.std))
        batch = np.empty((len(pictures), 3, self.crop_size, self.crop_size), dtype=np.float32)
        for row, picture in zip(batch, pictures, strict=True):
            pixels = np.asarray(self._cropped(picture))
            np.subtract(pixels.transpose(2, 0, 1), mean, out=row)
        batch /= std
        return batch

    def _cropped(self, picture: Image) -> Image:
        from PIL import Image

        width, height = resized(picture.width, picture.height, self.resize_size)
        left, top = round((width - self.crop_size) / 2), round((height - self.crop_size) / 2)
        scaled = picture.resize((width, height), Image.Resampling[self.interpolation.upper()])
        return scaled.crop((left, top, left + self.crop_size, top + self.crop_size))


def channels_last(batch: np.ndarray[Any, np.dtype[Any]]) -> np.ndarray[Any, np.dtype[Any]]:
    """Return pictures as TensorFlow has them: [pictures, height, width, colours] from [pictures, colours, height, width]."""
    return np.ascontiguousarray(batch.transpose(0, 2, 3, 1))


def resized(width: int, height: int, shorter: int) -> tuple[int, int]:
    """Return the size in pixels after scaling the shorter side; the longer one is rounded down, as torchvision does."""
    if width <= height:
        return shorter, int(shorter * height / width)
    return int(shorter * width / height), shorter
