"""Where the pictures and the annotations of a COCO data set lie."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from orchestrator.contracts import InputError

PREFERRED = "instances_val2017.json"
"""Of COCO's own annotations those that models are compared on."""


def find_files(root: str | None, images: str | None, annotations: str | None, split: str | None) -> tuple[Path, Sequence[Path]]:
    """Return the file of annotations and the folders that may hold the pictures, the likeliest first.

    ``split`` names those of COCO's own annotations that are meant, unless ``annotations`` does.

    Raises
    ------
    InputError
        where something is missing, or ``root`` holds several files that could be meant.
    """
    folder = _folder("root", root) if root else None
    if folder is None and not (images and annotations):
        raise InputError(
            "task.root is not set and must name the folder with pictures and annotations; add task.root=DIR, or both "
            "task.images=DIR and task.annotations=FILE",
            "missing",
            "task.root",
        )
    if annotations:
        file = Path(annotations).expanduser()
        if not file.is_file():
            raise InputError(f"task.annotations={file} is not a file; set it to the instances JSON", "not_found", "task.annotations", file)
    else:
        assert folder is not None
        file = _only_json(folder) if split is None else _of_split(folder, split)
    if images:
        return file, [_folder("images", images)]
    assert folder is not None
    part = file.stem.removeprefix("instances_")
    return file, [folder / part, folder / "images" / part, folder / "images", folder]


def _folder(key: str, value: str) -> Path:
    folder = Path(value).expanduser()
    if not folder.is_dir():
        raise InputError(f"task.{key}={folder} is not a folder; set it to the folder with the pictures", "not_found", f"task.{key}", folder)
    return folder


def _of_split(folder: Path, split: str) -> Path:
    name = f"instances_{split}.json"
    found = [file for file in (folder / "annotations" / name, folder / name) if file.is_file()]
    if not found:
        raise InputError(
            f"task.split={split}: {folder} holds no annotations/{name}; choose another split, or set it to null",
            "not_found",
            "task.split",
            split,
        )
    return found[0]


def _only_json(folder: Path) -> Path:
    found = sorted(folder.glob("*.json")) or sorted(folder.glob("annotations/instances*.json")) or sorted(folder.glob("annotations/*.json"))
    preferred = [file for file in found if file.name == PREFERRED] or found
    if not preferred:
        raise InputError(
            f"task.root={folder} holds no JSON, nor does its folder annotations; set task.annotations to the instances JSON",
            "not_found",
            "task.root",
            folder,
        )
    if len(preferred) > 1:
        names = ", ".join(file.relative_to(folder).as_posix() for file in preferred)
        raise InputError(
            f"task.root={folder} holds several JSON files ({names}); choose one with task.annotations=FILE", "missing", "task.annotations"
        )
    return preferred[0]
