"""The runtime ``openai``: chat/completions and completions as vLLM, llama.cpp, transformers and many others serve them, streamed or not.

Source: https://platform.openai.com/docs/api-reference. Of a streamed answer, response headers and an empty chunk with the role come long
before the first token: first is the first piece of content that is not empty.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.contracts import SALT, InputError, Reply, Request, ServerFault
from tasks.prompt import Prompt
from tasks.runtimes.asking import inside, one_text, read_json

CACHES = ("as_is", "salted")
PATHS = {"chat": "/v1/chat/completions", "completions": "/v1/completions"}
DATA = b"data:"
END = b"[DONE]"
COUNTS = ("usage", "timings")
"""Keys of an answer or event that hold numbers of tokens; llama.cpp alone has the second."""
OF_STREAM = (DATA, b":", b"event:", b"id:", b"retry:")
"""How lines of a stream of events begin."""


class Asking:
    """Asks for the continuation of a text, the likeliest one unless ``temperature`` says otherwise.

    Parameters
    ----------
    server_model
        the model's name on the server.
    api
        ``chat`` (the text is a user's message) or ``completions`` (the text is continued as it is).
    system
        a message that goes before the user's under ``chat``, or None.
    max_tokens, temperature, seed, stop
        of the answer; None leaves them to the server.
    stream
        whether the answer comes piece by piece, so that its first token has a time.
    usage
        whether a streamed answer is to say how many tokens it had; without that, pieces are counted.
    more
        further keys of the request.
    cache
        ``as_is``, or ``salted``: digits that are new in every round go before each prompt, so that no cache of prompts knows it.
    """

    def __init__(
        self,
        server_model: str,
        api: str = "chat",
        system: str | None = None,
        max_tokens: int | None = 16,
        temperature: float | None = 0.0,
        seed: int | None = 0,
        stop: Sequence[str] | None = None,
        stream: bool = True,
        usage: bool = True,
        more: Mapping[str, Any] | None = None,
        cache: str = "as_is",
    ) -> None:
        if cache not in CACHES:
            raise InputError(
                f"model.request.cache={cache} must be one of: {', '.join(CACHES)}; correct it", "unknown", "model.request.cache", cache
            )
        if api not in PATHS:
            raise InputError(f"model.request.api={api} must be one of: {', '.join(PATHS)}; correct it", "unknown", "model.request.api", api)
        if system is not None and api != "chat":
            raise InputError(
                "model.request.system is a message of api=chat; leave it out, or put it before the prompt",
                "conflict",
                "model.request.system",
            )
        self._chat = api == "chat"
        self._path = PATHS[api]
        self._salt = SALT if cache == "salted" else ""
        self._system = [] if system is None else [{"role": "system", "content": system}]
        self._stream = stream
        settings = {"max_tokens": max_tokens, "temperature": temperature, "seed": seed, "stop": None if stop is None else list(stop)}
        self._fixed: dict[str, Any] = {
            "model": server_model,
            **{name: value for name, value in settings.items() if value is not None},
            "stream": stream,
            **({"stream_options": {"include_usage": True}} if stream and usage else {}),
            **(more or {}),
        }
        self.facts: Mapping[str, Any] = {
            "server_model": server_model,
            "api": api,
            "streamed": stream,
            "cache": cache,
            "request": dict(self._fixed),
        }

    def upload(self, inputs: Any) -> Request:
        """Return the request for one text; one with earlier messages, or a length of its answer, has them too."""
        prompt = Prompt.of(one_text(inputs, "openai"))
        messages = [*self._system, *prompt.messages]
        if self._salt:
            messages[0] = {**messages[0], "content": self._salt + messages[0]["content"]}
        asked: dict[str, Any] = {"messages": messages} if self._chat else {"prompt": self._salt + prompt}
        if prompt.max_tokens is not None:
            asked["max_tokens"] = prompt.max_tokens
        return Request(self._path, json.dumps({**self._fixed, **asked}, separators=(",", ":")).encode(), streamed=self._stream)

    def download(self, reply: Reply) -> list[str]:
        """Return the text of the answer, as a list of one. Raises ServerFault for what is none, or has not come to its end."""
        if self._stream:
            return [self._of_stream(reply)]
        document = read_json(reply.body)
        text = inside(document, "choices", 0, "message", "content") if self._chat else inside(document, "choices", 0, "text")
        reply.came((), _count(reply, document) or 0)
        reply.truncated = _truncated(document["choices"][0])
        return [_text(text)]

    def _of_stream(self, reply: Reply) -> str:
        pieces: list[str] = []
        moments: list[int] = []
        said: dict[str, Any] = {}
        whole = False
        if reply.lines and not any(line.startswith(OF_STREAM) for _, line in reply.lines):
            raise ServerFault(no_stream(reply))
        for moment, line in reply.lines:
            if not line.startswith(DATA):
                continue
            data = line[len(DATA) :].strip()
            if data == END:
                whole = True
                break
            event = read_json(data)
            if isinstance(event, dict) and event.get("error"):
                raise ServerFault(f"an error within the stream: {json.dumps(event['error'])[:200]}")
            if isinstance(event, dict):
                said |= {name: event[name] for name in COUNTS if event.get(name)}
            choices = inside(event, "choices")
            if not choices:
                continue
            choice = inside(event, "choices", 0)
            if not isinstance(choice, dict):
                raise ServerFault(f"a choice of the stream is no object: {json.dumps(choice)[:100]}")
            ends = bool(choice.get("finish_reason"))
            whole = whole or ends
            reply.truncated = _truncated(choice) if ends else reply.truncated
            piece = _piece(choice, ends) if self._chat else inside(choice, "text")
            if piece:
                pieces.append(_text(piece))
                moments.append(moment)
        if not whole:
            raise ServerFault(f"the stream broke off after {len(pieces)} pieces, without its end")
        tokens = _count(reply, said)
        reply.came(moments, tokens if tokens and moments else None)
        return "".join(pieces)


def no_stream(reply: Reply) -> str:
    """Return what is said where a stream was asked for and something else came."""
    size = sum(len(line) for _, line in reply.lines)
    return f"no stream came, but a whole answer of {size} bytes; set model.request.stream=false for a server that does not stream"


def _piece(choice: dict[str, Any], ends: bool) -> Any:
    """Return the content of an event. One that only ends the answer may have null in the place of its delta."""
    delta = inside(choice, "delta")
    if delta is None and ends:
        return None
    if not isinstance(delta, dict):
        raise ServerFault(f"a delta of the stream is no object: {json.dumps(delta)[:100]}")
    return delta.get("content")


def _count(reply: Reply, said: Mapping[str, Any]) -> int | None:
    """Note the server's counts of tokens of the prompt, and return that of the answer; None where it does not say."""
    usage, timings = (said.get(name) for name in COUNTS)
    details = usage.get("prompt_tokens_details") if isinstance(usage, dict) else None
    reply.prompt_tokens, reply.cached_tokens = _whole(usage, "prompt_tokens"), _whole(details, "cached_tokens")
    cached, computed = _whole(timings, "cache_n"), _whole(timings, "prompt_n")
    if reply.cached_tokens is None and cached is not None and computed is not None:
        reply.prompt_tokens, reply.cached_tokens = cached + computed, cached
    return _whole(usage, "completion_tokens")


def _whole(counts: Any, name: str) -> int | None:
    count = counts.get(name) if isinstance(counts, dict) else None
    return count if isinstance(count, int) and 0 <= count < 2**30 else None


def _truncated(choice: dict[str, Any]) -> bool | None:
    """Return whether an answer ended at its limit of tokens, None where the server does not say why it ended."""
    why = choice.get("finish_reason")
    return why == "length" if why else None


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ServerFault(f"the content of the answer is no text: {json.dumps(value)[:100]}")
    return value
