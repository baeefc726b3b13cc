import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from pictures import save_picture
from refusals import refused

from tasks.coco import Coco
from tasks.video import Video

DOCUMENT: dict[str, Any] = {
    "images": [
        {"id": 5, "file_name": "b.png", "width": 24, "height": 16},
        {"id": 3, "file_name": "a.jpg", "width": 24, "height": 16},
        {"id": 9, "file_name": "empty.png", "width": 24, "height": 16},
    ],
    "annotations": [
        {"id": 1, "image_id": 5, "category_id": 18, "bbox": [1.5, 2, 10, 12.25], "area": 80.5, "iscrowd": 0},
        {"id": 2, "image_id": 5, "category_id": 90, "bbox": [-1, -1, 26, 18], "area": 100, "iscrowd": 1},
        {"id": 4, "image_id": 3, "category_id": 18, "bbox": [4, 5, 6, 7]},
    ],
    "categories": [{"id": 18, "name": "dog"}, {"id": 90, "name": "toothbrush"}],
}
PLACES = [(1, 7), (0, 1), (1, 5)]  # video and frame of each picture
VIDEO = DOCUMENT | {
    "images": [
        picture | {"video_id": video, "frame_id": frame} for picture, (video, frame) in zip(DOCUMENT["images"], PLACES, strict=True)
    ],
    "videos": [{"id": 0, "name": "north"}, {"id": 1, "file_name": "south"}],
}
ARGOVERSE = DOCUMENT | {
    "images": [
        {"id": picture["id"], "name": picture["file_name"], "width": 24, "height": 16, "sid": video, "fid": frame}
        for picture, (video, frame) in zip(DOCUMENT["images"], PLACES, strict=True)
    ],
    "sequences": ["north", "south"],
    "seq_dirs": [".", "."],
}


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes three pictures and a JSON, and returns the folder."""

    def build(document: Any = DOCUMENT, pictures: str = ".", table: str = "instances.json") -> Path:
        for name in ("a.jpg", "b.png", "empty.png"):
            save_picture(tmp_path / pictures / name)
        path = tmp_path / table
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(document if isinstance(document, str) else json.dumps(document))
        return tmp_path

    return build


def changed(document: Any = DOCUMENT, **changes: Any) -> dict[str, Any]:
    """Return the document with changes such as ``annotations_0_bbox=…``; None removes the key."""
    document = deepcopy(document)
    for place, value in changes.items():
        table, number, key = place.split("_", maxsplit=2)
        entry = document[table][int(number)]
        if value is None:
            del entry[key]
        else:
            entry[key] = value
    return document


def test_references_keep_boxes_areas_and_crowds(write: Callable[..., Path]) -> None:
    task = Coco(str(write()))
    first, second, third = task.samples()
    assert [sample.name for sample in (first, second, third)] == ["b.png", "a.jpg", "empty.png"]
    assert first.reference == {
        "boxes": [[1.5, 2, 10, 12.25], [-1, -1, 26, 18]],
        "labels": [18, 90],
        "areas": [80.5, 100],
        "crowd": [0, 1],
    }
    assert second.reference == {"boxes": [[4, 5, 6, 7]], "labels": [18], "areas": [42], "crowd": [0]}
    assert third.reference == {"boxes": [], "labels": [], "areas": [], "crowd": []}
    assert [sample.slices for sample in (first, third)] == [{"objects": "1-4"}, {"objects": "none"}]
    assert task.decode(first.read()).size == (24, 16)


@pytest.mark.parametrize(
    ("pictures", "table"),
    [
        ("val2017", "annotations/instances_val2017.json"),
        ("images/val2017", "annotations/instances_val2017.json"),
        ("images", "instances.json"),
        ("images", "annotations/instances_mine.json"),
        (".", "whatever.json"),
        ("val", "instances_val.json"),
    ],
)
def test_usual_layouts_are_found(write: Callable[..., Path], pictures: str, table: str) -> None:
    root = write(pictures=pictures, table=table)
    task = Coco(str(root))
    task.check()
    assert task.samples()[0].path == root / pictures / "b.png"


@pytest.mark.parametrize("key", ["images", "root"])
def test_pictures_and_annotations_may_be_named(write: Callable[..., Path], tmp_path: Path, key: str) -> None:
    write(pictures="here", table="there/boxes.json")
    task = Coco(**{key: str(tmp_path / "here")}, annotations=str(tmp_path / "there" / "boxes.json"))
    assert len(task.samples()) == 3


def test_places_that_are_not_there_are_refused(write: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    root = str(write())
    for places, code, key in (
        ({}, "missing", "task.root"),
        ({"images": root}, "missing", "task.root"),
        ({"root": "nowhere"}, "not_found", "task.root"),
        ({"root": str(tmp_path / "empty")}, "not_found", "task.root"),
        ({"root": root, "images": "nowhere"}, "not_found", "task.images"),
        ({"root": root, "annotations": "nowhere.json"}, "not_found", "task.annotations"),
    ):
        with refused(code, key):
            Coco(**places).check()
    (tmp_path / "other.json").write_text("{}")
    with refused("missing", "task.annotations"):
        Coco(root).check()


@pytest.mark.parametrize(
    ("changes", "code", "key"),
    [
        ({"annotations_0_category_id": 12}, "unknown", "category_id"),
        ({"annotations_0_image_id": 4}, "unknown", "image_id"),
        ({"annotations_1_bbox": [0, 0, 25.5, 16]}, "invalid", "bbox"),
        ({"annotations_1_bbox": [0, 0, 24, 18]}, "invalid", "bbox"),
        ({"annotations_1_bbox": [-1.5, 0, 4, 4]}, "invalid", "bbox"),
        ({"annotations_1_bbox": [30, 2, 4, 4]}, "invalid", "bbox"),
        ({"annotations_0_bbox": [5, 5, -1, 4]}, "invalid", "bbox"),
        ({"annotations_0_bbox": [5, 5, 1]}, "invalid", "bbox"),
        ({"annotations_0_bbox": [5, 5, "1", 4]}, "invalid", "bbox"),
        ({"annotations_0_bbox": None}, "invalid", "bbox"),
        ({"annotations_0_area": -1}, "invalid", "area"),
        ({"annotations_0_iscrowd": 2}, "invalid", "iscrowd"),
        ({"annotations_1_id": 1}, "invalid", "id"),
        ({"images_1_id": 5}, "invalid", "id"),
        ({"categories_1_id": 18}, "invalid", "id"),
        ({"images_1_file_name": "b.png"}, "invalid", "file_name"),
        ({"images_1_file_name": "c.jpg"}, "not_found", "file_name"),
        ({"images_0_file_name": "c.jpg"}, "not_found", "file_name"),
        ({"images_0_file_name": "../b.png"}, "invalid", "file_name"),
        ({"images_0_file_name": 7}, "invalid", "file_name"),
        ({"images_0_width": None}, "invalid", "width"),
        ({"images_0_id": "5"}, "invalid", "id"),
    ],
)
def test_a_bad_entry_is_refused_by_its_key_and_value(write: Callable[..., Path], changes: dict[str, Any], code: Any, key: str) -> None:
    root = write(changed(**changes))
    with refused(code, key, next(iter(changes.values()))):
        Coco(str(root)).check()


@pytest.mark.parametrize(
    ("document", "code", "key"),
    [
        ("{", "damaged", ""),
        ("[]", "missing", "images"),
        ('{"images": [], "annotations": []}', "missing", "categories"),
        ('{"images": [], "annotations": [], "categories": []}', "no_data", ""),
        ('{"images": [7], "annotations": [], "categories": []}', "missing", "id"),
        (changed(images_0_width=23, annotations_1_bbox=[0, 0, 4, 4]), "incomparable", ""),
    ],
)
def test_a_file_of_another_form_is_refused(write: Callable[..., Path], document: Any, code: Any, key: str) -> None:
    root = write(document)
    with refused(code, key):
        Coco(str(root)).check()


def test_a_truncated_picture_is_refused(write: Callable[..., Path]) -> None:
    root = write()
    (root / "a.jpg").write_bytes((root / "a.jpg").read_bytes()[:-40])
    with refused("damaged", value=root / "a.jpg"):
        Coco(str(root)).check()


@pytest.mark.parametrize(
    ("document", "labels"),
    [
        (VIDEO, [18, 90]),
        (ARGOVERSE, [18, 90]),
        (
            changed(ARGOVERSE, annotations_0_category_id=0, annotations_1_category_id=1, annotations_2_category_id=0)
            | {"categories": [{"id": 0, "name": "person"}, {"id": 1, "name": "stop_sign"}], "coco_subset": [0, 11]},
            [1, 13],
        ),
    ],
    ids=["coco", "argoverse", "argoverse with COCO's classes"],
)
def test_frames_stand_in_the_order_of_their_numbers_video_by_video(write: Callable[..., Path], document: Any, labels: list[int]) -> None:
    alone = {sample.name: sample for sample in Coco(str(write())).samples()}
    root = str(write(document))
    samples = Video(root).samples()
    assert [(sample.name, sample.slices["sequence"]) for sample in samples] == [
        ("empty.png", "south"),
        ("b.png", "south"),
        ("a.jpg", "north"),
    ]
    assert samples[1].reference == alone["b.png"].reference | {"labels": labels}
    assert [sample.name for sample in Video(root, sequences=1, frames=1).samples()] == ["empty.png"]


@pytest.mark.parametrize(
    ("document", "code", "key"),
    [
        (DOCUMENT, "missing", "videos"),
        (changed(VIDEO, images_0_video_id=2), "unknown", "video_id"),
        (changed(VIDEO, images_0_frame_id=None), "invalid", "frame_id"),
        (changed(VIDEO, images_0_frame_id=5), "invalid", "frame_id"),  # twice the same
        (changed(VIDEO, images_1_video_id=1), "invalid", "frame_id"),  # 1, 5, 7
        (changed(VIDEO, videos_0_name="south"), "invalid", "name"),
        (changed(ARGOVERSE, images_0_sid=2), "unknown", "sid"),
        (changed(ARGOVERSE, images_0_sid=-1), "invalid", "sid"),
        (changed(ARGOVERSE, images_0_fid="7"), "invalid", "fid"),
        (changed(ARGOVERSE, images_0_name="../b.png"), "invalid", "file_name"),
        (ARGOVERSE | {"seq_dirs": ["/etc", ".."]}, "invalid", "file_name"),
        (ARGOVERSE | {"sequences": None}, "missing", "sequences"),
        (ARGOVERSE | {"sequences": ["north"]}, "unknown", "video_id"),
        (ARGOVERSE | {"coco_subset": [0, 80]}, "invalid", "coco_subset"),
        (ARGOVERSE | {"coco_subset": [0, 2]}, "invalid", "coco_subset"),  # its categories are 18 and 90
    ],
)
def test_frames_without_a_place_in_time_are_refused(write: Callable[..., Path], document: Any, code: Any, key: str) -> None:
    root = write(document)
    with refused(code, key):
        Video(str(root)).check()
