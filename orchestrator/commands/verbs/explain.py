"""``explain DIR [TRIAL]``: what slow rounds and late answers go with."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.commands.line import Line, counted, split
from orchestrator.commands.parser import LineParser
from orchestrator.contracts import InputError

SUMMARY = "why rounds are slow: what late answers go with"
ABOUT = "Say which evidence moves with late answers, and how many are the sample's, the round's and nobody's; without TRIAL, of all trials."
WORDS = "DIR [TRIAL] [analysis.KEY=VALUE...]"
EXAMPLES = ("explain results/latest", "explain results/latest efficientnet_lite0-imagenet_samples-cpu_1core analysis.primary=p99")


@dataclass(frozen=True)
class Options:
    """What ``explain`` shows. ``trial`` is how an id begins or ends, or None for all trials; ``overrides`` change the analysis."""

    directory: Path
    trial: str | None = None
    overrides: Sequence[str] = ()


def add_options(parser: LineParser) -> None:
    """Declare the verb's options: none."""


def read(line: Line) -> Options:
    """Return what the command line says. Raises InputError."""
    words, overrides = split(line, takes_overrides=True)
    if not 1 <= len(words) <= 2:
        raise InputError(f"explain takes a results directory and a trial, {counted(words)}: such as `explain results/latest TRIAL`")
    return Options(words[0], str(words[1]) if len(words) == 2 else None, overrides)


def execute(options: Options) -> int:
    """Print what the late answers of one trial, or of all, go with. Returns the exit code."""
    from orchestrator.commands.explain import show_causes

    show_causes(options.directory, options.trial, options.overrides)
    return 0
