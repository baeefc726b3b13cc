"""A server of numbers on the loopback, which speaks three languages and misbehaves where it is told to."""

import contextlib
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

Misbehave = Callable[["FaultServer", socket.socket, bytes], None]


class FaultServer:
    """Answers a number with itself.

    faults
        by number, the name of what happens instead; see ``FAULTS``.
    after
        so many requests are answered before the first fault.
    says
        what is said of a number, from it and from how often it was asked before.
    cache
        how it tells of its cache of prompts, which holds 90 of 100 tokens of one that comes again: ``usage``, ``metrics``, or not at all.
    """

    def __init__(
        self, faults: dict[int, str] | None = None, after: int = 0, delay_s: float = 0.0, tls: Any = None, says: Any = None, cache: str = ""
    ) -> None:
        self.cache, self._held = cache, 0
        self.faults, self.after, self.delay_s = faults or {}, after, delay_s
        self.heads: list[bytes] = []
        self.bodies: list[bytes] = []
        self.most_at_once = self._at_once = 0
        self._lock = threading.Lock()
        self._says = says
        self._counts: dict[int, int] = {}
        self._tls = tls
        self._over = threading.Event()
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self._listening.getsockname()[1]
        self.url = f"{'http' if tls is None else 'https'}://127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Take no connection any more, and let go of those that hang."""
        self._over.set()
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError), connection:
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
            with connection, connection.makefile("rb") as file:
                while (head := self._head(file)) and not self._over.is_set():  # one that died answers on no connection
                    length = next((int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0)
                    self._answer(connection, head, file.read(length))

    @staticmethod
    def _head(file: Any) -> bytes:
        lines = []
        while (line := file.readline()) not in (b"", b"\r\n"):
            lines.append(line)
        return b"".join(lines)

    def _answer(self, connection: socket.socket, head: bytes, body: bytes) -> None:
        if head.startswith(b"GET"):
            told = f'vllm:prefix_cache_queries_total{{engine="0"}} {100.0 * len(self.bodies)}\nvllm:prefix_cache_hits_total {self._held}\n'
            connection.sendall(http(told.encode() if self.cache == "metrics" else b"up 1", "text/plain"))
            return
        with self._lock:
            held = 90 * (body in self.bodies)
            self._held += held
            self.heads.append(head)
            self.bodies.append(body)
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
            counted = len(self.heads)
        try:
            path = head.split(b" ", 2)[1].decode()
            number = number_of(path, head, body)
            fault = self.faults.get(number) if counted > self.after else None
            if self.delay_s:
                time.sleep(self.delay_s)
            seen = self._counts[number] = self._counts.get(number, -1) + 1
            usage = {"usage": {"prompt_tokens": 100, "prompt_tokens_details": {"cached_tokens": held}}} if self.cache == "usage" else {}
            answer = good_answer(path, number if self._says is None else self._says(number, seen), head, body, usage)
            if fault is None:
                connection.sendall(answer)
            else:
                FAULTS[fault](self, connection, answer)
        finally:
            with self._lock:
                self._at_once -= 1

    def hang(self) -> None:
        self._over.wait(20)


def number_of(path: str, head: bytes, body: bytes) -> int:
    if path.startswith("/v2"):
        lengths = [
            int(line.partition(b":")[2]) for line in head.lower().split(b"\r\n") if line.startswith(b"inference-header-content-length")
        ]
        length = lengths[0] if lengths else 0
        document = json.loads(body[:length] if length else body)
        (tensor,) = document["inputs"]
        return int(struct.unpack("<q", body[length : length + 8])[0]) if length else int(tensor["data"][0])
    document = json.loads(body)
    if "messages" in document:
        return int(document["messages"][-1]["content"].split()[-1])
    return int(str(document.get("prompt", document.get("number"))).split()[-1])


def http(body: bytes, kind: str = "application/json", status: str = "200 OK", more: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n{more}\r\n".encode() + body


def chunked(parts: list[bytes], kind: str = "text/event-stream") -> bytes:
    chunks = b"".join(f"{len(part):x}\r\n".encode() + part + b"\r\n" for part in [*parts, b""])
    return f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n".encode() + chunks


def event(piece: str | None, finish: str | None = None, **more: Any) -> bytes:
    delta = {"role": "assistant", "content": ""} if piece is None else {"content": piece}
    return b"data: " + json.dumps({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **more}).encode() + b"\n\n"


def good_answer(path: str, number: int, head: bytes, body: bytes, usage: dict[str, Any]) -> bytes:
    if path.startswith("/v2"):
        if b"application/octet-stream" in head:
            tensor = {"name": "class", "datatype": "INT64", "shape": [1], "parameters": {"binary_data_size": 8}}
            said = json.dumps({"outputs": [tensor]}).encode()
            return http(
                said + struct.pack("<q", number), "application/octet-stream", more=f"Inference-Header-Content-Length: {len(said)}\r\n"
            )
        return http(json.dumps({"outputs": [{"name": "class", "datatype": "INT64", "shape": [1], "data": [number]}]}).encode())
    if path.startswith("/v1"):
        if json.loads(body).get("stream"):
            pieces = [event(None), event("It "), event("is "), event(f"{number}", "stop", **usage)]
            return chunked([*pieces, b": a comment\n\n", b"data: [DONE]\n\n"])
        return http(json.dumps({"choices": [{"message": {"content": f"It is {number}"}}], "usage": {"completion_tokens": 3}}).encode())
    return http(json.dumps({"said": {"number": number}}).encode())


def _slowly(server: FaultServer, connection: socket.socket, answer: bytes) -> None:
    for byte in answer:
        connection.sendall(bytes([byte]))
        if server._over.wait(0.05):
            return


def _half(server: FaultServer, connection: socket.socket, answer: bytes) -> None:
    connection.sendall(answer[: len(answer) - 5])
    connection.shutdown(socket.SHUT_RDWR)


def token_of(head: bytes) -> bytes:
    """Return the token in the head of a request."""
    return next(line.rpartition(b" ")[2] for line in head.split(b"\r\n") if line.lower().startswith(b"authorization:"))


def escaped(token: bytes) -> bytes:
    return "".join(f"\\u{byte:04x}" for byte in token).encode()


def _twice(server: FaultServer, connection: socket.socket, answer: bytes) -> None:
    connection.sendall(http(json.dumps({"said": {"number": 99}}).encode()))
    server._over.wait(0.05)
    connection.sendall(answer)


FAULTS: dict[str, Misbehave] = {
    "answers twice": _twice,
    "hangs": lambda server, connection, answer: server.hang(),
    "a byte at a time": _slowly,
    "closes half-way": _half,
    "closes": lambda server, connection, answer: connection.shutdown(socket.SHUT_RDWR),
    "error 500": lambda server, connection, answer: connection.sendall(http(b"no memory left", "text/plain", "500 Oh")),
    "redirects": lambda server, connection, answer: connection.sendall(http(b"", status="302 Found", more="Location: /elsewhere\r\n")),
    "says 103 and 102 before": lambda server, connection, answer: connection.sendall(
        b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\nConnection: close\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n" + answer
    ),
    "says 101": lambda server, connection, answer: connection.sendall(http(b"", status="101 Other") + answer),
    "broken JSON": lambda server, connection, answer: connection.sendall(http(b'{"said": {"number": ')),
    "another form": lambda server, connection, answer: connection.sendall(http(b'{"answer": 3}')),
    "no HTTP": lambda server, connection, answer: connection.sendall(b"I am a teapot, short and stout\r\n\r\n"),
    "hangs after headers": lambda server, connection, answer: (connection.sendall(answer[:40]), server.hang())[0],
    "dies": lambda server, connection, answer: (server.close(), connection.shutdown(socket.SHUT_RDWR))[0],
    "ends at its limit": lambda server, connection, answer: connection.sendall(chunked([event(None), event("It is"), event("", "length")])),
    "stream cut": lambda server, connection, answer: connection.sendall(chunked([event(None), event("It ")])),
    "two rows": lambda server, connection, answer: connection.sendall(
        http(json.dumps({"outputs": [{"name": "class", "datatype": "INT64", "shape": [2], "data": [1, 2]}]}).encode())
    ),
    "answers its token": lambda server, connection, answer: connection.sendall(
        http(b'{"said": {"number": "' + escaped(token_of(server.heads[-1])) + b'"}}')
    ),
    "echoes its head": lambda server, connection, answer: connection.sendall(http(server.heads[-1], "text/plain", "401 No")),
}


@contextmanager
def fault_server(*arguments: Any, **options: Any) -> Iterator[FaultServer]:
    server = FaultServer(*arguments, **options)
    try:
        yield server
    finally:
        server.close()
