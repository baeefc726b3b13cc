"""What a timed process leaves that dies: where in its code, and how far the round in flight has come."""

from __future__ import annotations

import faulthandler
import os
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

import numpy as np

from orchestrator.machine.locks import open_own_folder
from orchestrator.measurement.failures import TrialFailed
from orchestrator.measurement.scratch import crash_path, open_own, read_scratch
from orchestrator.measurement.timing import IN_FLIGHT

MOST_CHARACTERS = 20_000
KILLED = "something killed it, as the kernel does where memory is short (see `dmesg`)"


def keep_crashes(scratch: Path) -> IO[bytes]:
    """Have a fatal signal, such as SIGSEGV or SIGABRT, write there in which line of which file it came. The file must stay open.

    Raises InputError if this user's folder is not theirs alone.
    """
    os.close(open_own_folder())
    file = open_own(crash_path(scratch), "xb")
    faulthandler.disable()  # enabled already, it would not take signals back that a library has taken since
    faulthandler.enable(file, all_threads=False)
    return file


@dataclass(frozen=True)
class LastWords:
    """What is known of the end of a timed process.

    round, done, batches
        the round that was stamped last, how many of its inferences had ended, and how many it has; None before the first round.
    crash
        the lines of code a fatal signal met, empty without one.
    how
        exit code or signal in words, None where the system does not tell.
    """

    round: int | None = None
    done: int = 0
    batches: int = 0
    crash: str = ""
    how: str | None = None

    def ended(self, how: str | None) -> LastWords:
        """Return the same with how the process ended. Without a signal that Python sees, the lines are those of a copy that it forked."""
        other = how is not None and (how.startswith("exit code") or how == "signal SIGKILL")
        return replace(self, how=how, crash="" if other else self.crash)


def take_last_words(scratch: Path) -> LastWords:
    """Return what a process that is gone has left beside its stamps, which stay; its lines of code are deleted."""
    path, crash = crash_path(scratch), ""
    with suppress(OSError), open_own(path, "rb") as file:
        crash = file.read(MOST_CHARACTERS).decode(errors="replace")
    with suppress(OSError):
        path.unlink()
    try:
        (number, batches, _, began_ns, *_), stamps = read_scratch(scratch)
    except (OSError, TrialFailed):  # who takes the stamps says what is wrong with them
        return LastWords(crash=crash)
    if not batches or not began_ns:
        return LastWords(crash=crash)
    open_ones = np.isin(stamps[:, 3], (0, IN_FLIGHT))
    return LastWords(number, int(np.argmax(open_ones)) if open_ones.any() else batches, batches, crash)


def told(words: LastWords, preparing: bool, stream: bool) -> str:
    """Return in one line how a timed process ended, in which stage, and what to do.

    ``preparing`` is True before its first visit, ``stream`` where a trial's rounds are those of a stream.
    """
    return f"its process ended ({_how(words)}) {_stage(words, preparing, stream and not preparing)}: {_remedy(words)}"


def _how(words: LastWords) -> str:
    if words.how is not None:
        return words.how
    return words.crash.splitlines()[0].removeprefix("Fatal Python error: ") if words.crash else "how is not known"


def _stage(words: LastWords, preparing: bool, stream: bool) -> str:
    if words.round is None:
        return "while it loaded the model"
    name = "warm-up round" if preparing else "round"
    where = f"the stream that begins with round {words.round}" if stream else f"{name} {words.round}"
    return f"after {where}" if words.done == words.batches else f"at inference {words.done + 1} of {words.batches} of {where}"


def _remedy(words: LastWords) -> str:
    if words.crash:
        return "traceback.txt of the trial has the line of code; mend that, or the library that it calls"
    if words.how == "signal SIGKILL":
        return f"{KILLED}; free memory, or choose a smaller model or batch"
    if words.how is None:
        return f"its code called os._exit, or {KILLED}; have the model raise an exception instead, or free memory"
    if words.how.startswith("exit code"):
        return "its code ended the process, as os._exit does; have the model raise an exception instead"
    return "see `dmesg`, and run the model's code alone to find what sends the signal"
