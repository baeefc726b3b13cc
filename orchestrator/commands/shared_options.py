"""Options that several verbs have: those of composing trials, and those of going on with a campaign."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from orchestrator.commands.line import Line, one_directory, overrides_alone
from orchestrator.commands.parser import LineParser, path


@dataclass(frozen=True)
class Composing:
    """A command line that describes trials, of ``run`` and ``plan``.

    command
        every word as the user typed it.
    overrides
        ``key=value`` in Hydra's grammar.
    multirun
        whether ``key=a,b`` makes a trial of each.
    config_dirs
        folders with the user's own groups.
    many
        whether more than 1,000 trials are meant.
    full
        whether every table of the summary is printed at the end.
    shows
        what is printed instead of a plan or results: ``job`` (every trial as YAML), ``choices`` (the names of all groups), or None.
    requirements
        the file that a plan is sized for; None where it is not.
    """

    command: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()
    multirun: bool = False
    config_dirs: tuple[Path, ...] = ()
    many: bool = False
    skip_infeasible: bool = False
    quiet: bool = False
    shows: str | None = None
    full: bool = False
    requirements: Path | None = None


@dataclass(frozen=True)
class GoingOn:
    """A command line that goes on with a campaign, of ``resume`` and ``extend``.

    overrides
        ``cluster.address=HOST:PORT`` only.
    rounds
        how many to add to every finished trial; None goes on with what is not finished.
    trust
        whether code that another user may have written is run.
    """

    verb: str
    directory: Path
    overrides: tuple[str, ...] = ()
    rounds: int | None = None
    retry_failed: bool = False
    accept_changes: bool = False
    trust: bool = False
    quiet: bool = False
    full: bool = False


def add_composing(parser: LineParser) -> None:
    """Declare what ``run`` and ``plan`` have in common."""
    parser.flag("-m", "--multirun", help="a,b after a key makes a trial of each; a sweep needs no -m")
    add_config_dir(parser)
    parser.option("--cfg", choices=["job"], help="print every trial as a YAML document and stop")
    parser.flag("--info", help="print the names of all models, tasks, systems, runtimes and sweeps, and stop")
    parser.flag("--skip-infeasible", help="record trials that cannot run here, and run the others; plan lists them anyway")
    parser.flag("--many", help="more than 1,000 trials, repeats included, are meant")
    add_quiet(parser)


def add_config_dir(parser: LineParser) -> None:
    """Declare ``--config-dir``."""
    help_text = "search DIR for groups of your own; may be given more than once"
    parser.option("--config-dir", action="append", default=[], type=path, metavar="DIR", help=help_text)


def add_quiet(parser: LineParser) -> None:
    """Declare ``--quiet``."""
    parser.flag("--quiet", help="no progress on stderr")


def add_full(parser: LineParser) -> None:
    """Declare ``--full``."""
    parser.flag("--full", help="print the tables of all thresholds and deadlines as well, not the answer alone")


def add_going_on(parser: LineParser) -> None:
    """Declare what ``resume`` and ``extend`` have in common."""
    parser.flag("--accept-changes", help="go on although code, data, weights or host have changed, and record it")
    parser.flag("--trust", help="run the code that the campaign names although another user could have written it")
    add_full(parser)
    add_quiet(parser)


def read_composing(line: Line) -> Composing:
    """Return the record of a line of ``run`` or ``plan``. Raises InputError."""
    found = line.options
    return Composing(
        command=line.typed,
        overrides=overrides_alone(line),
        multirun=found.multirun,
        config_dirs=tuple(found.config_dir),
        many=found.many,
        skip_infeasible=found.skip_infeasible,
        quiet=found.quiet,
        shows="choices" if found.info else found.cfg,
        full=found.full,
    )


def read_going_on(line: Line, rounds: int | None = None, retry_failed: bool = False) -> GoingOn:
    """Return the record of a line of ``resume`` or ``extend``. Raises InputError."""
    directory, overrides = one_directory(line, takes_overrides=True)
    found = line.options
    return GoingOn(line.verb, directory, overrides, rounds, retry_failed, found.accept_changes, found.trust, found.quiet, found.full)
