"""What a command line asks: the records that a verb reads and the module that does its work takes.

Verbs import the modules that work, and never the other way: what both name stands here, below both. A verb whose work takes a few plain
values hands these over instead.
"""

from dataclasses import dataclass
from pathlib import Path


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
    trust
        whether results may go into a folder that another user can change.
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
    trust: bool = False


@dataclass(frozen=True)
class GoingOn:
    """A command line that goes on with a campaign, of ``resume`` and ``extend``.

    overrides
        ``cluster.address=HOST:PORT`` only.
    rounds
        how many to add to every finished trial; None goes on with what is not finished.
    trust
        whether code that another user may have written is run, and results go into a folder that one can change.
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


@dataclass(frozen=True)
class PairedRun:
    """What ``compare --run`` measures in pairs.

    sides
        A and B: a file of overrides, a folder of code, or overrides in one word.
    overrides
        ``KEY=VALUE`` that both sides have.
    pairs
        of processes for each trial.
    folder
        of both campaigns, ``a`` and ``b``; None is a new one named after the time.
    """

    sides: tuple[str, str]
    overrides: tuple[str, ...]
    pairs: int
    folder: Path | None = None
    multirun: bool = False
    config_dirs: tuple[Path, ...] = ()
    quiet: bool = False


@dataclass(frozen=True)
class CapacitySearch:
    """What ``capacity`` asks.

    composing
        the trials.
    deadline
        a time, such as ``50 ms``.
    keep
        the share of ideal quality that is required.
    answers
        of a stream, at least; None for as many as ``keep`` takes.
    minutes
        within which the command ends, with its report; None for no limit.
    """

    composing: Composing
    deadline: str
    keep: float
    answers: int | None = None
    minutes: float | None = None


@dataclass(frozen=True)
class Importing:
    """What ``import`` makes a campaign of.

    columns
        names in the file by names of the long form.
    keys
        results_dir, model, system and runtime, as far as given.
    overrides
        analysis keys.
    """

    files: tuple[Path, ...]
    form: str
    task: str
    columns: dict[str, str]
    keys: dict[str, str]
    overrides: tuple[str, ...]
    command: tuple[str, ...] = ()
    quiet: bool = False


@dataclass(frozen=True)
class Replaying:
    """What ``replay`` asks.

    trial, fallback
        how an id begins or ends, or None.
    rates_per_s
        none where a trace has its own.
    deadline
        a time or percentile, or None for the primary threshold.
    late_in
        k and n: k late of n answers in a row.
    error_after
        a time without an answer on time, or None.
    to
        the folder to write into, or None for the campaign's.
    """

    directory: Path
    trial: str | None = None
    overrides: tuple[str, ...] = ()
    law: str = "poisson"
    rates_per_s: tuple[float, ...] = ()
    group: int = 1
    burstiness: float = 1.0
    trace: Path | None = None
    seed: int = 0
    policy: str = "queue"
    queue_limit: int | None = None
    deadline: str | None = None
    fallback: str | None = None
    late_in: tuple[int, int] | None = None
    error_after: str | None = None
    to: Path | None = None
