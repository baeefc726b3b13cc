"""The runtime ``http_json``: any server that takes JSON by POST and answers JSON; a template says where what stands."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from orchestrator.contracts import InputError, Reply, Request, ServerFault
from tasks.runtimes.asking import inside, read_json

PLACE = re.compile(r"\{(\w+)\}")


class Asking:
    """Fills a template with what the model prepares and reads one place of the answer.

    Parameters
    ----------
    path
        follows the server's URL.
    body
        the request as it would stand in JSON. A text that is ``{NAME}`` as a whole becomes that value, whatever it is; within a longer
        text, ``{NAME}`` becomes its words.
    answer
        where the answer stands: names and numbers with dots between them, such as ``outputs.0.label``; empty for the whole.
    headers
        further headers. A token does not belong here: ``server.token_env`` names the variable that holds it.
    """

    def __init__(self, body: Any, path: str = "/", answer: str = "", headers: Mapping[str, str] | None = None) -> None:
        if not path.startswith("/"):
            raise InputError(f"model.request.path={path}: must begin with /; correct it", key="model.request.path", value=path)
        self._path, self._body = path, body
        self._answer = tuple(int(part) if part.isdecimal() else part for part in answer.split(".")) if answer else ()
        self._headers = dict(headers or {})
        if not places(body):
            raise InputError(
                "model.request.body holds no place such as '{text}', so that every request would be the same; add one",
                key="model.request.body",
            )
        self.facts: Mapping[str, Any] = {"path": path, "answer": answer}

    def upload(self, inputs: Mapping[str, Any]) -> Request:
        """Return the request for values by the names of their places."""
        missing = sorted(places(self._body) - set(inputs))
        if missing:
            raise InputError(
                f"model.request.body: there is no {{{missing[0]}}}; this model gives {', '.join(sorted(inputs))}",
                "unknown",
                "model.request.body",
                missing[0],
            )
        return Request(self._path, json.dumps(filled(self._body, inputs), separators=(",", ":")).encode(), self._headers)

    def download(self, reply: Reply) -> Any:
        """Return what stands in the answer's place."""
        document = read_json(reply.body)
        if isinstance(document, dict) and set(document) == {"error"}:
            raise ServerFault(f"an error in place of an answer: {json.dumps(document['error'])[:200]}")
        return inside(document, *self._answer)


def places(body: Any) -> set[str]:
    """Return the names of a template's places."""
    if isinstance(body, str):
        return set(PLACE.findall(body))
    parts = list(body.values()) if isinstance(body, Mapping) else body if isinstance(body, list | tuple) else []
    return {name for part in parts for name in places(part)}


def filled(body: Any, values: Mapping[str, Any]) -> Any:
    """Return a template with values in its places."""
    if isinstance(body, str):
        whole = PLACE.fullmatch(body)
        return values[whole[1]] if whole else PLACE.sub(lambda match: str(values[match[1]]), body)
    if isinstance(body, Mapping):
        return {name: filled(part, values) for name, part in body.items()}
    return [filled(part, values) for part in body] if isinstance(body, list | tuple) else body
