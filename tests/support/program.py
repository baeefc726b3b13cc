"""The program, called in this very process: it answers as a process of its own would, without the seconds that one takes to start."""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from orchestrator.__main__ import main


class Done(NamedTuple):
    """What is left of a program that has ended, under the names that ``subprocess`` gives it."""

    returncode: int
    stdout: str
    stderr: str


def orchestrator(*words: str | Path, cwd: Path) -> Done:
    """Run one command line in a folder. What it imported from the user's own folders is forgotten afterwards."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.chdir(cwd), own_imports(), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([str(word) for word in words])
    return Done(code, out.getvalue(), err.getvalue())


@contextlib.contextmanager
def own_imports() -> Iterator[None]:
    """Take folders that were added to the path off it again, and forget the modules that came from them."""
    before = [*sys.path]
    try:
        yield
    finally:
        added = [folder for folder in sys.path if folder not in before]
        sys.path[:] = before
        for name, module in list(sys.modules.items()):
            if any((getattr(module, "__file__", None) or "").startswith(f"{folder}/") for folder in added):
                del sys.modules[name]
