"""The task ``imagenet_samples``: the 20 labelled ImageNet pictures inside the PyPI package foolbox."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from orchestrator.contracts import Sample
from tasks.labels import Label
from tasks.packages import ASSETS, VISION, Need, locate
from tasks.pictures import check_pictures, decode, picture_samples

if TYPE_CHECKING:
    from PIL.Image import Image

PACKAGE = "foolbox"
NEEDS = (
    Need("task imagenet_samples", PACKAGE, "pictures", ASSETS),
    Need("task imagenet_samples", "pillow", "decoding", VISION),
)


class ImageNetSamples:
    """Twenty pictures, named ``imagenet_<number>_<class index>.jpg``."""

    metrics: Sequence[str] = ("top1", "top5")

    def check(self) -> None:
        """Raise InputError where the package is missing or a picture broken."""
        check_pictures(self.samples())

    def samples(self) -> Sequence[Sample]:
        """Return the pictures, sorted by name."""
        labels = []
        for path in locate(PACKAGE, "foolbox/data/imagenet_*.jpg"):
            match = re.fullmatch(r"imagenet_\d+_(\d+)", path.stem)
            if match is not None:
                labels.append(Label(path.name, path, int(match[1]), match[1]))
        return picture_samples(labels)

    def decode(self, encoded: bytes) -> Image:
        """Return the picture as RGB."""
        return decode(encoded)
