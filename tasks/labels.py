"""Which class each picture of a folder belongs to: from ``labels.csv``, or from one folder per class."""

from __future__ import annotations

import csv
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from orchestrator.contracts import Code, InputError

LABEL_FILE = "labels.csv"
COLUMNS = ("file", "class_index")
NAME = "class_name"
PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp"})


@dataclass(frozen=True)
class Label:
    """One labelled picture: its name relative to the data's folder, where it is, and its class.

    ``groups`` are what further columns of the table say of it, by the name of the column.
    """

    file: str
    path: Path
    class_index: int
    class_name: str
    groups: Mapping[str, str] = field(default_factory=dict)


def class_names(labels: Sequence[Label]) -> dict[int, str]:
    """Return a name per class index; a name that several classes share gets the index beside it."""
    names = {label.class_index: label.class_name for label in labels}
    shared = Counter(names.values())
    return {index: name if shared[name] == 1 else f"{name} ({index})" for index, name in names.items()}


def read_class_folders(root: Path, class_count: int | None) -> list[Label]:
    """Return the pictures below one folder per class; the sorted folder names are the classes 0 to ``class_count - 1``.

    Without a ``class_count`` there may be any number of folders, and where all their names are whole numbers, these are the classes.

    Raises
    ------
    InputError
        where the number of folders is another, since then the indices would be those of other classes. Empty folders count.
    """
    folders = sorted(entry for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    if not folders:
        raise InputError(
            f"{root} has neither {LABEL_FILE} nor one folder per class; set task.root to a folder that has one",
            "not_found",
            "task.root",
            root,
        )
    if class_count is not None and len(folders) != class_count:
        raise InputError(
            f"{root} has {len(folders)} class folders and must have task.classes={class_count}, because the sorted folders are the class "
            f"indices; set task.classes={len(folders)} if these are all, add the missing ones (they may be empty), or list the pictures in "
            f"{LABEL_FILE}",
            key="task.classes",
            value=class_count,
        )
    numbered = class_count is None and all(folder.name.isdecimal() for folder in folders)
    labels = [
        Label(path.relative_to(root).as_posix(), path, int(folder.name) if numbered else index, folder.name)
        for index, folder in enumerate(folders)
        for path in _pictures_below(folder)
    ]
    if not labels:
        raise InputError(
            f"{root} holds no picture: its class folders are empty (suffixes: {' '.join(sorted(PICTURE_SUFFIXES))})",
            "no_data",
            "task.root",
            root,
        )
    return labels


def _pictures_below(folder: Path) -> Iterator[Path]:
    for parent, _, names in sorted(os.walk(folder, followlinks=True)):
        for name in sorted(names):
            if Path(name).suffix.lower() in PICTURE_SUFFIXES and not name.startswith("."):
                yield Path(parent, name)


def read_label_file(table: Path, class_count: int | None) -> list[Label]:
    """Return the pictures that ``labels.csv`` lists, in its order.

    Columns: ``file`` (relative to the table's folder), ``class_index`` (0 to ``class_count - 1``) and, if wished,
    ``class_name``. Any other column puts the pictures into groups; an empty cell is none.

    Raises
    ------
    InputError
        for the first bad row, naming file, line, value and remedy.
    """
    labels: list[Label] = []
    line_of: dict[str, int] = {}
    name_of: dict[int, str] = {}
    for line, row in _rows(table):
        label = _label(row, table, line, class_count)
        if label.file in line_of:
            raise _bad_row(
                table,
                line,
                f"file={label.file!r} is listed in line {line_of[label.file]} already; remove one of the two",
                "file",
                label.file,
            )
        known = name_of.setdefault(label.class_index, label.class_name)
        if known != label.class_name:
            raise _bad_row(
                table,
                line,
                f"class_name={label.class_name!r}, but class {label.class_index} was {known!r} before; use one name",
                "class_name",
                label.class_name,
            )
        line_of[label.file] = line
        labels.append(label)
    if not labels:
        raise InputError(f"{table} lists no picture; add one line per picture below the header", "no_data", value=table)
    return labels


def _rows(table: Path) -> Iterator[tuple[int, Mapping[str | None, str | list[str] | None]]]:
    with table.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, strict=True)
        try:
            columns = reader.fieldnames or ()
            for column in COLUMNS:
                if column not in columns:
                    raise _bad_row(
                        table,
                        1,
                        f"column {column!r} is missing (there are: {', '.join(columns) or 'none'}); add it",
                        column,
                        code="missing",
                    )
            if twice := next((column for column in columns if columns.count(column) > 1), None):
                raise _bad_row(table, 1, f"two columns are called {twice!r}; give each a name of its own", twice)
            for row in reader:
                yield reader.line_num, row
        except (csv.Error, UnicodeDecodeError) as error:
            raise _bad_row(
                table, reader.line_num + 1, f"cannot be read ({error}); save the table as CSV in UTF-8", code="damaged"
            ) from error


def _label(row: Mapping[str | None, str | list[str] | None], table: Path, line: int, class_count: int | None) -> Label:
    """Return what one row says. A surplus field lies under the key None, a missing one has the value None."""
    if None in row:
        raise _bad_row(table, line, f"{row[None]!r} is more than the header has columns; quote fields that contain commas", value=row[None])
    file, index, name = (str(row.get(column) or "").strip() for column in (*COLUMNS, NAME))
    relative = PurePosixPath(file)
    if not file or relative.is_absolute() or ".." in relative.parts:
        raise _bad_row(table, line, f"file={file!r} must be a path relative to the table's folder and inside it; correct it", "file", file)
    path = table.parent / relative
    if not path.is_file():
        raise _bad_row(table, line, f"file={file!r} does not exist; add the picture or remove the line", "file", file, "not_found")
    if not re.fullmatch("-?[0-9]+", index):
        raise _bad_row(table, line, f"class_index={index!r} is not a whole number; write the index of the class", "class_index", index)
    if int(index) < 0 or (class_count is not None and int(index) >= class_count):
        most = "" if class_count is None else f" to {class_count - 1}"
        raise _bad_row(table, line, f"class_index={index} must lie in 0{most}; correct it or set task.classes", "class_index", index)
    return Label(relative.as_posix(), path, int(index), name or str(int(index)), dict(_groups(row)))


def _groups(row: Mapping[str | None, str | list[str] | None]) -> Iterator[tuple[str, str]]:
    """Yield the name and the value of each further column that has both."""
    for column, cell in row.items():
        name, value = (column or "").strip(), str(cell or "").strip()
        if name and value and name not in (*COLUMNS, NAME):
            yield name, value


def _bad_row(table: Path, line: int, complaint: str, key: str = "", value: object = None, code: Code = "invalid") -> InputError:
    return InputError(f"{table} line {line}: {complaint}", code, key, value)
