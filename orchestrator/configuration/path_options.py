"""Which options of a model or task are paths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

PATH_OPTIONS = ("path", "root")
"""Options of models and tasks that are paths by their name."""


def path_options(options: Mapping[str, Any], files: Sequence[Path]) -> dict[str, str]:
    """Return the options that are paths, made absolute: they name what exists, and are called so, look so or hold the files.

    A plain word such as ``split: val`` is no path because a folder of that name happens to be in the working directory.
    """
    absolute = {file.absolute() for file in files}
    known = {parent for file in absolute for parent in file.parents} | absolute
    texts = {name: value for name, value in options.items() if isinstance(value, str)}
    return {name: str(Path(value).expanduser().absolute()) for name, value in texts.items() if _is_path(name, value, known)}


def _is_path(name: str, value: str, known: set[Path]) -> bool:
    path = Path(value).expanduser().absolute()
    try:
        exists = path.exists()
    except OSError:
        return False
    return exists and (name in PATH_OPTIONS or "/" in value or "\\" in value or path in known)
