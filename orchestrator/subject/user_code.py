"""Where in the user's own code an exception was raised, and the whole way there as text.

The user's own code is what is neither ours, nor a framework's, nor Python's: the modules of ``tasks`` and of ``code=[DIR]``.
"""

from __future__ import annotations

import os
import re
import sysconfig
import unicodedata
from functools import lru_cache
from pathlib import Path
from traceback import TracebackException, walk_tb

MOST_CHARACTERS = 16_000
"""A longer traceback keeps its beginning and its end."""
BEGINNING = 4_000
ATTRIBUTE = "traceback_text"
"""Travels with an exception between processes, as all that stands in its ``__dict__`` does; its own traceback does not."""

OURS = os.path.realpath(Path(__file__).parents[1])
TASKS = os.path.realpath(Path(__file__).parents[2] / "tasks")
LIBRARIES = tuple(os.path.realpath(sysconfig.get_paths()[name]) for name in ("stdlib", "platstdlib", "purelib", "platlib"))
INSTALLED = re.compile(r"[/\\](site|dist)-packages[/\\]")
BIDIRECTIONAL = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that turn the order of the text around them."""


def one_line(error: BaseException) -> str:
    """Return the kind and the first line of an exception's message."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:300]}" if lines else type(error).__name__


def told_with_place(error: BaseException) -> str:
    """Return the kind, the first line of the message and, where there is one, the place in the user's own code."""
    return f"{one_line(error)}{place_of(error)}"


def place_of(error: BaseException) -> str:
    """Return `` (model.py, line 12, in preprocess)``: the innermost frame in the user's own code; nothing where there is none.

    A syntax error says itself where it is.
    """
    seen: set[int] = set()
    found: BaseException | None = error
    while found is not None and id(found) not in seen and not isinstance(found, SyntaxError):
        seen.add(id(found))
        places = [(frame.f_code, line) for frame, line in walk_tb(found.__traceback__) if is_users(frame.f_code.co_filename)]
        if places:
            code, line = places[-1]
            return f" ({harmless(Path(code.co_filename).name)}, line {line}, in {code.co_name})"
        found = found.__cause__ or (None if found.__suppress_context__ else found.__context__)
    return ""


@lru_cache(maxsize=4096)
def is_users(filename: str) -> bool:
    """Return whether a file is the user's own code."""
    if filename.startswith("<"):  # made up while the program runs
        return False
    path = os.path.realpath(filename)
    if _inside(path, OURS):
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
    return f"{text[:BEGINNING]}\n... {len(text) - MOST_CHARACTERS} characters left out ...\n{text[BEGINNING - MOST_CHARACTERS :]}"


def harmless(text: str) -> str:
    """Return a text with whatever could steer a terminal written as a backslash escape. Ends of lines and tabs stay."""
    return "".join(map(_harmless, text))


def _harmless(letter: str) -> str:
    if letter in "\n\t" or (unicodedata.category(letter) not in ("Cc", "Cs") and letter not in BIDIRECTIONAL):
        return letter
    return letter.encode("unicode_escape").decode()


def keep_traceback(error: BaseException, text: str | None = None) -> None:
    """Put a traceback as text into an exception, its own where none is given, unless one is kept already."""
    if kept_traceback(error) is None:
        setattr(error, ATTRIBUTE, traceback_text(error) if text is None else text)


def traceback_of(error: BaseException) -> str:
    """Return the traceback that an exception has brought along, or its own."""
    return kept_traceback(error) or traceback_text(error)


def kept_traceback(error: BaseException) -> str | None:
    """Return the traceback that an exception has brought along as text."""
    found = getattr(error, ATTRIBUTE, None)
    return found if isinstance(found, str) else None
