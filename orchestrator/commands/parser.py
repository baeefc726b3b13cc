"""One verb's options: argparse that raises instead of leaving, remembers what it was given, and keeps its help short."""

import argparse
import math
import re
import textwrap
from collections.abc import Callable, Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from orchestrator.contracts import InputError

HELP_WIDTH = 80
HELP_LINES = 20
OPTION_WIDTH = 26
MOST = 10**9
"""Largest count: rounds have 32-bit numbers."""


class LineParser(argparse.ArgumentParser):
    """The parser of one verb.

    names, main_names
        its options, as they may be typed, and one name of each.
    takes_value
        those whose value is the next word.
    """

    def __init__(self, verb: str, words: str, about: str, examples: Sequence[str]) -> None:
        self.names: list[str] = []
        self.main_names: list[str] = []
        self.takes_value: set[str] = set()
        shown = "\n".join(_folded(f"  python -m orchestrator {example}", " \\") for example in examples)
        super().__init__(
            prog=f"orchestrator {verb}",
            usage=_folded(f"usage: python -m orchestrator {' '.join(filter(None, [verb, words, '[OPTIONS]']))}").removeprefix("usage: "),
            description=textwrap.fill(" ".join(about.split()), HELP_WIDTH),
            epilog=f"examples:\n{shown}",
            formatter_class=_formatter,
            add_help=False,
            allow_abbrev=False,
        )
        self._options = self.add_argument_group("options")
        self.add_argument("words", nargs="*", help=argparse.SUPPRESS)

    def option(self, *names: str, **how: Any) -> None:
        """Declare one option."""
        action = self._options.add_argument(*names, **how)
        self.names.extend(names)
        self.main_names.append(names[-1])
        if action.nargs != 0:
            self.takes_value.update(names)

    def flag(self, *names: str, help: str) -> None:  # noqa: A002 - argparse's own name
        """Declare one option without a value."""
        self.option(*names, action="store_true", help=help)

    def format_help(self) -> str:
        """Return the help: lines of 80 columns, and 20 of them at most; blank ones only where there is room."""
        text = super().format_help()
        return text if text.count("\n") <= HELP_LINES else re.sub(r"\n\n+", "\n", text)

    def error(self, message: str) -> None:  # type: ignore[override]
        """Raise InputError with argparse's message."""
        raise InputError(f"{message}; see `{self.prog} --help`")


def _formatter(prog: str) -> argparse.HelpFormatter:
    return argparse.RawDescriptionHelpFormatter(prog, max_help_position=OPTION_WIDTH, width=HELP_WIDTH)


def _folded(words: str, going_on: str = "") -> str:
    """Return words on lines that are not too wide, each but the last with ``going_on`` behind it; what is in quotes stays together."""
    lines: list[str] = []
    for word in re.findall(r"\s*(?:'[^']*'|\S)+", words):
        if lines and len(lines[-1] + word) <= HELP_WIDTH - len(going_on):
            lines[-1] += word
        else:
            lines.append(word if not lines else f"      {word.lstrip()}")
    return f"{going_on}\n".join(lines)


def path(text: str) -> Path:
    """Read the name of a file or folder."""
    if not text:
        raise argparse.ArgumentTypeError("a folder or file was expected, and there is no name: give one")
    return Path(text)


def listed(text: str) -> tuple[str, ...]:
    """Read names with commas between them."""
    found = tuple(filter(None, text.split(",")))
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r}: names were expected, such as a or a,b: give one")
    return found


def count(text: str) -> int:
    """Read a whole number from 1 to `MOST`."""
    try:
        found = int(text)
    except ValueError:
        found = 0
    if not 1 <= found <= MOST:
        raise argparse.ArgumentTypeError(f"{text[:40]!r}: must be a whole number from 1 to {MOST:,}")
    return found


def number(text: str) -> float:
    """Read a number; NaN, which lies in no range, where there is none."""
    try:
        return float(text)
    except ValueError:
        return math.nan


def share(text: str) -> float:
    """Read a percentage above 0, such as 20 or 20%, as a share."""
    percent = number(text.removesuffix("%"))
    if not 0 < percent < MOST:
        raise argparse.ArgumentTypeError(f"{text[:40]!r}: must be a percentage above 0, such as 20")
    return percent / 100


def among(choices: Iterable[str]) -> Callable[[str], tuple[str, ...]]:
    """Return a reader of names among these, with commas between them."""
    known = tuple(choices)

    def read(text: str) -> tuple[str, ...]:
        found = listed(text)
        for name in found:
            if name not in known:
                nearest = get_close_matches(name, known, n=1)
                meant = f"did you mean {nearest[0]}? Or choose" if nearest else "choose"
                raise argparse.ArgumentTypeError(f"{name!r}: there is no such choice; {meant} of {', '.join(known)}")
        return found

    return read
