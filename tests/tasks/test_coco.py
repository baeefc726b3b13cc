from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from orchestrator.contracts import InputError, Task
from tasks.coco import Coco
from tasks.coco_categories import CATEGORY_IDS

Save = Callable[..., Path]
SHARED = Path(__file__).parents[2].parent / "shared" / "data" / "coco_val2017_32"
DOCUMENT: dict[str, Any] = {
    "images": [
        {"id": 5, "file_name": "b.png", "width": 24, "height": 16},
        {"id": 3, "file_name": "a.jpg", "width": 24, "height": 16},
        {"id": 9, "file_name": "empty.png", "width": 24, "height": 16},
    ],
    "annotations": [
        {"id": 1, "image_id": 5, "category_id": 18, "bbox": [1.5, 2, 10, 12.25], "area": 80.5, "iscrowd": 0},
        {"id": 2, "image_id": 5, "category_id": 90, "bbox": [0, 0, 24.5, 16], "area": 100, "iscrowd": 1},
        {"id": 4, "image_id": 3, "category_id": 18, "bbox": [4, 5, 6, 7]},
    ],
    "categories": [{"id": 18, "name": "dog"}, {"id": 90, "name": "toothbrush"}],
}


@pytest.fixture
def write(tmp_path: Path, save_picture: Save) -> Callable[..., Path]:
    """Return a function that writes three pictures and a JSON, and returns the folder."""

    def build(document: Any = DOCUMENT, pictures: str = ".", table: str = "instances.json") -> Path:
        for name in ("a.jpg", "b.png", "empty.png"):
            save_picture(tmp_path / pictures / name)
        path = tmp_path / table
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(document if isinstance(document, str) else json.dumps(document))
        return tmp_path

    return build


def changed(**changes: Any) -> dict[str, Any]:
    """Return the document with changes such as ``annotations_0_bbox=…``; None removes the key."""
    document = deepcopy(DOCUMENT)
    for place, value in changes.items():
        table, number, key = place.split("_", maxsplit=2)
        entry = document[table][int(number)]
        if value is None:
            del entry[key]
        else:
            entry[key] = value
    return document


def complaint(root: Path) -> str:
    with pytest.raises(InputError) as caught:
        Coco(str(root)).check()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_references_keep_boxes_areas_and_crowds(write: Callable[..., Path]) -> None:
    task = Coco(str(write()))
    task.check()
    assert isinstance(task, Task)
    first, second, third = task.samples()
    assert [sample.name for sample in (first, second, third)] == ["b.png", "a.jpg", "empty.png"]
    assert first.reference == {
        "boxes": [[1.5, 2, 10, 12.25], [0, 0, 24.5, 16]],
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


def test_of_coco_s_own_files_the_validation_set_s_instances_are_taken(write: Callable[..., Path]) -> None:
    root = write(pictures="val2017", table="annotations/instances_val2017.json")
    for other in ("instances_train2017", "captions_val2017", "person_keypoints_val2017"):
        (root / "annotations" / f"{other}.json").write_text("{}")
    Coco(str(root)).check()


def test_pictures_and_annotations_may_be_named(write: Callable[..., Path], tmp_path: Path) -> None:
    write(pictures="here", table="there/boxes.json")
    task = Coco(images=str(tmp_path / "here"), annotations=str(tmp_path / "there" / "boxes.json"))
    task.check()
    assert len(task.samples()) == 3
    mixed = Coco(root=str(tmp_path / "here"), annotations=str(tmp_path / "there" / "boxes.json"))
    assert len(mixed.samples()) == 3


def test_places_that_are_not_there_are_told(write: Callable[..., Path], tmp_path: Path) -> None:
    def told(**places: str) -> str:
        with pytest.raises(InputError) as caught:
            Coco(**places).check()
        return str(caught.value)

    assert "task.root is not set" in told()
    assert "task.root is not set" in told(images=str(tmp_path))
    assert "task.root=nowhere is not a folder" in told(root="nowhere")
    assert "holds no JSON" in told(root=str(tmp_path))
    root = write()
    assert "task.images=nowhere is not a folder" in told(root=str(root), images="nowhere")
    assert "task.annotations=nowhere.json is not a file" in told(root=str(root), annotations="nowhere.json")
    (root / "other.json").write_text("{}")
    assert "several JSON files (instances.json, other.json); choose one with task.annotations=FILE" in told(root=str(root))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"annotations_0_category_id": 12}, "annotation 1: category_id=12 is not among the categories (18, 90); correct it"),
        ({"annotations_0_image_id": 4}, "annotation 1: image_id=4 is not among the images"),
        ({"annotations_1_bbox": [0, 0, 25.5, 16]}, "bbox=[0, 0, 25.5, 16] lies outside its picture b.png of 24 x 16 pixels"),
        ({"annotations_1_bbox": [0, 0, 24, 18]}, "lies outside its picture"),
        ({"annotations_1_bbox": [-1.5, 0, 4, 4]}, "lies outside its picture"),
        ({"annotations_1_bbox": [30, 2, 4, 4]}, "lies outside its picture"),
        ({"annotations_0_bbox": [5, 5, -1, 4]}, "has a negative size"),
        ({"annotations_0_bbox": [5, 5, 1]}, "bbox=[5, 5, 1] must be four numbers"),
        ({"annotations_0_bbox": [5, 5, "1", 4]}, "must be four numbers"),
        ({"annotations_0_bbox": [5, 5, float("nan"), 4]}, "must be four numbers"),
        ({"annotations_0_bbox": None}, "bbox=None must be four numbers"),
        ({"annotations_0_area": -1}, "area=-1 must be a number of square pixels"),
        ({"annotations_0_iscrowd": 2}, "iscrowd=2 must be 0 or 1"),
        ({"annotations_1_id": 1}, "annotations[1]: id=1 is used twice"),
        ({"images_1_id": 5}, "images[1]: id=5 is used twice"),
        ({"categories_1_id": 18}, "categories[1]: id=18 is used twice"),
        ({"images_1_file_name": "b.png"}, "image 3: file_name='b.png' is listed twice"),
        ({"images_1_file_name": "c.jpg"}, "c.jpg does not exist; add the picture or remove its entries"),
        ({"images_0_file_name": "c.jpg"}, "c.jpg does not exist in"),
        ({"images_0_file_name": "../b.png"}, "must be a path relative to the folder of pictures"),
        ({"images_0_file_name": 7}, "file_name=7 must be a path"),
        ({"images_0_width": None}, "width=None must be a whole number of at least 1"),
        ({"images_0_id": "5"}, "images[0]: id='5' must be a whole number"),
        ({"images_0_width": 23}, "b.png has 24 x 16 pixels, but its annotations are for 23 x 16"),
    ],
)
def test_a_bad_entry_is_named(write: Callable[..., Path], changes: dict[str, Any], words: str) -> None:
    changes = changes | ({"annotations_1_bbox": [0, 0, 4, 4]} if "images_0_width" in changes else {})
    assert words in complaint(write(changed(**changes)))


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ("{", "is no JSON"),
        ("[]", "has no list 'images'"),
        ('{"images": [], "annotations": []}', "has no list 'categories'"),
        ('{"images": [], "annotations": [], "categories": []}', "lists no image"),
        ('{"images": [7], "annotations": [], "categories": []}', "images[0]: is no object with an id"),
    ],
)
def test_a_file_of_another_form_is_named(write: Callable[..., Path], document: str, words: str) -> None:
    assert words in complaint(write(document))


def test_a_truncated_picture_is_named(write: Callable[..., Path]) -> None:
    root = write()
    whole = (root / "a.jpg").read_bytes()
    (root / "a.jpg").write_bytes(whole[:-40])
    assert "a.jpg: not a whole picture" in complaint(root)


def test_a_box_may_leave_its_picture_by_a_pixel(write: Callable[..., Path]) -> None:
    Coco(str(write(changed(annotations_0_bbox=[-1, -1, 26, 18])))).check()


def test_coco_has_eighty_categories() -> None:
    assert len(CATEGORY_IDS) == 80
    assert (CATEGORY_IDS[0], CATEGORY_IDS[-1]) == (1, 90)


def test_the_shared_pictures_of_coco_pass() -> None:
    if not SHARED.is_dir():
        pytest.skip(f"{SHARED} is not there")
    task = Coco(str(SHARED))
    task.check()
    samples = task.samples()
    assert len(samples) == 32
    assert sum(len(sample.reference["boxes"]) for sample in samples) == 288
    assert sum(sum(sample.reference["crowd"]) for sample in samples) == 4
    document = json.loads((SHARED / "instances.json").read_text())
    assert [entry["id"] for entry in document["categories"]] == list(CATEGORY_IDS)
