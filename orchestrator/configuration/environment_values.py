"""Options that hold ``${oc.env:NAME}``: stored as written, since a variable may be a secret, and resolved where a target is constructed.

The trial's id must still tell two values apart. It covers a digest that is slow to make, so that values cannot be guessed quickly; of it
and everything else the id keeps 32 bits.
"""

import hashlib
import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from orchestrator.configuration.config import Target, Trial, schema_keys
from orchestrator.configuration.fields import expression, hide, without
from orchestrator.contracts import InputError

EXPRESSION = re.compile(r"\$\{oc\.env:([^{}:,\s]+)\}")
SALT = b"tail-quality: a value of the environment in a trial's id"
ITERATIONS = 200_000
OF_A_SERVER = ("command", "environment", "settings", "version_command")  # keys of the block ``server`` that may hold expressions
PATH_OPTIONS = ("path", "root", "file")  # options of models and tasks that are paths by their name


@dataclass(frozen=True)
class Secret:
    """A server's token, which neither representation nor stored text shows."""

    token: str = field(repr=False)

    def hide(self, text: str) -> str:
        return hide(text, {self.token: "***"})


def has_expression(value: object) -> bool:
    """Return whether an option holds an expression."""
    return isinstance(value, str) and EXPRESSION.search(value) is not None


def resolved_text(text: str) -> str:
    """Return a text with the values of the variables that it names. Raises InputError for one that is not set."""
    for name in EXPRESSION.findall(text):
        if name not in os.environ:
            raise InputError(
                f"{expression(name)}: the environment variable {name} is not set; set it as when the campaign was begun", "missing", name
            )
    return EXPRESSION.sub(lambda match: os.environ[match[1]], text)


def resolved(trial: Trial) -> Trial:
    """Return a trial as its targets are to be constructed, with values in the place of expressions. It is never stored.

    Paths among these values are made absolute: the timed process starts in another folder. Raises InputError.
    """
    return trial.model_copy(
        update={
            "model": _with_values(trial.model),
            "task": _with_values(trial.task),
            "system": trial.system.model_copy(update={"paths": _each_text(trial.system.paths, resolved_text)}),
            "server": trial.server.model_copy(update={key: _each_text(getattr(trial.server, key), resolved_text) for key in OF_A_SERVER}),
        }
    )


def _with_values(target: Target) -> Target:
    values = _each_text(target.options, resolved_text)
    changed = {name: value for name, value in values.items() if value != target.options[name]}
    return target.model_copy(update={"options": {**values, **path_options(changed, [])}})


def without_values(trial: Trial, text: str) -> str:
    """Return a text that a target may have written, such as an exception's message, with expressions in place of values."""
    return without(text, variables_in(trial))


def hidden(trial: Trial, values: Any) -> Any:
    """Return plain values from a target, such as a model's facts, with expressions in place of values, in keys too."""
    return _each_text(values, lambda text: without_values(trial, text))


def variables_in(trial: Trial) -> tuple[str, ...]:
    """Return the names of the variables that a trial's options, paths and server's command hold, sorted."""
    parts = [trial.model.options, trial.task.options, trial.system.paths, *(getattr(trial.server, key) for key in OF_A_SERVER)]
    return tuple(sorted(set(EXPRESSION.findall(json.dumps(parts, ensure_ascii=False, default=str)))))


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
        return {_each_text(name, change): _each_text(inside, change) for name, inside in value.items()}
    return type(value)(_each_text(inside, change) for inside in value) if isinstance(value, list | tuple) else value


def path_options(options: Mapping[str, Any], files: Sequence[Path]) -> dict[str, str]:
    """Return the options that are paths, made absolute: they exist, and are named so, look so or hold the files.

    A plain word such as ``split: val`` is not a path just because a folder of that name is in the working directory.
    """
    absolute = {file.absolute() for file in files}
    known = {parent for file in absolute for parent in file.parents} | absolute
    texts = {name: value for name, value in options.items() if isinstance(value, str)}
    paths = {name: Path(value).expanduser().absolute() for name, value in texts.items()}
    return {
        name: str(path)
        for name, path in paths.items()
        if os.path.exists(path) and (name in PATH_OPTIONS or path in known or re.search(r"[/\\]", texts[name]))  # noqa: PTH110 - long text is none
    }


def keep_expressions(values: Mapping[str, Any], written: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document with expressions in place of values, in the keys that are a target's or a process's.

    ``values`` is the document with the values of variables, and ``written`` with their expressions. Raises InputError for a text that
    its expression does not give back.
    """

    def kept(key: str, value: Any, expressed: Any) -> Any:
        if isinstance(value, dict) and isinstance(expressed, dict):
            return {name: kept(f"{key}.{name}", inside, expressed.get(name)) for name, inside in value.items()}
        if isinstance(value, list) and isinstance(expressed, list):
            return [kept(f"{key}.{place}", *pair) for place, pair in enumerate(zip(value, expressed, strict=False))]
        if value == expressed or not isinstance(value, str | dict | list):
            return value
        if not isinstance(expressed, str) or resolved_text(expressed) != value:
            raise InputError(
                f"{key}: is made of an environment variable and could not be stored without its value; write ${{oc.env:NAME}} as text",
                "unsupported",
                key,
            )
        return expressed

    found = dict(values)
    for block in {"model", "task", "system", "server"} & values.keys():
        theirs = {"system": {"paths"}, "server": {*OF_A_SERVER}}.get(block) or {*values[block]} - schema_keys(block)
        expressed = {name: kept(f"{block}.{name}", values[block][name], written[block].get(name)) for name in theirs & {*values[block]}}
        found[block] = {**values[block], **expressed}
    return found
