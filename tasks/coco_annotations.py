"""The instances JSON of a COCO data set: its pictures and the boxes in them, every entry checked."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from orchestrator.contracts import InputError
from tasks.boxes import Size

LISTS = ("images", "annotations", "categories")
TOLERANCE = 1.0
"""Pixels by which a box may leave its picture: outlines are drawn by hand and rounded."""


@dataclass(frozen=True)
class Annotated:
    """One picture: its id and name in the JSON, where it is, its size in pixels as annotated, and the reference (see docs/tasks.md)."""

    identifier: int
    name: str
    path: Path
    size: Size
    reference: dict[str, list[Any]]


def read_annotations(document: Mapping[str, Any], file: Path, folders: Sequence[Path]) -> list[Annotated]:
    """Return the pictures that a JSON lists, in its order.

    Parameters
    ----------
    document
        ``images`` (id, file_name, width, height), ``annotations`` (id, image_id, category_id, bbox; area and iscrowd if wished) and
        ``categories`` (id).
    file
        where they stand, for complaints.
    folders
        those that may hold the pictures; the first that holds the first picture holds them all.

    Raises
    ------
    InputError
        for the first entry that breaks a rule, naming file, entry, value and remedy.
    """
    categories = {identifier for identifier, _ in entries(document, "categories", file)}
    folder: Path | None = None
    pictures: dict[int, Annotated] = {}
    names: set[str] = set()
    for identifier, entry in entries(document, "images", file):
        where = f"{file}: image {identifier}"
        name = _name(entry, where)
        if name in names:
            raise InputError(f"{where}: file_name={name!r} is listed twice; remove one of the two", key="file_name", value=name)
        names.add(name)
        folder = folder or _folder_of(name, where, folders)
        if not (folder / name).is_file():
            raise InputError(
                f"{where}: {folder / name} does not exist; add the picture or remove its entries", "not_found", "file_name", name
            )
        size = (whole(entry, "width", where, least=1), whole(entry, "height", where, least=1))
        pictures[identifier] = Annotated(identifier, name, folder / name, size, {"boxes": [], "labels": [], "areas": [], "crowd": []})
    if not pictures:
        raise InputError(f"{file}: lists no image; choose another file", "no_data", value=file)
    for identifier, entry in entries(document, "annotations", file):
        _add(entry, f"{file}: annotation {identifier}", pictures, categories)
    return list(pictures.values())


def read_document(file: Path) -> dict[str, Any]:
    """Return a JSON object with the lists of COCO's instances files. Raises InputError for any other file."""
    try:
        document: Any = json.loads(file.read_bytes())
    except (ValueError, RecursionError) as error:
        raise InputError(f"{file}: is no JSON ({error}); fetch or write it again", "damaged", value=file) from error
    found: dict[str, Any] = document if isinstance(document, dict) else {}
    require_lists(found, LISTS, file)
    return found


def require_lists(document: Mapping[str, Any], lists: Sequence[str], file: Path) -> None:
    """Raise InputError for the first of these keys that holds no list."""
    for key in lists:
        if not isinstance(document.get(key), list):
            raise InputError(f"{file}: has no list {key!r}; choose a file with the lists {', '.join(lists)}", "missing", key)


def entries(document: Mapping[str, Any], key: str, file: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yield the entries of a list with their ids. Raises InputError for an id that is no whole number, or not the only one."""
    seen: set[int] = set()
    for number, entry in enumerate(document[key]):
        where = f"{file}: {key}[{number}]"
        if not isinstance(entry, dict):
            raise InputError(f"{where}: is no object with an id; correct it", "missing", "id")
        identifier = whole(entry, "id", where)
        if identifier in seen:
            raise InputError(
                f"{where}: id={identifier} is used twice; give each entry of {key} an id of its own", key="id", value=identifier
            )
        seen.add(identifier)
        yield identifier, entry


def _add(entry: Mapping[str, Any], where: str, pictures: Mapping[int, Annotated], categories: set[int]) -> None:
    """Add one annotation to its picture's reference."""
    image, category = whole(entry, "image_id", where), whole(entry, "category_id", where)
    if image not in pictures:
        raise InputError(f"{where}: image_id={image} is not among the images; correct it or add the image", "unknown", "image_id", image)
    if category not in categories:
        known = ", ".join(map(str, sorted(categories)[:5])) + (", …" if len(categories) > 5 else "")
        raise InputError(
            f"{where}: category_id={category} is not among the categories ({known or 'none'}); correct it or add the category",
            "unknown",
            "category_id",
            category,
        )
    box = _box(entry.get("bbox"), where, pictures[image])
    area, crowd = entry.get("area", box[2] * box[3]), entry.get("iscrowd", 0)
    if not _is_number(area) or area < 0:
        raise InputError(
            f"{where}: area={area!r} must be a number of square pixels, 0 or more; correct it or leave it out", key="area", value=area
        )
    if crowd not in (0, 1):
        raise InputError(f"{where}: iscrowd={crowd!r} must be 0 or 1; correct it or leave it out", key="iscrowd", value=crowd)
    for key, value in (("boxes", box), ("labels", category), ("areas", float(area)), ("crowd", int(crowd))):
        pictures[image].reference[key].append(value)


def _box(value: Any, where: str, picture: Annotated) -> list[float]:
    if not isinstance(value, list) or len(value) != 4 or not all(map(_is_number, value)):
        raise InputError(f"{where}: bbox={value!r} must be four numbers [x, y, width, height]; correct it", key="bbox", value=value)
    x, y, width, height = map(float, value)
    if width < 0 or height < 0:
        raise InputError(f"{where}: bbox={value} has a negative size; write it as [x, y, width, height]", key="bbox", value=value)
    if x < -TOLERANCE or y < -TOLERANCE or x + width > picture.size[0] + TOLERANCE or y + height > picture.size[1] + TOLERANCE:
        raise InputError(
            f"{where}: bbox={value} lies outside its picture {picture.name} of {picture.size[0]} x {picture.size[1]} pixels; "
            "write it as [x, y, width, height] in pixels of that picture",
            key="bbox",
            value=value,
        )
    return [x, y, width, height]


def _name(entry: Mapping[str, Any], where: str) -> str:
    name = entry.get("file_name")
    relative = PurePosixPath(name) if isinstance(name, str) else PurePosixPath()
    if not relative.name or relative.is_absolute() or ".." in relative.parts:
        raise InputError(
            f"{where}: file_name={name!r} must be a path relative to the folder of pictures and inside it; correct it",
            key="file_name",
            value=name,
        )
    return relative.as_posix()


def _folder_of(name: str, where: str, folders: Sequence[Path]) -> Path:
    for folder in folders:
        if (folder / name).is_file():
            return folder
    tried = ", ".join(map(str, folders))
    raise InputError(
        f"{where}: {name} does not exist in {tried}; add the picture or set task.images to the folder of pictures",
        "not_found",
        "file_name",
        name,
    )


def whole(entry: Mapping[str, Any], key: str, where: str, least: int | None = None) -> int:
    """Return the whole number of a key. Raises InputError, which begins with ``where``, for anything else."""
    value = entry.get(key)
    if isinstance(value, bool) or not isinstance(value, int) or (least is not None and value < least):
        raise InputError(
            f"{where}: {key}={value!r} must be a whole number{'' if least is None else f' of at least {least}'}; correct it",
            key=key,
            value=value,
        )
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
