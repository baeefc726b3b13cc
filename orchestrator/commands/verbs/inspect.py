"""``inspect DIR [TRIAL]``: the latest answers of a trial one by one, or the trials there are."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from orchestrator.commands.line import Line, counted, split
from orchestrator.commands.parser import LineParser, count
from orchestrator.contracts import InputError

SUMMARY = "the latest answers of a trial, one by one"
ABOUT = "Show a trial's latest answers with their neighbours and what else happened in their rounds; without TRIAL, list the trials."
WORDS = "DIR [TRIAL]"
EXAMPLES = ("inspect results/latest", "inspect results/latest efficientnet_lite0-imagenet_samples-cpu_1core --top 20")
TOP = 10


@dataclass(frozen=True)
class Options:
    """What ``inspect`` shows. ``trial`` is how an id begins or ends, or None for the list of trials; ``top`` how many answers to list."""

    directory: Path
    trial: str | None = None
    top: int = TOP


def add_options(parser: LineParser) -> None:
    """Declare the verb's options."""
    parser.option("--top", type=count, metavar="N", help=f"how many answers to list, {TOP} if not given")


def read(line: Line) -> Options:
    """Return what the command line says. Raises InputError."""
    words, _ = split(line, takes_overrides=False)
    if not 1 <= len(words) <= 2:
        raise InputError(f"inspect takes a results directory and a trial, {counted(words)}: such as `inspect results/latest TRIAL`")
    if len(words) == 1 and line.options.top is not None:
        raise InputError(
            f"--top {line.options.top}: counts answers of a trial, and none is named; see them with `inspect {shlex.quote(str(words[0]))}`"
        )
    return Options(words[0], str(words[1]) if len(words) == 2 else None, line.options.top or TOP)


def execute(options: Options) -> int:
    """Print the latest answers of one trial, or the trials. Returns the exit code."""
    from orchestrator.commands.inspect import show_answers

    show_answers(options.directory, options.trial, options.top)
    return 0
