"""Options that hold ``${oc.env:NAME}``: stored as written, since a variable may be a secret, and resolved where a target is constructed.

The trial's id must still tell two values apart. It covers a digest that takes long to make, so that a value cannot be tried out quickly,
and of which the id keeps 32 bits together with all else.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from orchestrator.configuration.config import Target, Trial
from orchestrator.configuration.path_options import path_options
from orchestrator.contracts import InputError

EXPRESSION = re.compile(r"\$\{oc\.env:([^{}:,\s]+)\}")
SALT = b"tail-quality: a value of the environment in a trial's id"
ITERATIONS = 200_000
SHORTEST = 6


def expression(name: str) -> str:
    """Return how a variable's value is written where it may not be stored."""
    return f"${{oc.env:{name}}}"


def resolved_text(text: str) -> str:
    """Return a text with the values of the variables that it names. Raises InputError for one that is not set."""

    def value(match: re.Match[str]) -> str:
        if match[1] not in os.environ:
            raise InputError(f"{match[0]}: the environment variable {match[1]} is not set; set it as it was when the campaign was begun")
        return os.environ[match[1]]

    return EXPRESSION.sub(value, text)


def resolved(trial: Trial) -> Trial:
    """Return a trial as its targets are to be constructed, with values in the place of expressions. It is never stored.

    Paths among these values are made absolute: the timed process starts in another folder. Raises InputError.
    """
    if not names_in(trial):
        return trial
    paths = {key: resolved_text(path) for key, path in trial.system.paths.items()}
    return trial.model_copy(
        update={
            "model": _with_values(trial.model),
            "task": _with_values(trial.task),
            "system": trial.system.model_copy(update={"paths": paths}),
        }
    )


def _with_values(target: Target) -> Target:
    values = {name: _each_text(value, resolved_text) for name, value in target.options.items()}
    changed = {name: value for name, value in values.items() if value != target.options[name]}
    return target.model_copy(update={"options": {**values, **path_options(changed, [])}})


def without_values(trial: Trial, text: str) -> str:
    """Return a text that a target has had a hand in, such as an exception's message, with expressions in place of values.

    Values of fewer than ``SHORTEST`` characters stay: they would be found in any text.
    """
    for name in names_in(trial):
        value = os.environ.get(name, "")
        if len(value) >= SHORTEST:
            text = text.replace(value, expression(name))
    return text


def hidden(trial: Trial, told: Any) -> Any:
    """Return plain values that a target has told, such as a model's facts, with expressions in place of values, in keys too."""
    return _each_text(told, lambda text: without_values(trial, text))


def names_in(trial: Trial) -> tuple[str, ...]:
    """Return the names of the variables that a trial's options and paths hold, sorted."""
    found: set[str] = set()

    def note(text: str) -> str:
        found.update(EXPRESSION.findall(text))
        return text

    _each_text([trial.model.options, trial.task.options, trial.system.paths], note)
    return tuple(sorted(found))


def has_expression(value: object) -> bool:
    """Return whether an option holds an expression."""
    return isinstance(value, str) and EXPRESSION.search(value) is not None


def known_by_digests(value: Any) -> Any:
    """Return an option as a trial's identity knows it: each expression with a digest of its value. Raises InputError."""
    return _each_text(value, lambda text: f"{text} {_digest(resolved_text(text))}" if has_expression(text) else text)


@lru_cache(maxsize=1024)
def _digest(text: str) -> str:
    return hashlib.pbkdf2_hmac("sha256", text.encode(errors="surrogateescape"), SALT, ITERATIONS).hex()


def _each_text(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {change(name) if isinstance(name, str) else name: _each_text(inside, change) for name, inside in value.items()}
    if isinstance(value, list | tuple):
        return [_each_text(inside, change) for inside in value]
    return value
