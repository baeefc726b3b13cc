"""Which other users could change what this user writes into a folder: its owner, everybody or a group, and whoever owns a folder above it.

Whoever may write a folder can exchange what lies in it, unless it is sticky, as /tmp is. Root can do so anyway, and is not counted.
"""

import grp
import os
import pwd
import stat
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple

MEMORY = Path("/dev/shm")  # noqa: S108 - files there are made new, under secret names, or are looked at first
ROOT = 0


def is_safe(folder: Path) -> bool:
    """Return whether only root and this user can take away or replace what this user keeps in a folder."""
    try:
        return why_unsafe(folder.lstat()) is None
    except OSError:
        return False


def is_own(path: Path) -> bool:
    """Return whether a path exists and belongs to this user."""
    try:
        return path.lstat().st_uid == os.geteuid()
    except OSError:
        return False


def why_unsafe(status: os.stat_result) -> str | None:
    """Return in words why another user could take away or replace what lies in a folder, or None."""
    if not stat.S_ISDIR(status.st_mode):
        return "is no folder"
    if status.st_uid not in (ROOT, os.geteuid()):
        return f"belongs to {user_named(status.st_uid)}"
    if status.st_mode & 0o022 and not status.st_mode & stat.S_ISVTX:
        return f"has mode {stat.S_IMODE(status.st_mode):o}, with which others may take away what lies there"
    return None


def user_named(uid: int) -> str:
    """Return a user's name and number."""
    try:
        return f"user {pwd.getpwuid(uid).pw_name} ({uid})"
    except KeyError:
        return f"user {uid}"


class Open(NamedTuple):
    """A place that others can change, in words; ``refused`` where nothing is to be measured into it without the user's consent."""

    told: str
    refused: bool


def open_places(directory: Path, made: bool) -> list[Open]:
    """Return what others could change of a results folder, the folder itself first, then links and folders that lead to it.

    Those above are told and never refused: shared and foreign parents are common, and a folder that is exchanged is noticed.

    Parameters
    ----------
    made
        whether this command has just made the folder. If everybody may write it even so, then by the user's umask, or because its file
        system has no modes.
    """
    found = []
    for place, status in _way_to(directory):
        one = why_open(place, status)
        if one is not None:
            itself = place == directory.absolute() and not (made and status.st_uid == os.geteuid())
            found.append(Open(one.told, one.refused and (itself or stat.S_ISLNK(status.st_mode))))
    return sorted(found, key=lambda one: not one.refused)


def why_open(place: Path, status: os.stat_result) -> Open | None:
    """Return who else could change a folder or link, or None. Root is never refused a folder of another user: it works for them.

    Nor is a user refused one of *nobody*: its true owner is not known here, as in a container or on a network file system.
    """
    ours = os.geteuid()
    exchanged = not stat.S_ISLNK(status.st_mode) and not status.st_mode & stat.S_ISVTX
    if exchanged and status.st_mode & stat.S_IWOTH:
        return Open(f"{place} can be written by every user", True)
    if status.st_uid not in (ROOT, ours):
        return Open(f"{place} belongs to {user_named(status.st_uid)}, another user", ours != ROOT and status.st_uid != nobody())
    if exchanged and status.st_mode & stat.S_IWGRP and (others := others_of(status.st_gid)):
        return Open(f"{place} can be written by the group {others}", False)
    return None


def exchangers(path: Path) -> Iterator[str]:
    """Say, one line each, who else could have a path lead to other code: through a link, or a folder on the way as it is written.

    Root's folders and links are trusted here, and so are folders of *nobody* without a link on the way: those above a container's own.
    """
    way = list(_way_to(path))
    holders = {place.parent for place, status in way if stat.S_ISLNK(status.st_mode)}
    for place, status in way:
        link = stat.S_ISLNK(status.st_mode)
        if place == path.absolute() and not link:
            continue
        told = f"{place}, {'a link' if link else 'a folder'} on the way to {path},"
        trusted = {ROOT, os.geteuid(), *(() if link or place in holders else (nobody(),))}
        if status.st_uid not in trusted:
            yield f"{told} belongs to {user_named(status.st_uid)}, another user"
        elif not link and status.st_mode & stat.S_IWOTH and not status.st_mode & stat.S_ISVTX:
            yield f"{told} can be written by every user"


def _way_to(directory: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Yield a path, the folders above it, and the same of what links among them lead to, as far as they exist."""
    seen: set[Path] = set()
    left = [directory.absolute()]
    while left:
        path = left.pop()
        for place in (path, *path.parents):
            if place in seen:
                continue
            seen.add(place)
            with suppress(OSError):
                yield place, place.lstat()
                if place.is_symlink():
                    left.append(place.parent / place.readlink())


@cache
def nobody() -> int:
    """Return the number that the kernel shows for owners whom it cannot name."""
    try:
        return int(Path("/proc/sys/kernel/overflowuid").read_text())
    except (OSError, ValueError):
        return 65534


@cache
def others_of(gid: int) -> str:
    """Return the name of a group that others than this user may be in; nothing for the group that belongs to the user alone."""
    try:
        own, group = pwd.getpwuid(os.geteuid()).pw_name, grp.getgrgid(gid)
    except KeyError:
        return str(gid)
    members = {*group.gr_mem, *(user.pw_name for user in pwd.getpwall() if user.pw_gid == gid)}
    return "" if members <= {own} and gid == pwd.getpwuid(os.geteuid()).pw_gid else f"{group.gr_name} ({gid})"
