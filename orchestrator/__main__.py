"""The command line: verbs, exit codes, and the printing of errors.

Exit codes: 0 all done, or the gate passed; 1 a trial failed, the gate found worse, or doctor found something bad; 2 bad usage,
configuration or plan; 3 the gate has no verdict; 130 interrupted.
"""

from __future__ import annotations

from orchestrator.execution.signals import receive_signals

if __name__ == "__main__":
    receive_signals()  # before anything that takes long to import

import argparse
import errno
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from orchestrator.commands.arguments import Arguments
from orchestrator.contracts import InputError
from orchestrator.execution.executor import ClusterLost
from orchestrator.execution.restart import Restart, go_on
from orchestrator.execution.signals import handled_by, received, stop_at_once

USERS_MISTAKES = (errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR)
VERBS = ("run", "plan", "resume", "extend", "status", "report", "compare", "export", "inspect", "doctor")
ON_DIRECTORIES = ("resume", "extend", "status", "report", "compare", "export", "inspect")
HELP = """\
usage: python -m orchestrator [VERB] [KEY=VALUE ...]

  python -m orchestrator +sweep=vision                  run a campaign on this machine
  python -m orchestrator model=NAME task=NAME           run one trial (system=cpu_all, runtime=torch)
  python -m orchestrator -m model=a,b system=x,y        every combination
  python -m orchestrator plan +sweep=vision             what would run, where, and why not; starts nothing
  python -m orchestrator doctor [cluster=address cluster.address=HOST:PORT] [system=a,b]
                                                        is every host fit for timing: good, doubtful or bad, and why
  python -m orchestrator resume DIR [--retry-failed]    go on with an interrupted campaign; no stored round is measured again
  python -m orchestrator extend DIR --rounds N          add rounds to finished trials
  python -m orchestrator status DIR                     how far a campaign has come
  python -m orchestrator report DIR [analysis.KEY=...]  tables and report.html again, from the stored files alone
         [--figures svg,pdf,png] [--only NAME]          figures as files, for a slide
  python -m orchestrator report DIR DIR... [--into DIR] campaigns of different days or places in one report
  python -m orchestrator compare DIR_A DIR_B [--gate]   did the tail get worse? see docs/compare.md
         [--power] [--allow-no-verdict] [--markdown FILE] [--json FILE] [--html FILE]
  python -m orchestrator export DIR --to FOLDER [--format csv|parquet|latex|mlflow]
                                                        figures and timings for other programs
  python -m orchestrator export baseline FILE DIR       the small file that compare takes in place of a directory
  python -m orchestrator inspect DIR TRIAL [--top N]    the latest answers of a trial, one by one
  python -m orchestrator --info                         the names of all models, tasks, systems, runtimes and sweeps

options:
  -m, --multirun      a,b after a key makes a trial of each
  --cfg job           print every trial as a YAML document and stop
  --config-dir DIR    search DIR for models, tasks and systems of your own; may be given more than once
  --retry-failed      resume: measure failed trials too
  --accept-changes    resume: go on although code, data or host have changed, and record it
  --skip-infeasible   record trials that cannot run here, and run the others
  --many              more than 1,000 trials, repeats included, are meant
  --quiet             no progress on stderr
  --version           print the version
"""


def main(argv: Sequence[str] | None = None, restart: Callable[[Restart], int] | None = None) -> int:
    """Run one command and return its exit code. ``restart`` goes on where what runs the timed processes has died, if it can."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        with handled_by(stop_at_once):
            code = _run(words)
            sys.stdout.flush()
    except InputError as error:
        print(f"error: {' '.join(str(error).splitlines())}", file=sys.stderr)  # noqa: T201
        return 2
    except KeyboardInterrupt:
        return 130
    except Restart as lost:
        return lost.give_up() if restart is None else restart(lost)
    except ClusterLost as lost:
        print(f"error: {lost}; nothing was measured yet: start the command again", file=sys.stderr)  # noqa: T201
        return 1
    except BrokenPipeError:
        # The reader of our output is gone; Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        if error.errno is None:
            raise
        where = f"{str(error.filename)[:200]}: " if error.filename else ""
        print(f"error: {where}{error.strerror}; mend it and try again", file=sys.stderr)  # noqa: T201
        return 2 if error.errno in USERS_MISTAKES else 1
    return code


def program() -> None:
    """Run one command and leave with its exit code, whatever signal comes and however Ray's core would end."""
    receive_signals()
    try:
        code = main(restart=go_on)
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:  # the terminal is gone, as after a SIGHUP
        code = 1
    # Not by way of Python's end: what Ray has left in the process could take its time there, or end it in another way.
    os._exit(code if received() is None else 130)


def _run(words: list[str]) -> int:
    if not words or words[0] == "help" or {"-h", "--help"} & set(words):
        print(HELP, end="")  # noqa: T201
        return 0
    arguments = parse(words)
    if arguments.verb == "version":
        import orchestrator

        print(f"tail-quality {orchestrator.__version__}")  # noqa: T201
        return 0
    module = "resume" if arguments.verb == "extend" else arguments.verb
    command = importlib.import_module(f"orchestrator.commands.{module}")
    code: int = command.execute(arguments)
    return code


def parse(words: Sequence[str]) -> Arguments:
    """Return what the words of a command line mean. Raises InputError."""
    parser = _Parser(prog="orchestrator", add_help=False, allow_abbrev=False)
    parser.add_argument("-m", "--multirun", action="store_true")
    parser.add_argument("--cfg", choices=["job"])
    parser.add_argument("--config-dir", action="append", default=[], type=Path)
    parser.add_argument("--info", action="store_true")
    parser.add_argument("--quiet", action="store_true")
    parser.add_argument("--skip-infeasible", action="store_true")
    parser.add_argument("--many", action="store_true")
    parser.add_argument("--accept-changes", action="store_true")
    parser.add_argument("--retry-failed", action="store_true")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--figures", type=_names, action="extend", default=[])
    parser.add_argument("--only", type=_names, action="extend", default=[])
    parser.add_argument("--into", type=_path)
    parser.add_argument("--to", type=_path)
    parser.add_argument("--format", default="csv")
    parser.add_argument("--baseline", type=_path)
    parser.add_argument("--top", type=int, default=10)
    parser.add_argument("--gate", action="store_true")
    parser.add_argument("--allow-no-verdict", action="store_true")
    parser.add_argument("--power", action="store_true")
    parser.add_argument("--json", type=_path)
    parser.add_argument("--html", type=_path)
    parser.add_argument("--markdown", type=_path)
    parser.add_argument("--version", action="store_true")
    parser.add_argument("words", nargs="*")
    options = parser.parse_intermixed_args(list(words))
    verb, rest = _verb(options.words)
    if options.version:
        verb = "version"
    elif options.info or options.cfg:
        verb = "configuration"
    if (verb == "extend") != (options.rounds is not None) or (options.rounds is not None and options.rounds < 1):
        raise InputError("extend takes --rounds N with N of 1 or more, and no other verb takes --rounds")
    return Arguments(
        verb=verb,
        command=tuple(words),
        overrides=tuple(word for word in rest if "=" in word),
        directories=tuple(Path(word) for word in rest if "=" not in word),
        multirun=options.multirun,
        config_dirs=tuple(options.config_dir),
        show_job=options.cfg is not None,
        show_choices=options.info,
        quiet=options.quiet,
        skip_infeasible=options.skip_infeasible,
        many=options.many,
        accept_changes=options.accept_changes,
        retry_failed=options.retry_failed,
        rounds=options.rounds,
        figures=tuple(options.figures),
        only=tuple(options.only),
        into=options.into,
        to=options.to,
        format=options.format,
        baseline_file=options.baseline,
        top=options.top,
        gate=options.gate,
        allow_no_verdict=options.allow_no_verdict,
        power=options.power,
        json_file=options.json,
        html_file=options.html,
        markdown_file=options.markdown,
    )


def _path(text: str) -> Path:
    if not text:
        raise argparse.ArgumentTypeError("a folder or file was expected, and there is no name: give one")
    return Path(text)


def _names(text: str) -> tuple[str, ...]:
    return tuple(filter(None, text.split(",")))


def _verb(words: Sequence[str]) -> tuple[str, list[str]]:
    if words and "=" not in words[0]:
        if words[0] not in VERBS:
            raise InputError(f"{words[0]}: there is no such verb; choose one of {', '.join(VERBS)}, or start with KEY=VALUE")
        verb, rest = words[0], list(words[1:])
    else:
        verb, rest = "run", list(words)
    stray = [word for word in rest if "=" not in word]
    if verb not in ON_DIRECTORIES and stray:
        raise InputError(f"{stray[0]}: {verb} takes KEY=VALUE only; see --help")
    return verb, rest


class _Parser(argparse.ArgumentParser):
    """argparse that raises instead of printing its usage and leaving."""

    def error(self, message: str) -> None:  # type: ignore[override]
        """Raise InputError with argparse's message."""
        raise InputError(f"{message}; see --help")


if __name__ == "__main__":
    program()
