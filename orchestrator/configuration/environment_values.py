"""Options that hold ``${oc.env:NAME}``: stored as written, since a variable may be a secret, and resolved where a target is constructed.

The trial's id must still tell two values apart. It covers a digest that is slow to make, so that values cannot be guessed quickly; of it
and everything else the id keeps 32 bits.
"""

import hashlib
import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from orchestrator.configuration.config import Target, Trial
from orchestrator.configuration.hidden_text import SHORTEST_HIDDEN, Secret
from orchestrator.configuration.keys import WITH_OPTIONS, schema_keys
from orchestrator.configuration.server import ServerSettings
from orchestrator.contracts import InputError

EXPRESSION = re.compile(r"\$\{oc\.env:([^{}:,\s]+)\}")
SALT = b"tail-quality: a value of the environment in a trial's id"
ITERATIONS = 200_000
LONG = 40
"""A message may shorten a longer value."""
OF_A_SERVER = ("command", "environment", "settings", "version_command")
"""Keys of the block ``server`` that may hold expressions."""
CUT = re.compile(r" \(|\n\.\.\. \d+ characters left out \.\.\.\n")
"""What follows on a text that was cut: the place of an exception, or the mark of a traceback that was shortened."""


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
    if not variables_in(trial):
        return trial
    paths = {key: resolved_text(path) for key, path in trial.system.paths.items()}
    return trial.model_copy(
        update={
            "model": _with_values(trial.model),
            "task": _with_values(trial.task),
            "system": trial.system.model_copy(update={"paths": paths}),
            "server": _server_with_values(trial.server),
        }
    )


def _with_values(target: Target) -> Target:
    values = {name: _each_text(value, resolved_text) for name, value in target.options.items()}
    changed = {name: value for name, value in values.items() if value != target.options[name]}
    return target.model_copy(update={"options": {**values, **path_options(changed, [])}})


def _server_with_values(server: ServerSettings) -> ServerSettings:
    values = {key: _each_text(getattr(server, key), resolved_text) for key in OF_A_SERVER}
    return server.model_copy(update={key: tuple(value) if isinstance(value, list) else value for key, value in values.items()})


def without_values(trial: Trial, text: str) -> str:
    """Return a text that a target may have written, such as an exception's message, with expressions in place of values.

    Values of fewer than ``SHORTEST_HIDDEN`` characters stay: they would be found in any text.
    """
    for name in variables_in(trial):
        text = _without_value(text, name)
    return text


def _without_value(text: str, name: str, most: int | None = None) -> str:
    """Return a text without the value of a variable; with ``most``, without its first so many characters and what follows of it, too."""
    value, instead = os.environ.get(name, ""), expression(name)
    if len(value) < SHORTEST_HIDDEN:
        return text
    parts = [_secret(name, value).hide(part) for part in text.split(instead)]
    text = instead.join(part if most is None else _without_beginning(part, value, most, instead) for part in parts)
    for form in dict.fromkeys((value, repr(value)[1:-1], json.dumps(value)[1:-1])):
        text = _without_cut(text if form == value else text.replace(form, instead), form, instead)
    return text


def _without_beginning(text: str, value: str, most: int, instead: str) -> str:
    before, found, after = text.partition(value[:most])
    if not found or len(value) <= most:
        return text
    same = next((size for size, (one, other) in enumerate(zip(after, value[most:], strict=False)) if one != other), len(after))
    return before + instead + _without_beginning(after[same:], value, most, instead)


@lru_cache(maxsize=64)
def _secret(name: str, value: str) -> Secret:
    return Secret(value, expression(name), in_pieces=False)


ASKED: set[str] = set()
"""The variables whose values this process has put into configurations, of its own keys too."""


def without_asked(text: str) -> str:
    """Return a message about a configuration with expressions in place of values; it may have shortened longer ones."""
    for name in sorted(ASKED):
        text = _without_value(text, name, LONG)
    return text


def _without_cut(text: str, value: str, instead: str) -> str:
    """Return a text without the beginning or end of a value that was cut off where a long message was shortened."""
    for end in reversed([*(found.start() for found in CUT.finditer(text)), len(text)]):
        shown = next((size for size in range(len(value) - 1, SHORTEST_HIDDEN - 1, -1) if text.endswith(value[:size], 0, end)), 0)
        text = text[: end - shown] + (instead if shown else "") + text[end:]
    for start in reversed([found.end() for found in CUT.finditer(text)]):
        shown = next((size for size in range(len(value) - 1, SHORTEST_HIDDEN - 1, -1) if text.startswith(value[-size:], start)), 0)
        text = text[:start] + (instead if shown else "") + text[start + shown :]
    return text


def hidden(trial: Trial, values: Any) -> Any:
    """Return plain values from a target, such as a model's facts, with expressions in place of values, in keys too."""
    return _each_text(values, lambda text: without_values(trial, text))


def variables_in(trial: Trial) -> tuple[str, ...]:
    """Return the names of the variables that a trial's options, paths and server's command hold, sorted."""
    found: set[str] = set()

    def note(text: str) -> str:
        found.update(EXPRESSION.findall(text))
        return text

    _each_text([trial.model.options, trial.task.options, trial.system.paths, *(getattr(trial.server, key) for key in OF_A_SERVER)], note)
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


PATH_OPTIONS = ("path", "root")
"""Options of models and tasks that are paths by their name."""


def path_options(options: Mapping[str, Any], files: Sequence[Path]) -> dict[str, str]:
    """Return the options that are paths, made absolute: they exist, and are named so, look so or hold the files.

    A plain word such as ``split: val`` is not a path just because a folder of that name is in the working directory.
    """
    absolute = {file.absolute() for file in files}
    known = {parent for file in absolute for parent in file.parents} | absolute
    texts = {name: value for name, value in options.items() if isinstance(value, str)}
    return {name: str(Path(value).expanduser().absolute()) for name, value in texts.items() if _is_path(name, value, known)}


def _is_path(name: str, value: str, known: set[Path]) -> bool:
    path = Path(value).expanduser().absolute()
    try:
        exists = path.exists()
    except OSError:
        return False
    return exists and (name in PATH_OPTIONS or "/" in value or "\\" in value or path in known)


def keep_expressions(values: dict[str, Any], written: Mapping[str, Any], resolved_text: Callable[[str], str]) -> dict[str, Any]:
    """Return a document with expressions in place of values.

    Parameters
    ----------
    values, written
        the document with the values of variables, and with their expressions.
    resolved_text
        gives the text with values in place of expressions.

    Raises
    ------
    InputError
        for a text that its expression does not give back.
    """

    def kept(key: str, value: Any, expressed: Any) -> Any:
        if isinstance(value, dict):
            return {name: kept(f"{key}.{name}", inside, _inside(expressed, name)) for name, inside in value.items()}
        if isinstance(value, list):
            return [kept(f"{key}.{place}", inside, _inside(expressed, place)) for place, inside in enumerate(value)]
        if not isinstance(value, str) or value == expressed:
            return value
        if not isinstance(expressed, str) or resolved_text(expressed) != value:
            raise InputError(
                f"{key}: is made of an environment variable and could not be stored without its value; write ${{oc.env:NAME}} as text"
            )
        return expressed

    changed = dict(values)
    for block in WITH_OPTIONS:
        if isinstance(values.get(block), dict):
            ours = schema_keys(block)
            changed[block] = {
                name: value if name in ours else kept(f"{block}.{name}", value, _inside(written.get(block), name))
                for name, value in values[block].items()
            }
    system = values.get("system")
    if isinstance(system, dict) and isinstance(system.get("paths"), dict):
        paths = kept("system.paths", system["paths"], _inside(written.get("system"), "paths"))
        changed["system"] = {**system, "paths": paths}
    server = values.get("server")
    if isinstance(server, dict):
        expressed = written.get("server")
        told = {name: kept(f"server.{name}", server[name], _inside(expressed, name)) for name in OF_A_SERVER if name in server}
        changed["server"] = {**server, **told}
    return changed


def _inside(value: Any, place: str | int) -> Any:
    """Return a part of a value, None if it has another form."""
    try:
        return value[place]
    except (IndexError, KeyError, TypeError):
        return None
