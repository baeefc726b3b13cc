"""Folders that all users of a machine share: which are safe to keep files in, and whose a file is."""

from __future__ import annotations

import os
import pwd
import stat
from pathlib import Path

MEMORY = Path("/dev/shm")  # noqa: S108 - what lies there is made new, under a name that nobody can guess or is looked at first
ROOT = 0


def is_safe(folder: Path) -> bool:
    """Return whether nobody but root and this user can take away or replace what this user keeps in a folder."""
    try:
        return why_unsafe(folder.lstat()) is None
    except OSError:
        return False


def is_own(path: Path) -> bool:
    """Return whether something lies there that belongs to this user."""
    try:
        return path.lstat().st_uid == os.geteuid()
    except OSError:
        return False


def why_unsafe(status: os.stat_result) -> str | None:
    """Return in words why another user could take away or replace what lies in a folder, or None."""
    if not stat.S_ISDIR(status.st_mode):
        return "is no folder"
    if status.st_uid not in (ROOT, os.geteuid()):
        return f"belongs to {user_told(status.st_uid)}"
    if status.st_mode & 0o022 and not status.st_mode & stat.S_ISVTX:
        return f"has mode {stat.S_IMODE(status.st_mode):o}, with which others may take away what lies there"
    return None


def user_told(uid: int) -> str:
    """Return what a person knows a user by."""
    try:
        return f"user {pwd.getpwuid(uid).pw_name} ({uid})"
    except KeyError:
        return f"user {uid}"
