"""Whose code a campaign would have us run: ``resume`` and ``extend`` ask before they do."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterable, Iterator
from importlib.machinery import all_suffixes
from pathlib import Path

from orchestrator.contracts import InputError
from orchestrator.storage.layout import CAMPAIGN, OVERRIDES


def refuse_strangers_code(verb: str, directory: Path, code: Iterable[str], trust: bool) -> None:
    """Refuse to run code that another user could have chosen or written; with ``trust``, say so on stderr instead.

    Parameters
    ----------
    directory
        a campaign's: its records name the code that is run.
    code
        the folders of the user's own modules that it names.

    Raises
    ------
    InputError
        where ``trust`` is not given and a file or folder belongs to another user, or can be written by everybody.
    """
    found = list(strangers([*records_of(directory), *code_of(code)]))
    if not found:
        return
    more = f" (and {len(found) - 1} more of its files and folders)" if len(found) > 1 else ""
    told = f"{found[0]}{more}: {verb} runs the code that a campaign names, as you"
    if not trust:
        raise InputError(f"{told}; see that you trust all of it, and add --trust")
    print(f"--trust: {told}", file=sys.stderr)  # noqa: T201


def records_of(directory: Path) -> Iterator[Path]:
    """Yield what says which code a campaign runs: its records, and the folders in which they could be replaced."""
    yield directory
    yield from (path for path in (directory / CAMPAIGN, directory / OVERRIDES, directory / "trials") if path.exists())
    for trial in sorted(directory.glob("trials/*")):
        yield trial
        if (trial / "trial.json").exists():
            yield trial / "trial.json"


def code_of(folders: Iterable[str]) -> Iterator[Path]:
    """Yield folders of code, and all folders in them and files that Python could import."""
    importable = tuple(all_suffixes())
    for folder in folders:
        path = Path(folder).expanduser()
        yield path
        yield from sorted(found for found in path.rglob("*") if found.name.endswith(importable) or found.is_dir())


def strangers(paths: Iterable[Path]) -> Iterator[str]:
    """Say, one line each, which of these another user owns or may write. What is not there is passed over."""
    ours = os.geteuid()
    for path in paths:
        try:
            status = path.stat()
        except FileNotFoundError:
            continue
        if status.st_uid != ours:
            yield f"{path} belongs to {_user(status.st_uid)}, another user"
        elif status.st_mode & stat.S_IWOTH:
            yield f"{path} can be written by every user"


def _user(uid: int) -> str:
    import pwd

    try:
        return f"{pwd.getpwuid(uid).pw_name} ({uid})"
    except KeyError:
        return f"user {uid}"
