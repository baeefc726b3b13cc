"""The command runner: the program, called in this very process, without the seconds that a process of its own takes to start."""

import contextlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from orchestrator.__main__ import main
from orchestrator.subject.targets import code_of_its_own

SUPPORT = Path(__file__).parent
NULL = ("--config-dir", str(SUPPORT / "conf"), f"code=[{SUPPORT / 'code'}]", "task=numbers")
"""Words that choose the task of twenty numbers, and make the null models known."""

ECHO = (*NULL, "model=echo")


class Done(NamedTuple):
    """What is left of a program that has ended, under the names that ``subprocess`` gives it."""

    returncode: int
    stdout: str
    stderr: str

    @property
    def refusal(self) -> str:
        """The code of a refusal, which is one line."""
        (line,) = self.stderr.splitlines()
        return line.rpartition("[")[2].removesuffix("]")


Call = Callable[..., Done]


def orchestrator(*words: str | Path, cwd: Path) -> Done:
    """Run one command line in a folder. What it imported from the user's own folders is forgotten afterwards."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.chdir(cwd), code_of_its_own(), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([str(word) for word in words])
    return Done(code, out.getvalue(), err.getvalue())


def rounds(count: int) -> tuple[str, ...]:
    """Return words for a fixed number of rounds a trial, in the driver's process."""
    return ("measurement.rule=rounds", f"measurement.min_rounds={count}", f"measurement.max_rounds={count}", "cluster=inline")
