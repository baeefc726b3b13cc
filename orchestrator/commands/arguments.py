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
    into
        of ``report``: the folder of a report of several campaigns.
    to, format, baseline_file
        of ``export``: the folder to write into, in which form; the file of a baseline.
    top
        of ``inspect``: how many answers to list.
    figures, only
        of ``report``: formats of figures as files, and the names of those to write.
    gate, allow_no_verdict, power, json_file, html_file, markdown_file
        of ``compare``.
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
    into: Path | None = None
    to: Path | None = None
    format: str = "csv"
    baseline_file: Path | None = None
    top: int = 10
    figures: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    gate: bool = False
    allow_no_verdict: bool = False
    power: bool = False
    json_file: Path | None = None
    html_file: Path | None = None
    markdown_file: Path | None = None
