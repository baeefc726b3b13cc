"""The task ``video``: frames of videos with boxes around objects, in the form of Argoverse-HD or of COCO's files for videos (CocoVID)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from orchestrator.contracts import InputError, Sample, by_key
from tasks.coco import Coco
from tasks.coco_annotations import Annotated, entries, read_annotations, read_document, require_lists, whole
from tasks.coco_categories import CATEGORY_IDS
from tasks.coco_folders import find_files
from tasks.packages import USER, VISION, Need

NEEDS = (
    Need("task video", "your folder: task.root", "frames and boxes", USER),
    Need("task video", "pillow", "decoding", VISION),
)


class Video(Coco):
    """Frames and one JSON below ``root``, or in the folder ``images`` and the file ``annotations``.

    Samples are the videos one after the other, each by rising number of its frames; ``sequences`` and ``frames`` take the first so many.
    """

    def __init__(
        self,
        root: str | None = None,
        images: str | None = None,
        annotations: str | None = None,
        sequences: int | None = None,
        frames: int | None = None,
    ) -> None:
        super().__init__(root, images, annotations)
        self._most = (sequences, frames)
        self._sequence_of: dict[int, str] = {}

    def _pictures(self) -> list[Annotated]:
        if not self._read:
            file, folders = find_files(*self._places)
            document = as_coco_video(read_document(file), file)
            require_lists(document, ["videos"], file)
            names = video_names(document, file)
            pictures = read_annotations(document, file, folders)
            relabel(pictures, document, file)
            places = [frame_place(entry, names, file) for entry in document["images"]]
            sequences, frames = self._most
            for video, members in list(by_key(zip(places, pictures, strict=True), lambda member: member[0][0]).items())[:sequences]:
                members.sort(key=lambda member: member[0])
                steps = {later[0][1] - earlier[0][1] for earlier, later in pairwise(members)}
                if len(steps) > 1 or 0 in steps:
                    raise InputError(
                        f"{file}: the frames of {names[video]} must be equally far apart, but their numbers differ by "
                        f"{', '.join(map(str, sorted(steps)))}; add the missing frames or remove the surplus ones",
                        key="frame_id",
                        value=names[video],
                    )
                self._read += [picture for _, picture in members[:frames]]
                self._sequence_of |= {picture.identifier: names[video] for _, picture in members}
        return self._read

    def _sample(self, annotated: Annotated) -> Sample:
        sample, sequence = super()._sample(annotated), self._sequence_of[annotated.identifier]
        return replace(sample, stratum=sequence, slices={**sample.slices, "sequence": sequence})


def as_coco_video(document: dict[str, Any], file: Path) -> dict[str, Any]:
    """Return a document of Argoverse-HD in the form of COCO's files for videos, and any other one as it is.

    Argoverse-HD names a picture's video, number and file as ``sid``, ``fid`` and ``name``; ``sequences`` and ``seq_dirs`` have the name
    and the folder of each ``sid``. Li et al., "Towards Streaming Perception", arXiv 2005.10420, and its program at github.com/mtli/sAP.
    """
    if "seq_dirs" not in document:
        return document
    require_lists(document, ["sequences", "seq_dirs"], file)
    folders, images = document["seq_dirs"], []
    for identifier, entry in entries(document, "images", file):
        where = f"{file}: image {identifier}"
        video = whole(entry, "sid", where, least=0)
        if video >= len(folders):
            raise InputError(f"{where}: sid={video} has no folder among seq_dirs; correct it or add the folder", "unknown", "sid", video)
        place = {"file_name": f"{folders[video]}/{entry.get('name')}", "video_id": video, "frame_id": whole(entry, "fid", where)}
        images.append({**entry, **place})
    videos = [{"id": number, "name": name} for number, name in enumerate(document["sequences"])]
    return {**document, "images": images, "videos": videos}


def video_names(document: Mapping[str, Any], file: Path) -> dict[int, str]:
    """Return the name of each video by its id. Raises InputError for a name that is used twice."""
    videos = entries(document, "videos", file)
    names = {identifier: str(entry.get("name", entry.get("file_name", identifier))) for identifier, entry in videos}
    for name, same in by_key(names, names.__getitem__).items():
        if len(same) > 1:
            raise InputError(f"{file}: {len(same)} videos are called {name!r}; give each a name of its own", key="name", value=name)
    return names


def relabel(pictures: Sequence[Annotated], document: Mapping[str, Any], file: Path) -> None:
    """Give boxes COCO's category ids, which COCO's detectors answer, where ``coco_subset`` says which of COCO's 80 classes each id is.

    Raises
    ------
    InputError
        unless it lists one of them for each category, whose ids are 0, 1 and so on.
    """
    classes = document.get("coco_subset")
    if classes is None:
        return
    identifiers = sorted(identifier for identifier, _ in entries(document, "categories", file))
    known = isinstance(classes, list) and all(isinstance(number, int) and 0 <= number < len(CATEGORY_IDS) for number in classes)
    if not known or identifiers != list(range(len(classes))):
        raise InputError(
            f"{file}: coco_subset={classes} must name one of COCO's {len(CATEGORY_IDS)} classes, from 0, for each category; correct it or "
            "leave it out",
            key="coco_subset",
            value=classes,
        )
    for picture in pictures:
        labels = picture.reference["labels"]
        labels[:] = [CATEGORY_IDS[classes[label]] for label in labels]


def frame_place(entry: Mapping[str, Any], names: Mapping[int, str], file: Path) -> tuple[int, int]:
    """Return the video's id and the frame's number of an image. Raises InputError for a video that is not listed."""
    where = f"{file}: image {entry['id']}"
    video = whole(entry, "video_id", where)
    if video not in names:
        raise InputError(f"{where}: video_id={video} is not among the videos; correct it or add the video", "unknown", "video_id", video)
    return video, whole(entry, "frame_id", where)
