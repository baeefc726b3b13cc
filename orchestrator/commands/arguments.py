"""What the command line said, parsed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Arguments:
    """One command.

    command
        every word as the user typed it.
    overrides
        ``key=value`` in Hydra's grammar.
    directories
        results directories, for the verbs that read them.
    accept_changes, retry_failed
        of ``resume``.
    many
        whether more than 1,000 trials are meant.
    rounds
        of ``extend``: how many to add.
    """

    verb: str
    command: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()
    directories: tuple[Path, ...] = ()
    multirun: bool = False
    config_dirs: tuple[Path, ...] = ()
    show_job: bool = False
    show_choices: bool = False
    quiet: bool = False
    skip_infeasible: bool = False
    many: bool = False
    accept_changes: bool = False
    retry_failed: bool = False
    rounds: int | None = None
