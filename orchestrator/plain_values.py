"""What a configuration may hold: values that JSON gives back as they were, so that a campaign is resumed with what it began with."""

from __future__ import annotations

import math
from collections.abc import Mapping

from orchestrator.contracts import InputError

DEEPEST = 30
"""So deep may the value of a key be nested."""

PLAIN = "null, true, false, a number, text, a list or a mapping"
SHOWN = 80


def check_plain(document: object, path: tuple[str, ...] = ()) -> None:
    """Refuse whatever is no null, bool, finite number, valid Unicode text, list, or mapping with text keys.

    Parameters
    ----------
    document
        a configuration: blocks of keys with their values.
    path
        where in the configuration it stands.

    Raises
    ------
    InputError
        with the first key whose value breaks a rule.
    """
    key = ".".join(path)[:SHOWN]
    if len(path) > DEEPEST + 2:  # a block, its key, and what is inside
        raise InputError(f"{'.'.join(path[:2])}: is nested more than {DEEPEST} deep; flatten it, or put it into a file of its own")
    if isinstance(document, Mapping):
        for name, value in document.items():
            if not isinstance(name, str):
                raise InputError(f"{key}: its key {_shown(name)} is no text; put it into quotes")
            _check_text(f"a key of {key}" if key else "a key", name)
            check_plain(value, (*path, name))
    elif isinstance(document, list):
        for index, value in enumerate(document):
            check_plain(value, (*path, str(index)))
    elif isinstance(document, str):
        _check_text(key, document)
    elif isinstance(document, int | float):
        _check_number(key, document)
    elif document is not None:
        raise InputError(f"{key}={_shown(document)}: must be {PLAIN}; write it as text")


def _check_text(key: str, text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InputError(
            f"{key}={_shown(text)}: holds half of a surrogate pair and is no Unicode text; write the character itself"
        ) from error


def _check_number(key: str, number: float) -> None:
    try:
        finite = math.isfinite(float(number))
    except OverflowError:  # a whole number beyond all floats; Python would not even print it
        raise InputError(f"{key}: is a whole number beyond 1.8e308; write a smaller one, or text") from None
    if not finite:
        raise InputError(f"{key}={number}: must be a finite number; write null for none, or a number that is large enough")


def _shown(value: object) -> str:
    return ascii(value)[:SHOWN]
