"""The task ``coco``: pictures with boxes around objects, in the form of the COCO data set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from orchestrator.contracts import InputError, Sample
from tasks.boxes import METRICS, objects_group
from tasks.coco_annotations import Annotated, read_annotations, read_document
from tasks.coco_folders import find_files
from tasks.packages import USER, VISION, Need
from tasks.pictures import check_picture, decode

if TYPE_CHECKING:
    from PIL.Image import Image

NEEDS = (
    Need("task coco", "your folder: task.root", "pictures and boxes", USER),
    Need("task coco", "pillow", "decoding", VISION),
)


class Coco:
    """Pictures and the instances JSON below ``root``, or in the folder ``images`` and the file ``annotations``.

    ``split`` chooses of COCO's own annotations below ``root``: ``val2017``. ``sort_by`` is the order of the samples, and so which pictures
    share a batch: by ascending ``id``, or as in the JSON where it is None.
    """

    metrics: Sequence[str] = METRICS

    def __init__(
        self,
        root: str | None = None,
        images: str | None = None,
        annotations: str | None = None,
        split: str | None = None,
        sort_by: str | None = None,
    ) -> None:
        self._places = (root, images, annotations, split)
        self._sort_by = sort_by
        self._read: list[Annotated] = []

    def check(self) -> None:
        """Raise InputError for bad annotations, a missing or broken picture, or one of another size than its annotations say."""
        from PIL import Image

        for annotated in self._pictures():
            check_picture(annotated.path)
            with Image.open(annotated.path) as picture:
                size = picture.size
            if size != annotated.size:
                raise InputError(
                    f"{annotated.path} has {size[0]} x {size[1]} pixels, but its annotations are for {annotated.size[0]} x "
                    f"{annotated.size[1]}; put the picture there that was annotated",
                    "incomparable",
                    value=annotated.path,
                )

    def samples(self) -> Sequence[Sample]:
        """Return the pictures in the order of ``sort_by``, those without an object too."""
        return [self._sample(annotated) for annotated in self._pictures()]

    def decode(self, encoded: bytes) -> Image:
        """Return the picture as RGB."""
        return decode(encoded)

    def _pictures(self) -> list[Annotated]:
        if not self._read:
            if self._sort_by not in (None, "id"):
                raise InputError(
                    f"task.sort_by={self._sort_by} must be id, or null for the order of the JSON; correct it",
                    key="task.sort_by",
                    value=self._sort_by,
                )
            file, folders = find_files(*self._places)
            self._read = read_annotations(read_document(file), file, folders)
            if self._sort_by == "id":
                self._read.sort(key=lambda annotated: annotated.identifier)
        return self._read

    def _sample(self, annotated: Annotated) -> Sample:
        group = objects_group(len(annotated.reference["labels"]))
        return Sample(annotated.name, annotated.reference, group, {"objects": group}, path=annotated.path)
