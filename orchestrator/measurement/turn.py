"""A machine's turn among campaigns: one that measures there keeps the others waiting, whoever runs them.

The turn is a lock on a file in /tmp (or in the folder that TAIL_QUALITY_TURNS names), held by every timed process of a campaign and gone
with the last of them, however it ends. Containers with a /tmp of their own do not see each other's.
"""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from orchestrator.config import Trial

FOLDER_VARIABLE = "TAIL_QUALITY_TURNS"
GUARD, TURN = "tail-quality-guard", "tail-quality-turn"
LONGEST = 400
"""Bytes of what the holder says of itself that are read."""


def turn_of(trial: Trial, campaign: str) -> str:
    """Return whose turn a trial takes part in: its campaign's, or that of all who leave the machine to others as well."""
    return campaign if trial.system.exclusive else "shared"


def this_campaign() -> str:
    """Return what those who wait are told of this driver."""
    return f"the campaign of process {os.getpid()} on {socket.gethostname()}"


class Turn:
    """One process's share in its campaign's turn. ``holder`` says in words who measures, to those who wait."""

    def __init__(self, campaign: str, holder: str, folder: Path | None = None) -> None:
        self._told = f"{campaign}\n{holder}"
        self._campaign = campaign
        self._folder = Path(os.environ.get(FOLDER_VARIABLE, "/tmp")) if folder is None else folder  # noqa: S108 - what all users share
        self._held: int | None = None

    def take(self) -> str | None:
        """Take part in the turn, or return who has it. Raises OSError where the lock cannot be opened."""
        if self._held is not None:
            return None
        with self._guarded():
            turn = _open(self._folder / TURN, os.O_RDWR)
            try:
                fcntl.flock(turn, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                campaign, _, holder = os.pread(turn, LONGEST, 0).decode(errors="replace").partition("\n")
                if campaign != self._campaign:
                    os.close(turn)
                    return "".join(letter for letter in holder if letter.isprintable()) or "another campaign"
            else:
                os.ftruncate(turn, 0)
                os.pwrite(turn, self._told.encode()[:LONGEST], 0)
            # Shared: the other processes of this campaign take part.
            fcntl.flock(turn, fcntl.LOCK_SH | fcntl.LOCK_NB)
            self._held = turn
        return None

    def end(self) -> None:
        """Let go of it. Idempotent."""
        held, self._held = self._held, None
        if held is not None:
            os.close(held)

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """One process at a time: a lock does not become a shared one in a single step."""
        guard = _open(self._folder / GUARD, os.O_RDONLY)
        try:
            fcntl.flock(guard, fcntl.LOCK_EX)
            yield
        finally:
            os.close(guard)


def _open(path: Path, mode: int) -> int:
    """Open a file that all users of the machine share; the first one makes it."""
    flags = mode | os.O_NOFOLLOW | os.O_CLOEXEC
    with suppress(FileExistsError):
        made = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o666)
        os.fchmod(made, 0o666)  # whatever the umask
        os.close(made)
    return os.open(path, flags)
