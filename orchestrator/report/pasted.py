"""Commands that a reader pastes: whole, on one line, safe whatever a stranger's campaign holds."""

import re
import shlex
from collections.abc import Iterator, Sequence

from orchestrator.report.text import printable

ORCHESTRATOR = "python -m orchestrator"
# What a shell takes as it is; a time such as ``50 ms``, the value of an option; and KEY=VALUE with
# what a value of more than one word takes, and nothing that begins a command or fetches a value.
PLAIN = re.compile(r"[\w.,=+/\[\]-]+|\d+(\.\d+)? ?(ns|us|ms|s)", re.ASCII)
QUOTABLE = re.compile(r"[~+]{0,2}[\w./@-]+=[\w.,=+/\[\]{}()@:%*'\" -]*")
ADDRESS = "cluster.address="  # of a cluster that may be gone when the command is pasted
GIVEN_ANEW = ("measurement.repeat=", "results_dir=")


class Command(str):
    """A command line, which is shown on a line of its own and never broken."""

    __slots__ = ()


def measured_again(words: Sequence[str], *more: str) -> Command:
    """Return the command that measures what ``words`` measured once more, with ``more`` words.

    Examples
    --------
    >>> measured_again(["run", "+sweep=mine", "results_dir=x"], "measurement.repeat=5")
    'python -m orchestrator +sweep=mine measurement.repeat=5'
    """
    return Command(" ".join([ORCHESTRATOR, words_again(words), *more]))


def words_again(words: Sequence[str]) -> str:
    """Return the words that measured a campaign, without those that are given anew and ``--quiet``.

    KEY=VALUE where there are none. Of a key that is given twice the last value counts; options stay
    as often as they are given. Where a cluster was is left to the reader.

    Examples
    --------
    >>> words_again(["cluster=a", "cluster.address=10.0.0.1:6379", "cluster.machines=node"])
    'cluster=a cluster.address=HOST:PORT cluster.machines=node'
    >>> words_again(["run", "cluster.machines=boot_id", "cluster.machines=node"])
    'cluster.machines=node'
    """
    kept: dict[object, str] = {}
    for number, word in enumerate(words):
        if not word.startswith(GIVEN_ANEW) and word != "--quiet" and (number or word != "run"):
            is_key = word == "-m" or ("=" in word and not word.startswith("--"))
            kept[word.partition("=")[0] if is_key else number] = word
    shown = (
        f"{ADDRESS}HOST:PORT" if word.startswith(ADDRESS) else plain_word(word, "KEY=VALUE")
        for word in kept.values()
    )
    return " ".join(shown) or "KEY=VALUE"


def pair_again(before: Sequence[str], after: Sequence[str]) -> str | None:
    """Return what follows ``compare --run``: the words of either side, and those of both.

    None where a side has no words, or they could be read otherwise.
    """
    mine, theirs = list(choosing(before)), list(choosing(after))
    both = [word for word in theirs if word in mine]
    own = [[word for word in words if word not in both] for words in (mine, theirs)]
    if not all(own):  # neither side may be empty
        own, both = [mine, theirs], []
    if not all(own) or not all(plain_word(word, "") for words in own for word in words):
        return None
    inner = [
        shlex.join(words) if set(" '\"") & set("".join(words)) else " ".join(words) for words in own
    ]
    return " ".join([*map(shlex.quote, inner), *([words_again(both)] if both else [])])


def choosing(command: Sequence[str]) -> Iterator[str]:
    """Yield the words of a command that choose trials, an option with its folder as one."""
    words = iter(command)
    for word in words:
        if word == "--config-dir":
            yield f"{word}={next(words, '.')}"
        elif word in ("-m", "--multirun"):
            yield "-m"
        elif (
            "=" in word
            and (not word.startswith("-") or word.startswith("--config-dir="))
            and not word.startswith(GIVEN_ANEW)
        ):
            yield word


def plain_word(word: str, otherwise: str) -> str:
    """Return a word as one types it, in quotes where a shell needs them.

    One of a stranger that could be read otherwise is replaced.
    """
    safe = PLAIN.fullmatch(word) or (QUOTABLE.fullmatch(word) and printable(word) == word)
    return shlex.quote(word) if safe else otherwise
