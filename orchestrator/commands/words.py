"""The words of a command line that are no options: ``KEY=VALUE``, and directories."""

from __future__ import annotations

from pathlib import Path

from orchestrator.commands.line import EMPTY, Line
from orchestrator.contracts import InputError

PATHS = ("/", "./", "../", "~")
"""How a path begins that could be taken for ``KEY=VALUE``."""


def overrides_alone(line: Line) -> tuple[str, ...]:
    """Return the words of a verb that takes ``KEY=VALUE`` only. Raises InputError for any other."""
    for word in line.words:
        if not is_override(word):
            raise InputError(f"{word or EMPTY}: {line.verb} takes KEY=VALUE only; see `orchestrator {line.verb} --help`")
    return line.words


def split(line: Line, takes_overrides: bool) -> tuple[tuple[Path, ...], tuple[str, ...]]:
    """Return the directories and the overrides among the words of a line.

    Parameters
    ----------
    takes_overrides
        whether the verb takes ``KEY=VALUE`` at all; which keys is not looked at here.

    Raises
    ------
    InputError
        for an empty word, and for an override where none is taken.
    """
    if "" in line.words:
        raise InputError(f"{EMPTY}: an empty word names nothing; leave it out, or give a directory; see `orchestrator {line.verb} --help`")
    overrides = tuple(word for word in line.words if is_override(word))
    directories = tuple(Path(word) for word in line.words if not is_override(word))
    for word in overrides:
        if _exists(word):
            raise InputError(f"{word}: is read as KEY=VALUE, and a folder or file is called so too; write ./{word} for that one")
        if not takes_overrides:
            raise InputError(f"{word}: {line.verb} takes no KEY=VALUE; leave it out, or write ./{word} for a folder of that name")
    return directories, overrides


def is_override(word: str) -> bool:
    """Return whether a word is ``KEY=VALUE`` rather than a path."""
    return "=" in word and not word.startswith(PATHS)


def one_directory(line: Line, takes_overrides: bool) -> tuple[Path, tuple[str, ...]]:
    """Return the one directory that a verb takes, and the overrides. Raises InputError for none and for several."""
    directories, overrides = split(line, takes_overrides)
    if len(directories) != 1:
        raise InputError(
            f"{line.verb} takes one results directory, {counted(directories)}: name one, such as results/latest; "
            f"see `orchestrator {line.verb} --help`"
        )
    return directories[0], overrides


def counted(directories: tuple[Path, ...]) -> str:
    """Write how many directories there are, and which."""
    if not directories:
        return "none was given"
    shown = ", ".join(map(str, directories[:3])) + (", ..." if len(directories) > 3 else "")
    return f"{len(directories)} {'were' if len(directories) > 1 else 'was'} given ({shown})"


def _exists(word: str) -> bool:
    try:
        return Path(word).exists()
    except (OSError, ValueError):  # too long for a name, or nothing that could be one
        return False
