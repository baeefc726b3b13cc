"""How much a YAML file comes to when its aliases are written out, found before anybody writes them out (pure).

Nine aliases of nine aliases of nine ... are a file of a few lines and more values than any memory holds.
"""

from __future__ import annotations

import yaml

from orchestrator.contracts import InputError

MOST_VALUES = 20_000
"""Values of one file, each alias counted as all that it stands for. The largest file shipped has a hundredth of it."""
MOST_BYTES = 2 * 2**20


def check_size(text: str, name: str) -> None:
    """Refuse a file that would come to too many values.

    Raises
    ------
    InputError
        with the name and the bound.
    yaml.YAMLError, RecursionError
        for what is no YAML, or is nested deeper than Python's stack.
    """
    size = len(text.encode(errors="surrogatepass"))
    if size > MOST_BYTES:
        raise InputError(f"{name}: has {size:,} bytes, and a configuration has at most {MOST_BYTES:,}: put data into a file of its own")
    if count(yaml.compose(text, Loader=yaml.SafeLoader), {}) > MOST_VALUES:
        raise InputError(f"{name}: comes to more than {MOST_VALUES:,} values with its aliases (*name) written out: put data elsewhere")


def count(node: yaml.Node | None, known: dict[int, int]) -> int:
    """Return how many values a node comes to; ``known`` remembers those of nodes that are reached again by an alias.

    A node inside itself counts once there: whoever writes it out will find that it has no end.
    """
    if node is None:
        return 0
    if id(node) not in known:
        known[id(node)] = 1
        if isinstance(node, yaml.SequenceNode):
            known[id(node)] = 1 + sum(count(child, known) for child in node.value)
        elif isinstance(node, yaml.MappingNode):
            known[id(node)] = 1 + sum(count(child, known) for pair in node.value for child in pair)
    return known[id(node)]
