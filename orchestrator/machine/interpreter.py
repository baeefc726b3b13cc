"""Which environment a path to a Python means: the file behind its links, and the virtual environment that the path itself stands in."""

import shutil
from pathlib import Path
from typing import NamedTuple

OF_A_VENV = "pyvenv.cfg"


class Interpreter(NamedTuple):
    """A Python as it would run: its file without links, and its virtual environment, None where it stands in none."""

    file: Path
    venv: Path | None


def interpreter_at(python: str) -> Interpreter | None:
    """Return what a path, or a name on the search path, would run; None where it runs nothing.

    A virtual environment's python is a link to the one that it was made from, and is told from it by the folder in which the link stands.
    """
    found = shutil.which(python)
    if found is None:
        return None
    path = Path(found).absolute()
    folder = path.parent.resolve()
    venv = next((place for place in (folder, folder.parent) if (place / OF_A_VENV).is_file()), None)
    return Interpreter(path.resolve(), venv)


def same_interpreter(one: str, other: str) -> bool:
    """Return whether two paths or names would run the same Python in the same environment; False where one runs nothing."""
    found = interpreter_at(one)
    return found is not None and found == interpreter_at(other)
