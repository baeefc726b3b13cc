"""What is said of a results folder that other users could change, before anything is measured into it."""

import sys
from collections.abc import Callable
from pathlib import Path

from orchestrator.contracts import InputError
from orchestrator.machine.other_users import open_places
from orchestrator.report.text import printable

OWN_FOLDER = "name a folder of your own with results_dir="


def looked_at(trust: bool, remedy: str = f"{OWN_FOLDER}, or add --trust") -> Callable[[Path, bool], tuple[str, ...]]:
    """Return what looks at a results folder: it says in words who else could change it, for the campaign's record.

    It raises InputError with the remedy for a folder of another user, or one that every user can write, unless the user trusts them.
    """

    def look(directory: Path, made: bool) -> tuple[str, ...]:
        found = open_places(directory, made)
        if found and found[0].refused and not trust:
            raise InputError(f"{_first([one.told for one in found])}: others could exchange what is measured there; {remedy}")
        return tuple(one.told for one in found)

    return look


def tell_open(open_to: tuple[str, ...]) -> None:
    """Say on stderr, in one line, who else could change the results; nothing where nobody could."""
    if open_to:
        told = f"{_first(list(open_to))}: others could exchange what is measured there, which campaign.json and the report note"
        print(printable(told), file=sys.stderr)  # noqa: T201


def _first(told: list[str]) -> str:
    more = f" (and {len(told) - 1} more on the way to it)" if len(told) > 1 else ""
    return f"{told[0]}{more}"
