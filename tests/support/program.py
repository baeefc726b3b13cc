"""The program, called in this very process: it answers as a process of its own would, without the seconds that one takes to start."""

from __future__ import annotations

import contextlib
import io
import sys
from pathlib import Path
from typing import NamedTuple

from orchestrator.__main__ import main
from orchestrator.subject.targets import code_of_its_own

HEARING = "import runpy, signal; signal.signal(signal.SIGINT, signal.default_int_handler); "


def hearing_command(*words: str | Path) -> list[str]:
    """Return the command of a process of its own that hears Ctrl-C, also where this process ignores it, as in a shell's background."""
    start = f"{HEARING}runpy.run_module('orchestrator', run_name='__main__', alter_sys=True)"
    return [sys.executable, "-c", start, *map(str, words)]


class Done(NamedTuple):
    """What is left of a program that has ended, under the names that ``subprocess`` gives it."""

    returncode: int
    stdout: str
    stderr: str


def orchestrator(*words: str | Path, cwd: Path) -> Done:
    """Run one command line in a folder. What it imported from the user's own folders is forgotten afterwards."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.chdir(cwd), code_of_its_own(), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([str(word) for word in words])
    return Done(code, out.getvalue(), err.getvalue())
