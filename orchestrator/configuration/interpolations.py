"""How much a configuration may come to: every ``${...}`` that OmegaConf evaluates is counted, whichever resolver it names."""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from omegaconf import Container, Node, OmegaConf

from orchestrator.configuration.plain_values import MOST_BYTES
from orchestrator.contracts import InputError

MOST_EVALUATED = 1_000
"""Of one configuration, which takes about a second; people write a few."""
CALLBACKS = "_resolve_node_interpolation", "_evaluate_custom_resolver"
"""Through which OmegaConf evaluates ``${key}`` and ``${resolver:...}``, each once for every occurrence."""


class _TooMuch(BaseException):
    """Not to be caught by OmegaConf, which words all exceptions anew."""


@contextmanager
def bounded() -> Iterator[None]:
    """Refuse a configuration that evaluates too many interpolations, or whose interpolations come to too much text.

    Raises
    ------
    InputError
        with the bound.
    """
    count = _Count()
    before = {name: getattr(Container, name) for name in CALLBACKS}
    try:
        for name, evaluate in before.items():
            setattr(Container, name, count.counting(evaluate))
        yield
    except _TooMuch:
        raise InputError(
            f"the configuration evaluates more than {MOST_EVALUATED:,} interpolations (${{key}}), or comes to more than {MOST_BYTES:,} "
            "characters with them written out: have fewer of them name each other"
        ) from None
    finally:
        for name, evaluate in before.items():
            setattr(Container, name, evaluate)


class _Count:
    def __init__(self) -> None:
        self._evaluated = self._characters = 0

    def counting(self, evaluate: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that counts before it evaluates, and what comes out of it."""

        def counted(*arguments: Any, **named: Any) -> Any:
            self._evaluated += 1
            if self._evaluated > MOST_EVALUATED:
                raise _TooMuch
            found = evaluate(*arguments, **named)
            self._add(_plain(found))
            return found

        return counted

    def _add(self, value: Any) -> None:
        if isinstance(value, Mapping):
            for key, inner in value.items():
                self._add(key)
                self._add(inner)
        elif isinstance(value, list):
            for inner in value:
                self._add(inner)
        self._characters += len(value) if isinstance(value, str) else 1
        if self._characters > MOST_BYTES:
            raise _TooMuch


def _plain(found: Any) -> Any:
    if isinstance(found, Container):
        return OmegaConf.to_container(found, resolve=False)
    return found._value() if isinstance(found, Node) else found


def literal(value: Any) -> Any:
    r"""Return a plain value in whose texts OmegaConf finds no interpolation.

    Examples
    --------
    >>> literal({"name": "${oc.env:HOME}", "list": ["a", 1]})
    {'name': '\\${oc.env:HOME}', 'list': ['a', 1]}
    """
    if isinstance(value, Mapping):
        return {key: literal(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [literal(inner) for inner in value]
    return re.sub(r"(\\*)\$\{", r"\1\1\\${", value) if isinstance(value, str) else value
