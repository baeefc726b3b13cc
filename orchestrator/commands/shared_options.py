"""Options that several verbs have: those of composing trials, and those of going on with a campaign."""

from orchestrator.commands.asked import Composing, GoingOn
from orchestrator.commands.line import Line, one_directory, overrides_alone
from orchestrator.commands.parser import LineParser, path


def add_composing(parser: LineParser) -> None:
    """Declare what ``run`` and ``plan`` have in common."""
    parser.flag("-m", "--multirun", help="a,b after a key makes a trial of each, as in sweeps")
    add_config_dir(parser)
    parser.option("--cfg", choices=["job"], help="print every trial as a YAML document and stop")
    parser.flag("--info", help="print the names of all there is to choose, and stop")
    parser.flag("--skip-infeasible", help="record trials that cannot run here, and run the others")
    parser.flag("--many", help="more than 1,000 trials, repeats included, are meant")
    add_quiet(parser)


def add_config_dir(parser: LineParser) -> None:
    """Declare ``--config-dir``."""
    help_text = "search DIR for groups of your own; may be repeated"
    parser.option("--config-dir", action="append", default=[], type=path, metavar="DIR", help=help_text)


def add_trust(parser: LineParser) -> None:
    """Declare ``--trust`` of what measures into a new folder."""
    parser.flag("--trust", help="measure into results_dir= although it is another user's, or every user can write it")


def add_quiet(parser: LineParser) -> None:
    """Declare ``--quiet``."""
    parser.flag("--quiet", help="no progress on stderr")


def add_full(parser: LineParser) -> None:
    """Declare ``--full``."""
    parser.flag("--full", help="print all tables as well, not the answer alone")


def add_going_on(parser: LineParser) -> None:
    """Declare what ``resume`` and ``extend`` have in common."""
    parser.flag("--accept-changes", help="go on although code, data or host changed; it is recorded")
    parser.flag("--trust", help="run its code although another user could have written it")
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
        trust=getattr(found, "trust", False),
    )


def read_going_on(line: Line, rounds: int | None = None, retry_failed: bool = False) -> GoingOn:
    """Return the record of a line of ``resume`` or ``extend``. Raises InputError."""
    directory, overrides = one_directory(line, takes_overrides=True)
    found = line.options
    return GoingOn(line.verb, directory, overrides, rounds, retry_failed, found.accept_changes, found.trust, found.quiet, found.full)
