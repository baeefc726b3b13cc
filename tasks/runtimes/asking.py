"""Runtimes that ask a server: one file each, found by the runtime's name.

A further one is a file ``tasks/runtimes/NAME.py``, or ``NAME.py`` in a folder of ``code=[DIR]``, with a class ``Asking`` as below, and
``conf/runtime/NAME.yaml`` with ``asks_server: true``. It turns what a model prepares into a request, and the reply into what the model
reads; connections, clocks and faults are the program's own.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable, Mapping
from pkgutil import resolve_name
from typing import Any, Protocol

from orchestrator.contracts import InputError, LoadContext, Reply, Request, ServerFault, first_line


class Asking(Protocol):
    """The language of a server. It is constructed with the keys that a model's YAML gives to ``request``.

    Several threads call it at once, so that it keeps nothing of one request for the next.
    """

    facts: Mapping[str, Any]
    """What results are to say of it, as plain JSON values."""

    def upload(self, inputs: Any) -> Request:
        """Return the request for one batch."""

    def download(self, reply: Reply) -> Any:
        """Return what the server answered. Raises ServerFault for what is no such answer.

        For a streamed answer it calls ``reply.came`` with the moments of its pieces.
        """


class AskedSession:
    """A session between a model and a server: it stands where that of a network in this process does."""

    def __init__(self, context: LoadContext, asking: Asking) -> None:
        if context.server is None:
            raise InputError(
                f"runtime={context.runtime} asks a server and none is named; add server=url server.name=NAME server.url=URL",
                "missing",
                "server",
            )
        self.upload = asking.upload
        self.infer = context.server.ask
        self.download: Callable[[Reply], Any] = asking.download
        self.facts: Mapping[str, Any] = {"threads": {}, **asking.facts}


def open_asking(context: LoadContext, options: Mapping[str, Any]) -> AskedSession:
    """Open the session of ``context.runtime`` with the options of its requests.

    Raises
    ------
    InputError
        for a runtime that has no file, and options that it does not take.
    """
    return AskedSession(context, make_asking(context, options))


def make_asking(context: LoadContext, options: Mapping[str, Any]) -> Asking:
    """Return the language of ``context.runtime``. Errors are those of `open_asking`."""
    name = context.runtime
    module = f"tasks.runtimes.{name}" if importlib.util.find_spec(f"tasks.runtimes.{name}") else name
    try:
        found = resolve_name(f"{module}:Asking")
    except (AttributeError, ImportError, ValueError) as error:
        raise InputError(
            f"runtime={name}: there is no class Asking in a file {name}.py; choose another runtime", "unknown", "runtime", name
        ) from error
    try:
        asking: Asking = found(**options)
    except TypeError as error:
        raise InputError(f"model.request: {error}; its keys must be those of runtime={name}", key="model.request") from error
    return asking


def one_text(inputs: Any, runtime: str) -> str:
    """Return the text of a batch of one. Raises InputError for several: each needs a request of its own."""
    texts = [inputs] if isinstance(inputs, str) else list(inputs)
    if len(texts) != 1:
        raise InputError(
            f"measurement.batch={len(texts)}: runtime={runtime} sends one sample a request; set measurement.batch=1",
            "unsupported",
            "measurement.batch",
            len(texts),
        )
    return texts[0] if isinstance(texts[0], str) else str(texts[0])


def read_json(body: bytes) -> Any:
    """Return what JSON says. Raises ServerFault for what is none."""
    try:
        return json.loads(body)
    except RecursionError:
        raise ServerFault("the answer is JSON that is nested too deeply") from None
    except UnicodeDecodeError as error:
        raise ServerFault(f"the answer is no JSON: byte {error.start} is no text in UTF-8") from None
    except json.JSONDecodeError as error:
        raise ServerFault(f"the answer is no JSON ({first_line(error)})") from None
    except ValueError:
        raise ServerFault(f"the answer is no JSON: a number of it has more than {sys.get_int_max_str_digits():,} digits") from None


def inside(document: Any, *path: str | int) -> Any:
    """Return a part of an answer. Raises ServerFault where it has another form."""
    found = document
    for part in path:
        # A text or a number has parts for Python, and none for JSON.
        if not isinstance(found, dict if isinstance(part, str) else dict | list):
            raise _without(document, path)
        try:
            found = found[part]
        except (IndexError, KeyError, TypeError):
            raise _without(document, path) from None
    return found


def _without(document: Any, path: tuple[str | int, ...]) -> ServerFault:
    return ServerFault(f"the answer has no {'.'.join(map(str, path))}: {json.dumps(document)[:200]}")
