"""Values as YAML and the command line give them: plain, and bounded in number."""

import math

import yaml

from orchestrator.contracts import InputError

DEEPEST = 30
"""How deep a key's value may be nested."""

LARGEST = 2**128
"""No whole number in a file of this program lies further from 0."""

PLAIN = "null, true, false, a number, text, a list or a mapping"
SHOWN = 80


def check_plain(document: object, path: tuple[str, ...] = ()) -> None:
    """Refuse all but null, bools, finite numbers, valid Unicode text, lists, and dictionaries with text keys, as JSON stores them.

    Parameters
    ----------
    document
        a configuration, blocks of keys with their values, or a model's facts.
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
    if isinstance(document, dict):
        for name, value in document.items():
            if not isinstance(name, str):
                raise InputError(f"{key}: its key {_shown(name)} is no text; put it into quotes")
            _check_text(f"a key of {key}" if key else "a key", name)
            check_plain(value, (*path, name))
    elif isinstance(document, list | tuple):
        for index, value in enumerate(document):
            check_plain(value, (*path, str(index)))
    elif isinstance(document, str):
        _check_text(key, document)
    elif isinstance(document, int | float):
        _check_number(key, document)
    elif document is not None:
        raise InputError(f"{key}={_shown(document)}: must be {PLAIN}; write it as one of these, such as text")


def _check_text(key: str, text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InputError(
            f"{key}={_shown(text)}: holds half of a surrogate pair and is no Unicode text; write the character itself"
        ) from error


def _check_number(key: str, number: float) -> None:
    if isinstance(number, int) and abs(number) > LARGEST:  # not shown: Python refuses to print the largest
        raise InputError(f"{key}: is a whole number of more than 128 bits; write a smaller one, or text")
    if not math.isfinite(number):
        raise InputError(f"{key}={number}: must be a finite number; write null for none, or a number that is large enough")


def _shown(value: object) -> str:
    return ascii(value)[:SHOWN].replace("\n", " ")


MOST_VALUES = 20_000
"""Values of one file, each alias counted as what it stands for. The largest file shipped has a hundredth of it."""
MOST_BYTES = 2 * 2**20
SHORTEST_VALUE = 0.5
"""Characters that a value takes at least, as in ``[:,:]``: two pairs of an empty key and an empty value."""


def check_size(text: str, name: str) -> None:
    """Refuse a file that holds too many values. Of a text with an interpolation every character is one.

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
        raise InputError(
            f"{name}: comes to more than {MOST_VALUES:,} values with its aliases (*name) written out, each character of a text with an "
            "interpolation (${key}) among them: put data elsewhere"
        )


def count_values(node: yaml.Node | None, known: dict[int, int]) -> int:
    """Return how many values a node comes to; ``known`` remembers those of nodes that are reached again by an alias.

    A node inside itself counts once there: code that writes it out finds that it has no end.
    """
    if node is None:
        return 0
    if id(node) not in known:
        known[id(node)] = 1
        if isinstance(node, yaml.ScalarNode) and "${" in node.value:
            known[id(node)] += len(node.value)  # OmegaConf takes it apart character by character
        if isinstance(node, yaml.SequenceNode):
            known[id(node)] = 1 + sum(count_values(child, known) for child in node.value)
        elif isinstance(node, yaml.MappingNode):
            known[id(node)] = 1 + sum(count_values(child, known) for pair in node.value for child in pair)
    return known[id(node)]
