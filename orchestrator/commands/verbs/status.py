"""``status DIR``: how far a campaign has come; a running one is not disturbed."""

from pathlib import Path

from orchestrator.commands.line import Line, one_directory
from orchestrator.commands.parser import LineParser

SUMMARY = "how far a campaign has come"
ABOUT = "List the trials of a campaign: state, rounds, faults, host, and why each ended. A running campaign is not disturbed."
WORDS = "DIR"
EXAMPLES = ("status results/latest", "status results/vision/2026-03-02T09-00-00Z")


def add_options(parser: LineParser) -> None:
    """Declare the verb's options: it has none."""


def read(line: Line) -> Path:
    """Return the directory. Raises InputError."""
    return one_directory(line, takes_overrides=False)[0]


def execute(directory: Path) -> int:
    """Print one line per trial. Returns the exit code."""
    from orchestrator.commands.inspect import show_status

    show_status(directory)
    return 0
