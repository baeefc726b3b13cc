"""The command line: which verb it names, and what its words and options mean to that verb.

Every module of ``orchestrator/commands/verbs/`` is a verb, named as its file. Nothing here, and nothing at the top of those modules,
imports anything slow: help comes at once.
"""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from keyword import iskeyword
from pathlib import Path
from pkgutil import iter_modules
from typing import Any, Protocol, cast

from orchestrator.commands import verbs
from orchestrator.commands.parser import LineParser
from orchestrator.contracts import InputError
from orchestrator.running.signals import heed_signals

EMPTY = "''"
DEFAULT = "run"
"""The verb of a command line that begins with ``KEY=VALUE``."""
HELP = ("-h", "--help")
OVERVIEW = """\
usage: python -m orchestrator [VERB] [WORDS] [OPTIONS]      (without a verb: run)

{verbs}

  python -m orchestrator +sweep=vision               measure a sweep on this machine
  python -m orchestrator VERB --help                 what a verb takes, with examples
  python -m orchestrator --info                      the names of all models, tasks, systems, runtimes and sweeps
  python -m orchestrator --version                   print the version

exit codes: 0 all done, or passed; 1 a trial failed, a requirement is not met, or gate, verify or doctor found something bad;
2 a mistake in the command, configuration or plan; 3 no verdict of the gate, a requirement not shown, or no rate kept; 130 interrupted
"""


class Verb(Protocol):
    """What a module of ``verbs/`` offers.

    SUMMARY, ABOUT
        a line for the overview, and what the verb's own help says above its options.
    WORDS
        the words it takes, as its usage shows them.

    Examples
    --------
        two command lines, without the name of the program.
    """

    SUMMARY: str
    ABOUT: str
    WORDS: str
    EXAMPLES: tuple[str, str]

    def add_options(self, parser: LineParser) -> None:
        """Declare the verb's options."""

    def read(self, line: Line) -> Any:
        """Return the verb's own record of a command line. Raises InputError for words that it does not take."""

    def execute(self, options: Any) -> int:
        """Run it; return the exit code."""


@dataclass(frozen=True)
class Line:
    """A command line that has been taken apart.

    typed
        every word as the user typed it.
    words
        those that are neither the verb nor an option, in their order.
    options
        what the options say.
    """

    verb: str
    typed: tuple[str, ...]
    words: tuple[str, ...]
    options: argparse.Namespace


def run(typed: Sequence[str]) -> int:
    """Do what a command line says, or print help. Returns the exit code; raises InputError."""
    before, _ = _at_dashes(typed)
    if "--version" in before:
        import orchestrator

        print(f"tail-quality {orchestrator.__version__}")  # noqa: T201
        return 0
    wants_help = bool(set(HELP) & set(before)) or list(typed[:1]) == ["help"]
    name, rest = find_verb([word for word in typed if not wants_help or word not in (*HELP, "help")])
    if not typed or (wants_help and name is None):
        print(overview(), end="")  # noqa: T201
        return 0
    if wants_help:
        print(help_of(name or DEFAULT), end="")  # noqa: T201
        return 0
    verb = load(name or DEFAULT)
    asked = verb.read(parse(name or DEFAULT, rest, typed))
    heed_signals()
    return verb.execute(asked)


def find_verb(typed: Sequence[str]) -> tuple[str | None, list[str]]:
    """Return the verb that a line names, if any, and the line without it.

    The verb is the first word that is neither option nor option's value, unless it is ``KEY=VALUE``.

    Raises
    ------
    InputError
        for a word that is no verb.
    """
    first = _first_word(typed)
    if first is None:
        return None, list(typed)
    word = typed[first]
    if "=" in word:
        return DEFAULT, list(typed)
    if word not in names():
        nearest = get_close_matches(word, names(), n=1)
        meant = f"did you mean {nearest[0]}? Or choose" if nearest else "choose"
        raise InputError(f"{word or EMPTY}: there is no such verb; {meant} one of {', '.join(names())}, or start with KEY=VALUE")
    return word, [*typed[:first], *typed[first + 1 :]]


def parse(name: str, rest: Sequence[str], typed: Sequence[str] | None = None) -> Line:
    """Take the words and options of one verb apart.

    Raises
    ------
    InputError
        for an option that the verb does not have, naming the verbs that do, and for a value that does not fit.
    """
    before, after = _at_dashes(rest)
    parser = parser_of(name)
    # An unknown option may swallow the next word: it is reported before the words are looked at.
    found, extra = parser.parse_known_intermixed_args(before)
    if strange := [word for word in extra if word.startswith("-")]:
        raise InputError(_explain_option(name, strange[0].partition("=")[0]))
    words = (*found.words, *extra, *after)
    return Line(name, tuple(rest if typed is None else typed), words, found)


def names() -> tuple[str, ...]:
    """Return the names of all verbs. The file of one whose name is a word of Python's own ends with an underscore."""
    return tuple(sorted(module.name.removesuffix("_") for module in iter_modules(verbs.__path__)))


def load(name: str) -> Verb:
    """Return a verb."""
    return cast(Verb, import_module(f"{verbs.__name__}.{name}{'_' if iskeyword(name) else ''}"))


def parser_of(name: str) -> LineParser:
    """Return the parser of one verb."""
    verb = load(name)
    parser = LineParser(name, verb.WORDS, verb.ABOUT, verb.EXAMPLES)
    verb.add_options(parser)
    return parser


def help_of(name: str) -> str:
    """Return the help of one verb."""
    return parser_of(name).format_help()


def overview() -> str:
    """Return one line per verb, and how to go on from there."""
    return OVERVIEW.format(verbs="\n".join(f"  {name:<8}  {_summary(name)}" for name in names()))


def _summary(name: str) -> str:
    """Return a verb's line in the overview; help comes even if the file of one verb is broken."""
    try:
        return load(name).SUMMARY
    except Exception as error:
        return f"(its file cannot be used: {type(error).__name__}: {error})"


def _at_dashes(typed: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the words before and after ``--``, after which nothing is an option."""
    place = list(typed).index("--") if "--" in typed else len(typed)
    return list(typed[:place]), list(typed[place + 1 :])


def _first_word(typed: Sequence[str]) -> int | None:
    """Return the index of the first word that is neither an option nor the value of one."""
    takes_value = {option for name in names() for option in parser_of(name).takes_value} if typed and typed[0].startswith("-") else set()
    place = 0
    while place < len(typed):
        word = typed[place]
        if word == "--":
            return place + 1 if place + 1 < len(typed) else None
        if not word.startswith("-") or word == "-":
            return place
        place += 2 if word in takes_value else 1
    return None


def _explain_option(name: str, option: str) -> str:
    """Say in one line whose option that is, and what this verb takes."""
    own = parser_of(name).main_names
    takes = f"{name} takes {', '.join(own) or 'no option'}"
    see = f"see `orchestrator {name} --help`"
    if owners := [other for other in names() if option in parser_of(other).names]:
        return f"{option}: belongs to {_listed(owners)}; {takes}; {see}"
    nearest = get_close_matches(option, own, n=1)
    return f"{option}: there is no such option; {f'did you mean {nearest[0]}?' if nearest else takes + ';'} {see}"


def _listed(owners: Sequence[str]) -> str:
    return owners[0] if len(owners) == 1 else f"{', '.join(owners[:-1])} and {owners[-1]}"


PATHS = ("/", "./", "../", "~")
"""How a path begins that could be taken for ``KEY=VALUE``."""


def overrides_alone(line: Line) -> tuple[str, ...]:
    """Return the words of a verb that takes ``KEY=VALUE`` only. Raises InputError for any other."""
    for word in line.words:
        if not is_override(word):
            raise InputError(f"{word or EMPTY}: {line.verb} takes KEY=VALUE only; see `orchestrator {line.verb} --help`")
    return line.words


def _in_shell(word: str) -> str:
    """Return how a shell is given a folder or file of this name."""
    return shlex.quote(f"./{word}")


def split(line: Line, takes_overrides: bool) -> tuple[tuple[Path, ...], tuple[str, ...]]:
    """Return the directories and the overrides among the words of a line.

    Parameters
    ----------
    takes_overrides
        whether the verb takes ``KEY=VALUE`` at all; the keys are not checked here.

    Raises
    ------
    InputError
        for an empty word, and for an override where none is taken.
    """
    if "" in line.words:
        raise InputError(f"{EMPTY}: an empty word names nothing; leave it out, or give a directory; see `orchestrator {line.verb} --help`")
    overrides = tuple(word for word in line.words if is_override(word))
    directories = tuple(Path(word) for word in line.words if not is_override(word))
    for word in overrides:
        if _exists(word):
            raise InputError(f"{word}: is read as KEY=VALUE, and a folder or file has that name; write {_in_shell(word)} for that one")
        if not takes_overrides:
            raise InputError(f"{word}: {line.verb} takes no KEY=VALUE; leave it out, or write {_in_shell(word)} for a folder of that name")
    return directories, overrides


def is_override(word: str) -> bool:
    """Return whether a word is ``KEY=VALUE`` rather than a path."""
    return "=" in word and not word.startswith(PATHS)


def one_directory(line: Line, takes_overrides: bool) -> tuple[Path, tuple[str, ...]]:
    """Return the one directory that a verb takes, and the overrides. Raises InputError for none and for several."""
    directories, overrides = split(line, takes_overrides)
    if len(directories) != 1:
        raise InputError(
            f"{line.verb} takes one results directory, {counted(directories)}: name one, such as results/latest; "
            f"see `orchestrator {line.verb} --help`"
        )
    return directories[0], overrides


def counted(directories: tuple[Path, ...]) -> str:
    """Write how many directories there are, and which."""
    if not directories:
        return "none was given"
    shown = ", ".join(map(str, directories[:3])) + (", ..." if len(directories) > 3 else "")
    return f"{len(directories)} {'were' if len(directories) > 1 else 'was'} given ({shown})"


def _exists(word: str) -> bool:
    try:
        return Path(word).exists()
    except (OSError, ValueError):  # too long for a name, or not a valid one
        return False
