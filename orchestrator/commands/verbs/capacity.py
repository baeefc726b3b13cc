"""``capacity KEY=VALUE... --deadline TIME``: the highest rate of arrivals at which tail quality keeps its share."""

import argparse

from orchestrator.commands.asked import CapacitySearch, Composing
from orchestrator.commands.line import Line, overrides_alone
from orchestrator.commands.parser import LineParser, count, number
from orchestrator.commands.shared_options import add_config_dir, add_full, add_quiet, add_trust
from orchestrator.contracts import InputError

SUMMARY = "up to which rate of arrivals is quality kept in time?"
ABOUT = """\
Estimate for each trial that the words describe up to which rate of arrivals it keeps its quality, then certify a rate
near to that. `resume DIR` goes on with it. Exit code 3: no rate of a trial is certified. See docs/load.md."""
WORDS = "KEY=VALUE..."
EXAMPLES = (
    "capacity model=efficientnet_lite0 task=imagenet_samples load=poisson --deadline '50 ms'",
    "capacity model=scene_detector task=digit_scenes system=cpu_1core,cpu_all --deadline '20 ms' --minutes 10",
)
KEEP = 0.99
SHORTEST_MINUTES, LONGEST_MINUTES = 1.0, 10**4
OURS = (
    "load.rate_per_s", "load.stream_s", "measurement.rule", "measurement.rule_options", "measurement.min_rounds", "measurement.max_rounds",
    "measurement.max_seconds", "measurement.repeat", "analysis.primary",
)  # fmt: skip
"""Keys that this command gives itself."""
NO_RATE = ("closed", "trace")
"""Loads that have no rate."""


def add_options(parser: LineParser) -> None:
    """Declare the verb's options."""
    parser.option("--deadline", metavar="TIME", help="from arrival to answer at most, such as '50 ms'")
    parser.option("--keep", type=_share, metavar="SHARE", help=f"of ideal quality that the mean must keep (default {KEEP:g})")
    parser.option("--answers", type=count, metavar="N", help="of a stream (default: 10 answers of it may be lost)")
    help_text = "end within so many minutes, with a report; streams are shorter where that is little"
    parser.option("--minutes", type=_minutes, metavar="M", help=help_text)
    add_config_dir(parser)
    add_full(parser)
    add_quiet(parser)
    add_trust(parser)


def read(line: Line) -> CapacitySearch:
    """Return what the command line says. Raises InputError."""
    found, overrides = line.options, overrides_alone(line)
    for word in overrides:
        key, _, value = word.lstrip("+~").partition("=")
        if key in OURS or key.startswith("measurement.rule_options."):
            raise InputError(f"{word}: capacity gives this key itself; leave it out")
        if key == "load" and value in NO_RATE:
            raise InputError(f"{word}: has no rate; capacity takes load=periodic, poisson or gamma")
    if found.deadline is None:
        raise InputError("capacity needs --deadline TIME: within which an answer must come, such as --deadline '50 ms'")
    if not any(word.startswith(("load=", "+sweep=")) for word in overrides):
        overrides = (*overrides, "load=poisson")
    composing = Composing(
        command=line.typed,
        overrides=overrides,
        multirun=True,
        config_dirs=tuple(found.config_dir),
        quiet=found.quiet,
        full=found.full,
        trust=found.trust,
    )
    return CapacitySearch(composing, found.deadline, found.keep or KEEP, found.answers, found.minutes)


def execute(options: CapacitySearch) -> int:
    """Search. Returns the exit code."""
    from orchestrator.commands.capacity import execute

    return execute(options)


def _share(text: str) -> float:
    if not 0 < (value := number(text)) < 1:
        raise argparse.ArgumentTypeError(f"{text[:40]!r}: must be a share between 0 and 1, such as 0.99")
    return value


def _minutes(text: str) -> float:
    if not SHORTEST_MINUTES <= (value := number(text)) <= LONGEST_MINUTES:
        raise argparse.ArgumentTypeError(f"{text[:40]!r}: must be a number of minutes from {SHORTEST_MINUTES:g} on, such as 10")
    return value
