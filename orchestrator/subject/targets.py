"""The classes that YAML files name: found, constructed and checked, and where in the user's code one failed.

The user's own code is what is neither ours, nor a framework's, nor Python's: the modules of ``tasks`` and of ``code=[DIR]``.
"""

import importlib
import importlib.util
import os
import pkgutil
import re
import sys
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from traceback import TracebackException, walk_tb
from typing import Any

from orchestrator import metrics
from orchestrator.contracts import CUT, InputError, first_line
from orchestrator.endings import ends_the_program

OURS = ("orchestrator", "tasks")


def add_code_folders(folders: Sequence[str]) -> None:
    """Make the user's own modules importable, after everything that is importable already.

    Raises
    ------
    InputError
        for a folder that is not there.
    """
    for folder in folders:
        path = Path(folder).expanduser().absolute()
        if not path.is_dir():
            raise InputError(
                f"code={folder}: there is no such folder; it must hold the modules that your YAML files name", "not_found", "code", folder
            )
        if str(path) not in sys.path:
            sys.path.append(str(path))
        metrics.add_folders([path])


@contextmanager
def code_of_its_own() -> Iterator[None]:
    """Forget afterwards the user's folders that are added meanwhile, and all modules that came from them.

    So two versions of one module can be looked at in one process, one after the other.
    """
    before = [*sys.path]
    try:
        yield
    finally:
        if added := [Path(folder) for folder in sys.path if folder not in before]:
            sys.path[:] = before
            metrics.forget_folders(added)
            within = tuple({f"{folder}{os.sep}" for folder in added})  # as text: there are thousands of modules
            for name, module in list(sys.modules.items()):
                if str(getattr(module, "__file__", None)).startswith(within):
                    del sys.modules[name]
            importlib.invalidate_caches()


def check_packages(home: Path | None = None) -> None:
    """Refuse a stray module that hides one of our packages, as a ``tasks.py`` in the working directory does.

    ``home`` is the folder both packages must be in; that of the running orchestrator by default. Raises InputError.
    """
    home = Path(__file__).parents[2].resolve() if home is None else home
    for name in OURS:
        spec = importlib.util.find_spec(name)
        assert spec is not None
        places = [Path(place).resolve() for place in spec.submodule_search_locations or [spec.origin or ""]]
        if home / name not in places:
            raise InputError(
                f"{spec.origin or places[0]} hides the package {name} of tail-quality; rename it or start from another folder",
                "conflict",
                value=name,
            )


def resolve(block: str, target: str, options: Mapping[str, Any]) -> Any:
    """Construct the class that ``model.target`` or ``task.target`` names.

    ``block`` is ``model`` or ``task``, ``target`` is ``package.module:Class``, and ``options`` its keyword arguments: the YAML's own keys.
    Raises InputError if the module or class is not there, cannot be imported, or does not take these options.
    """
    where = f"{block}.target={target}"
    module, _, name = target.partition(":")
    with faults_of(where):
        try:
            found = pkgutil.resolve_name(target)
        except ModuleNotFoundError as error:
            advice = "correct the YAML, or name the folder of your own modules with code=[DIR]"
            if error.name and not module.startswith(error.name):
                advice = f"it is imported by {module}: install it"
            raise InputError(f"{where}: there is no module {error.name}; {advice}", "not_found", value=error.name) from error
        except AttributeError as error:
            raise InputError(f"{where}: module {module} has no {name}; correct the YAML", "unknown", value=name) from error
        return found(**options)


@contextmanager
def faults_of(where: str) -> Iterator[None]:
    """Turn what a user's file or class raises into one line that says where."""
    try:
        yield
    except InputError:
        raise
    except OSError as error:
        reason = f"{error.strerror}{place_of(error)}" if error.strerror else message_with_place(error)
        raise InputError(
            f"{error.filename or where}: cannot be read: {reason}; check the path and its permissions", "unreadable", value=error.filename
        ) from error
    except BaseException as error:
        if ends_the_program(error):
            raise
        raise InputError(
            f"{where}: raised {message_with_place(error)}; check its options, which the YAML sets, or the class itself"
        ) from error


MOST_CHARACTERS = 16_000  # a longer traceback keeps its beginning and its end
BEGINNING = 4_000
# Travels with an exception between processes, as everything in its ``__dict__`` does; its own traceback does not.
ATTRIBUTE = "traceback_text"

OUR_FOLDER = os.path.realpath(Path(__file__).parents[1])
TASKS = os.path.realpath(Path(__file__).parents[2] / "tasks")
LIBRARIES = tuple(os.path.realpath(sysconfig.get_paths()[name]) for name in ("stdlib", "platstdlib", "purelib", "platlib"))
INSTALLED = re.compile(r"[/\\](site|dist)-packages[/\\]")


def one_line(error: BaseException) -> str:
    """Return the kind and the first line of an exception's message."""
    name, line = type(error).__name__, first_line(error)
    return name if line == name else f"{name}: {line}"


def message_with_place(error: BaseException) -> str:
    """Return the kind, the first line of the message and, where there is one, the place in the user's own code."""
    return f"{one_line(error)}{place_of(error)}"


def place_of(error: BaseException) -> str:
    """Return `` (model.py, line 12, in preprocess)``: the innermost frame in the user's own code; nothing where there is none.

    A syntax error says itself where it is.
    """
    found: BaseException | None = error
    while found is not None and not isinstance(found, SyntaxError):
        places = [(frame.f_code, line) for frame, line in walk_tb(found.__traceback__) if is_users(frame.f_code.co_filename)]
        if places:
            code, line = places[-1]
            return f" ({harmless(Path(code.co_filename).name)}, line {line}, in {code.co_name})"
        found = found.__cause__ or (None if found.__suppress_context__ else found.__context__)
    return ""


@lru_cache(maxsize=4096)
def is_users(filename: str) -> bool:
    """Return whether a file is the user's own code."""
    if not Path(filename).is_absolute():  # made up while the program runs, or compiled elsewhere
        return False
    path = os.path.realpath(filename)
    if _inside(path, OUR_FOLDER):
        return False
    return _inside(path, TASKS) or not (INSTALLED.search(path) or any(_inside(path, library) for library in LIBRARIES))


def _inside(path: str, folder: str) -> bool:
    return path.startswith(folder + os.sep)


def traceback_text(error: BaseException | TracebackException) -> str:
    """Return a traceback with those of its causes as plain text of bounded length, without the values of variables."""
    whole = error if isinstance(error, TracebackException) else TracebackException.from_exception(error)
    text = harmless("".join(whole.format()))
    if len(text) <= MOST_CHARACTERS:
        return text
    left_out = f"{CUT}\n... {len(text) - MOST_CHARACTERS} characters left out ...\n{CUT}"
    return f"{text[:BEGINNING]}{left_out}{text[BEGINNING - MOST_CHARACTERS :]}"


def harmless(text: str) -> str:
    """Return a text with what could steer a terminal as backslash escapes. Ends of lines and tabs stay."""
    return "".join(letter if letter.isprintable() or letter in "\n\t" else letter.encode("unicode_escape").decode() for letter in text)


def keep_traceback(error: BaseException, text: str | None = None) -> None:
    """Put a traceback as text into an exception, its own where none is given, unless one is kept already."""
    if kept_traceback(error) is None:
        setattr(error, ATTRIBUTE, traceback_text(error) if text is None else text)


def traceback_of(error: BaseException) -> str:
    """Return the traceback that an exception has brought along, or its own."""
    return kept_traceback(error) or traceback_text(error)


def kept_traceback(error: BaseException) -> str | None:
    """Return the traceback that an exception has brought along as text."""
    found: str | None = getattr(error, ATTRIBUTE, None)
    return found
