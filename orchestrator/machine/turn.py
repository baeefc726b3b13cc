"""A machine's turn among campaigns: one that measures there keeps the others waiting.

The turn is a lock on a file in a folder that belongs to the user alone, held by every timed process of a campaign and gone with the last
of them, however it ends. Campaigns of other users are kept waiting too where ORCHESTRATOR_LOCK_DIR names a folder for that
(``locks.py``). Containers with shared memory of their own do not see each other's.
"""

import fcntl
import os
import stat
import time
from dataclasses import dataclass
from typing import Any

from orchestrator.configuration.config import Trial
from orchestrator.contracts import InputError
from orchestrator.machine.locks import (
    UserTurn,
    common_folder,
    common_folder_path,
    holder_named,
    open_own_folder,
    other_user,
    own_folder_path,
)

# Bytes read of the holder's description of itself.
LONGEST = 1000
TRIES = 20
PAUSE_S = 0.005
PREFIX = "turn-"
FILE = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def turn_of(trial: Trial, campaign: str) -> str:
    """Return the turn a trial takes part in: its campaign's, or the one of all trials that share the machine."""
    return campaign if trial.system.exclusive else "shared"


class ThisCampaign:
    """How this driver's campaign is described to those who wait for it."""

    words = f"the campaign of process {os.getpid()}"


@dataclass(frozen=True)
class TurnState:
    """Which turn is in force here: its folder, whether other users are kept waiting, who has it, and why it cannot be taken."""

    folder: str
    every_user: bool
    holder: str | None = None
    problem: str | None = None


class Turn:
    """One process's share in its campaign's turn. ``holder`` says in words who measures, to those who wait."""

    def __init__(self, campaign: str, holder: str) -> None:
        self._told = f"{campaign}\n{holder}"
        self._campaign = campaign
        common = common_folder_path()
        self._users = None if common is None else UserTurn(common)
        self._held: tuple[int, int] | None = None

    @property
    def placement(self) -> dict[str, Any]:
        """Where the turn's lock lies, and whether it keeps other users waiting, once it is taken; as plain JSON."""
        if self._users is None:
            return {"folder": str(own_folder_path()), "every_user": False}
        return {"folder": str(self._users.path), "every_user": self._users.every_user}

    def take(self) -> str | None:
        """Take part in the turn, or return who has it. Raises InputError if a lock cannot be had."""
        if self._held is None:
            opened = _open_turn()
            holder = self._take_file(opened[1])
            if holder is not None:
                _close(opened)
                return holder
            self._held = opened
        holder = None if self._users is None else self._users.take()
        if holder is not None:
            self.end()
        return holder

    def end(self) -> None:
        if self._users is not None:
            self._users.end()
        held, self._held = self._held, None
        if held is not None:
            _close(held)

    def _take_file(self, turn: int) -> str | None:
        """Take the lock alone and then share it, or share it where this campaign has it; else return who has it.

        A lock does not become a shared one in a single step: another process may come between. So the file is read once the shared lock is
        there.
        """
        for _ in range(TRIES):
            if _flock(turn, fcntl.LOCK_EX):
                os.ftruncate(turn, 0)
                os.pwrite(turn, self._told.encode()[:LONGEST], 0)
            elif _read(turn)[0] != self._campaign:
                break
            if _flock(turn, fcntl.LOCK_SH):
                if _read(turn)[0] == self._campaign:
                    return None
                fcntl.flock(turn, fcntl.LOCK_UN)
            time.sleep(PAUSE_S)
        return _read(turn)[1] or "another campaign"


def check_turn() -> TurnState:
    """Return which turn is in force here, and who has it. Raises InputError if it could not be taken, whoever has it now."""
    common = common_folder_path()
    every_user, opened = False, _open_turn()
    holder = None if _flock(opened[1], fcntl.LOCK_EX) else (_read(opened[1])[1] or "another campaign")
    _close(opened)
    if common is not None:
        with common_folder(common) as (descriptor, every_user):
            other = other_user(descriptor, common)
            holder = holder if other is None else holder_named(other, common)
    return TurnState(str(common or own_folder_path()), every_user, holder)


def read_turn() -> TurnState:
    """Return the same, with why the turn could not be taken in the place of an error."""
    try:
        return check_turn()
    except InputError as error:
        return TurnState(str(common_folder_path() or own_folder_path()), every_user=False, problem=str(error))


def _open_turn() -> tuple[int, int]:
    """Open this user's folder and the file of the turn in it; one for each common folder: their campaigns know nothing of the others."""
    name = "turn"
    common = common_folder_path()
    if common is not None:
        with common_folder(common) as (opened, _):
            status = os.fstat(opened)
        name = f"{PREFIX}{status.st_dev}-{status.st_ino}"
    folder = open_own_folder()
    path = own_folder_path() / name
    try:
        turn = os.open(name, FILE | os.O_CREAT, 0o600, dir_fd=folder)
    except OSError as error:
        os.close(folder)
        raise InputError(
            f"{path} cannot be opened ({error.strerror}), and is the lock of a machine's turn: remove it", "unreadable", value=path
        ) from error
    if not stat.S_ISREG(os.fstat(turn).st_mode):
        _close((folder, turn))
        raise InputError(f"{path} is no regular file, and is to be the lock of a machine's turn: remove it", "unsafe", value=path)
    return folder, turn


def _close(opened: tuple[int, int]) -> None:
    for descriptor in opened:
        os.close(descriptor)


def _flock(turn: int, kind: int) -> bool:
    try:
        fcntl.flock(turn, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise InputError(
            f"{own_folder_path()} has a file system without locks ({error.strerror}): mount another there", "unsupported"
        ) from error
    return True


def _read(turn: int) -> tuple[str, str]:
    """Return the campaign that has the lock and what it says of itself, as plain text."""
    campaign, _, holder = os.pread(turn, LONGEST, 0).decode(errors="replace").partition("\n")
    return campaign, "".join(letter for letter in holder if letter.isprintable())
