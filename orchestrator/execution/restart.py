"""Go on with a campaign whose Ray has died: the program becomes the command that resumes it, once.

Nothing of a Ray whose processes are dead can be relied on within this process: its core waits for them, and ends the process after a
minute. The same process therefore starts over as another command, with nothing of Ray in it.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from orchestrator.execution.signals import RELAY, received

WENT_ON = "TAIL_QUALITY_WENT_ON"
"""Set in a program that goes on after a death already: a second one ends it."""


class Restart(Exception):
    """What runs the timed processes has died, and the campaign in ``directory`` can be gone on with."""

    def __init__(self, told: str, directory: Path, options: Sequence[str], how: str) -> None:
        super().__init__(told)
        self.words = ["resume", str(directory), *options]
        self._how = how

    def give_up(self) -> int:
        """Say how to go on, and return the exit code."""
        print(f"error: {self}; {self._how}", file=sys.stderr)  # noqa: T201
        return 1


def go_on(lost: Restart) -> int:
    """Become the command that goes on. Returns an exit code where this process has gone on before."""
    if os.environ.get(WENT_ON):
        return lost.give_up()
    print(f"{lost}; what was stored is whole: going on in a fresh Ray", file=sys.stderr, flush=True)  # noqa: T201
    with suppress(ChildProcessError):  # the guard has ended them all
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    sys.stdout.flush()
    # Of the console script: no module of the working directory comes first.
    elsewhere = [] if str(Path.cwd()) in sys.path else ["-P"]
    os.environ[WENT_ON] = "1"
    signal.pthread_sigmask(signal.SIG_BLOCK, {RELAY})
    if received() is None:
        os.execv(sys.executable, [sys.executable, *elsewhere, "-m", "orchestrator", *lost.words])  # noqa: S606 - this very program
    return 130
