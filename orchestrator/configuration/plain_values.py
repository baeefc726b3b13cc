"""Values as YAML and the command line give them: plain, and bounded in number."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import yaml

from orchestrator.contracts import InputError

DEEPEST = 30
"""How deep a key's value may be nested."""

PLAIN = "null, true, false, a number, text, a list or a mapping"
SHOWN = 80


def check_plain(document: object, path: tuple[str, ...] = ()) -> None:
    """Refuse all but null, bools, finite numbers, valid Unicode text, lists, and mappings with text keys.

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


MOST_VALUES = 20_000
"""Values of one file, each alias counted as what it stands for. The largest file shipped has a hundredth of it."""
MOST_BYTES = 2 * 2**20
SHORTEST_VALUE = 0.5
"""Characters that a value takes at least, as in ``[:,:]``: two pairs of an empty key and an empty value."""


def check_size(text: str, name: str) -> None:
    """Refuse a file that holds too many values.

    Raises
    ------
    InputError
        with the name and the bound.
    yaml.YAMLError, RecursionError
        for invalid YAML, or YAML nested deeper than Python's stack, where values have to be counted: not in a short text without an alias.
    """
    if "*" not in text and len(text) < SHORTEST_VALUE * MOST_VALUES:
        return
    size = len(text.encode(errors="surrogatepass"))
    if size > MOST_BYTES:
        raise InputError(f"{name}: has {size:,} bytes, and a configuration has at most {MOST_BYTES:,}: put data into a file of its own")
    if count_values(yaml.compose(text, Loader=yaml.SafeLoader), {}) > MOST_VALUES:
        raise InputError(f"{name}: comes to more than {MOST_VALUES:,} values with its aliases (*name) written out: put data elsewhere")


def count_values(node: yaml.Node | None, known: dict[int, int]) -> int:
    """Return how many values a node comes to; ``known`` remembers those of nodes that are reached again by an alias.

    A node inside itself counts once there: code that writes it out finds that it has no end.
    """
    if node is None:
        return 0
    if id(node) not in known:
        known[id(node)] = 1
        if isinstance(node, yaml.SequenceNode):
            known[id(node)] = 1 + sum(count_values(child, known) for child in node.value)
        elif isinstance(node, yaml.MappingNode):
            known[id(node)] = 1 + sum(count_values(child, known) for pair in node.value for child in pair)
    return known[id(node)]


REFERENCE = re.compile(r"\$\{(\.*)([^${}:]+)\}")
"""An interpolation of another value: the dots of a relative one, and its key."""


def check_references(document: Any) -> None:
    """Refuse a composed document, not resolved yet, whose interpolations of each other come to more text than a file may hold.

    Raises
    ------
    InputError
        with the bound.
    """
    try:
        size = _written_out(document, (), document, {})
    except RecursionError:
        size = MOST_BYTES + 1
    if size > MOST_BYTES:
        raise InputError(
            f"the configuration comes to more than {MOST_BYTES:,} characters with its interpolations (${{key}}) written out: "
            "have fewer of them name each other"
        )


def _written_out(value: Any, path: tuple[str, ...], document: Any, known: dict[tuple[str, ...], int]) -> int:
    """Return how many characters a value comes to; ``known`` has those of values that are named again, and 1 of one inside itself."""
    if path not in known:
        known[path] = 1
        if isinstance(value, Mapping | list):
            inner = value.items() if isinstance(value, Mapping) else enumerate(value)
            known[path] = 1 + sum(_written_out(child, (*path, str(key)), document, known) for key, child in inner)
        elif isinstance(value, str):
            named = [_named(path, dots, key) for dots, key in REFERENCE.findall(value)]
            known[path] = len(value) + sum(_written_out(_at(document, target), target, document, known) for target in named)
    return known[path]


def _named(path: tuple[str, ...], dots: str, key: str) -> tuple[str, ...]:
    return (*(path[: -len(dots)] if dots else ()), *re.split(r"[.\[\]]+", key.strip().strip("[]")))


def _at(document: Any, path: tuple[str, ...]) -> Any:
    """Return the value at a place; None where there is none, which OmegaConf says in words of its own."""
    for key in path:
        if isinstance(document, Mapping):
            document = document.get(key)
        elif isinstance(document, list) and key.isdecimal() and int(key) < len(document):
            document = document[int(key)]
        else:
            return None
    return document
