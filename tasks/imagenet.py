"""The task ``imagenet``: pictures in a folder of the user's own, each with the index of its class."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.contracts import InputError, Sample
from tasks.labels import LABEL_FILE, read_class_folders, read_label_file
from tasks.packages import USER, VISION, Need
from tasks.pictures import check_pictures, decode, picture_samples

if TYPE_CHECKING:
    from PIL.Image import Image

NEEDS = (
    Need("task imagenet", "your folder: task.root", "pictures", USER),
    Need("task imagenet", "pillow", "decoding", VISION),
)


class ImageNet:
    """Pictures below ``root``: those that ``labels.csv`` lists, or else all in one folder per class, as in torchvision.

    ``split`` is a folder below ``root`` that holds them in its place, such as ``val``. Without ``class_count`` there may be any number of
    classes; ``top5`` takes at least five.
    """

    def __init__(
        self, root: str | None, class_count: int | None, split: str | None = None, metrics: Sequence[str] = ("top1", "top5")
    ) -> None:
        self.metrics = metrics
        self._root = root
        self._split = split
        self._class_count = class_count

    def check(self) -> None:
        """Raise InputError for a bad label, a missing file or a broken picture."""
        check_pictures(self.samples())

    def samples(self) -> Sequence[Sample]:
        """Return the pictures in the order of the table, or sorted by folder and name."""
        root = self._folder()
        table = root / LABEL_FILE
        labels = read_label_file(table, self._class_count) if table.is_file() else read_class_folders(root, self._class_count)
        return picture_samples(labels)

    def decode(self, encoded: bytes) -> Image:
        """Return the picture as RGB."""
        return decode(encoded)

    def _folder(self) -> Path:
        if not self._root:
            raise InputError("task.root is not set and must name the folder with the pictures; add task.root=DIR", "missing", "task.root")
        root = Path(self._root).expanduser()
        if not root.is_dir():
            raise InputError(f"task.root={root} is not a folder; set it to the folder with the pictures", "not_found", "task.root", root)
        if self._split is None:
            return root
        if not (root / self._split).is_dir():
            raise InputError(
                f"task.split={self._split}: {root} has no such folder; set it to the one with the pictures, or to null",
                "not_found",
                "task.split",
                self._split,
            )
        return root / self._split
