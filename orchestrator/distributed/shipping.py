"""The code that Ray's workers import: our two packages and the user's folders, copied into one small working directory.

Workers would otherwise find a stray ``tasks.py`` of the driver's working directory before the package ``tasks``.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import orchestrator
from orchestrator.contracts import InputError
from orchestrator.subject.targets import check_packages

CODE = "user_code"
IGNORED = shutil.ignore_patterns("__pycache__", "*.pyc", ".*", "conf")
LARGEST_BYTES = 100 * 2**20


def stage_code(folder: Path, code: Sequence[str]) -> None:
    """Copy the packages ``orchestrator`` and ``tasks`` and the folders of ``code`` into ``folder``.

    Raises InputError for a folder that is missing or too large to be code.
    """
    ours = Path(orchestrator.__file__).parent
    shutil.copytree(ours, folder / "orchestrator", ignore=IGNORED)
    shutil.copytree(ours.parent / "tasks", folder / "tasks", ignore=IGNORED)
    for number, name in enumerate(code):
        source = Path(name).expanduser()
        if not source.is_dir():
            raise InputError(f"code={name}: no such folder; name the folder that holds your modules")
        size = sum(path.stat().st_size for path in source.rglob("*") if path.is_file())
        if size > LARGEST_BYTES:
            raise InputError(f"code={name}: {size / 2**20:.0f} MiB, at most {LARGEST_BYTES / 2**20:.0f} are shipped; move data out of it")
        shutil.copytree(source, folder / CODE / str(number), ignore=IGNORED)


def import_shipped(folder: Path) -> None:
    """Make the user's folders importable in a worker, after our own packages, and check that ours are the shipped ones.

    Raises InputError where another ``orchestrator`` or ``tasks`` comes first.
    """
    check_packages(folder.resolve())
    shipped = folder / CODE
    if shipped.is_dir():
        sys.path.extend(str(path) for path in sorted(shipped.iterdir(), key=lambda path: int(path.name)))
