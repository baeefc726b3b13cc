"""Commands that a reader pastes: whole, on one line, and safe whatever a stranger's campaign holds."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

ORCHESTRATOR = "python -m orchestrator"
PLAIN = re.compile(r"[\w.,=+/\[\]-]+", re.ASCII)
OURS = ("measurement.repeat=", "results_dir=")
"""Words of a command that are given anew."""


class Command(str):
    """A command line, which is shown on a line of its own and never broken."""

    __slots__ = ()


def measured_again(words: Sequence[str], *more: str) -> Command:
    """Return the command that measures a campaign once more with ``more`` words.

    Parameters
    ----------
    words
        that measured it.

    Examples
    --------
    >>> measured_again(["run", "+sweep=mine", "results_dir=x"], "measurement.repeat=5")
    'python -m orchestrator +sweep=mine measurement.repeat=5'
    """
    return Command(" ".join([ORCHESTRATOR, words_again(words), *more]))


def words_again(words: Sequence[str]) -> str:
    """Return the words that measured a campaign, without those that are given anew; KEY=VALUE where there are none."""
    kept = [word for number, word in enumerate(words) if not word.startswith(OURS) and (number or word != "run")]
    return " ".join(plain_word(word, "KEY=VALUE") for word in kept) or "KEY=VALUE"


def plain_word(word: str, otherwise: str) -> str:
    """Return a word as one types it; one of a stranger that a shell or Markdown could read otherwise is replaced."""
    return shlex.quote(word) if PLAIN.fullmatch(word) else otherwise
