"""The client: one HTTP request on a connection of its own thread, with a moment for every step of the answer.

Sockets block, because threads with blocking sockets send in time where event loops are late. Python's own parser reads the answer;
what is sent is one write. A request is sent once, whatever becomes of it.
"""

import io
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse, IncompleteRead
from typing import Any

from orchestrator.configuration.server import ServerSettings
from orchestrator.contracts import Reply, Request, ServerFault, ServerTimeout
from orchestrator.measurement.timing import Clock
from orchestrator.subject.server import Address, address_of, connect, headers_of, is_stale, reason, token_of, without_token

MOST_BYTES = 2**28
"""Longer answers are refused: they would fill the memory."""
MOST_LINE = 2**24
FIRST_OF_BODY = 200
"""Characters of an answer that a message quotes."""
LONGEST_MESSAGE = 300
MOST_QUOTED = 2**18
"""Bytes of an answer in which a token is looked for in every spelling: the longest fits behind what is quoted."""
NOTHING_SENT = (ConnectionRefusedError,)


class _Bounded(io.RawIOBase):
    """The bytes that come in on a connection, none of them after a moment (s of ``time.monotonic``).

    A limit on each read alone would let a server take for ever that sends a byte a second.
    """

    def __init__(self, connection: socket.socket, until_s: float) -> None:
        super().__init__()
        self._connection, self._until_s = connection, until_s

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._connection.settimeout(left_s(self._until_s))
        return self._connection.recv_into(buffer)

    def makefile(self, mode: str) -> io.BufferedReader:
        """Return the reader that Python's parser of answers asks a socket for."""
        return io.BufferedReader(self, 2**16)


def left_s(until_s: float) -> float:
    """Return the seconds until a moment. Raises TimeoutError if it has passed."""
    left = until_s - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


class Client:
    """Asks one server. Every thread that asks has a connection of its own.

    Parameters
    ----------
    clock
        of the moments of an answer: that of the timed loop.
    address
        where it answers; where it is None, that of ``settings``.

    Attributes
    ----------
    connections
        how many have been opened.

    Raises
    ------
    InputError
        for an address, certificates or a token that are not to be had.
    """

    def __init__(self, settings: ServerSettings, clock: Clock = time.perf_counter_ns, address: Address | None = None) -> None:
        self.connections = 0
        self._settings = settings
        self._clock = clock
        self._address = address_of(settings) if address is None else address
        self._secret = token_of(settings)
        self._own = threading.local()
        self._all: list[socket.socket] = []
        self._lock = threading.Lock()

    def ask(self, request: Request) -> Reply:
        """Send a request once and return its answer.

        Raises
        ------
        ServerFault
            where there is no answer, or another status than 2xx; ServerTimeout where it took longer than ``server.timeout_s``.
        """
        message = self._message(request)
        until_s = time.monotonic() + self._settings.timeout_s
        sent_ns = self._clock()
        try:
            connection = self._connection(request, until_s)
            connection.settimeout(left_s(until_s))
            connection.sendall(message)
            reply = self._read(connection, request, until_s, sent_ns)
        except TimeoutError:
            self._drop()
            raise ServerTimeout(f"no whole answer within server.timeout_s={self._settings.timeout_s:g}") from None
        except ServerFault:
            self._drop()
            raise
        except (HTTPException, OSError, ValueError) as error:
            self._drop()
            raise ServerFault(self.hide(why_broken(error))[:LONGEST_MESSAGE]) from None
        except BaseException:
            self._drop()
            raise
        return reply

    @contextmanager
    def elsewhere(self, address: Address) -> Iterator[None]:
        """Ask another server meanwhile, from any thread. It is not given the token; connections that are kept are used again afterwards."""
        before, opened = (self._address, self._secret, self._own), self.connections
        kept = set(self._all)
        self._address, self._secret, self._own = address, None, threading.local()
        try:
            yield
        finally:
            self._address, self._secret, self._own = before
            self.connections = opened
            for connection in [one for one in self._all if one not in kept]:
                connection.close()
                self._all.remove(connection)

    @property
    def is_encrypted(self) -> bool:
        """Return whether requests go over TLS."""
        return self._address.tls is not None

    def hide(self, text: str) -> str:
        """Return a text without the token of the server."""
        return without_token(text, self._secret)

    def close(self) -> None:
        """Close every connection."""
        with self._lock:
            for connection in self._all:
                connection.close()
            self._all.clear()

    def _read(self, connection: socket.socket, request: Request, until_s: float, sent_ns: int) -> Reply:
        answer = HTTPResponse(_Bounded(connection, until_s), method="POST")  # type: ignore[arg-type]
        clock = self._clock
        try:
            answer.begin()
            headers_ns = clock()
            good = 200 <= answer.status < 300
            if not good:
                begin_final(answer)
                headers_ns, good = clock(), 200 <= answer.status < 300
            lines = read_lines(answer, clock) if request.streamed and good else []
            body = b"" if request.streamed and good else read_body(answer)
            ended_ns = clock()
            closes = answer.will_close
        finally:
            answer.close()
        if closes or self._closes(request):
            self._drop()
        # Before anything is cut: the beginning of a token would not be found any more.
        if self._secret is not None:
            hide = self._secret.hide_bytes
            body, lines = hide(body), [(moment, hide(line)) for moment, line in lines]
        if not good:
            raise ServerFault(f"HTTP {answer.status} {self.hide(answer.reason)[:FIRST_OF_BODY]}: {first_words(self._quoted(body))}")
        return Reply({name.lower(): value for name, value in answer.getheaders()}, body, lines, sent_ns, headers_ns, ended_ns)

    def _quoted(self, body: bytes) -> bytes:
        """Return the beginning of an answer as it may be quoted. Latin-1 has a letter for every byte."""
        return self.hide(body[:MOST_QUOTED].decode("latin-1")).encode("latin-1")

    def _closes(self, request: Request) -> bool:
        """Return whether a request has its connection alone: servers announce to keep it after a stream and close it all the same."""
        keep = self._settings.keep_alive
        return request.streamed if keep is None else not keep

    def _message(self, request: Request) -> bytes:
        headers = {
            "Host": self._address.host_header,
            "User-Agent": "tail-quality",
            "Accept": "text/event-stream, application/json" if request.streamed else "*/*",
            "Content-Type": "application/json",
            **request.headers,
            "Content-Length": str(len(request.body)),
            "Connection": "close" if self._closes(request) else "keep-alive",
            **headers_of(self._settings, self._secret),
        }
        lines = [f"POST {joined(self._address.path, request.path)} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        if any("\r" in line or "\n" in line for line in lines):
            raise ServerFault("the path or a header of the request holds an end of line, which no request may")
        try:
            return "\r\n".join([*lines, "", ""]).encode("latin-1") + request.body
        except UnicodeEncodeError:
            raise ServerFault("the path or a header of the request holds letters beyond Latin-1, which no request may") from None

    def _connection(self, request: Request, until_s: float) -> socket.socket:
        """Return this thread's connection: the one kept, unless the server has closed it, or a new one."""
        kept: socket.socket | None = getattr(self._own, "connection", None)
        if kept is not None and not is_stale(kept):
            return kept
        self._drop()
        connection = connect(self._address, left_s(until_s))
        self._own.connection = connection
        with self._lock:
            self.connections += 1
            self._all.append(connection)
        return connection

    def _drop(self) -> None:
        kept: socket.socket | None = getattr(self._own, "connection", None)
        if kept is not None:
            self._own.connection = None
            kept.close()
            with self._lock:
                if kept in self._all:
                    self._all.remove(kept)


def joined(base: str, path: str) -> str:
    """Return the path of a request after that of a URL, of which some name the version of the language already: ``/v1`` once is enough."""
    first, slash, rest = path.removeprefix("/").partition("/")
    return f"{base}/{rest}" if slash and base.endswith(f"/{first}") else f"{base}{path}"


def begin_final(answer: HTTPResponse) -> None:
    """Go on to the final answer behind informational ones (RFC 9110, 15.2), of which Python's parser passes over 100 alone.

    After a 101 there is none, because the server speaks another language then.
    """
    while 100 <= answer.status < 200 and answer.status != HTTPStatus.SWITCHING_PROTOCOLS:
        answer.headers = None  # type: ignore[assignment] # without headers it begins anew
        answer.begin()


def read_lines(answer: HTTPResponse, clock: Clock) -> list[tuple[int, bytes]]:
    """Return the lines of an answer that are not empty, each with the moment at which it was there. Raises ServerFault for a long one."""
    found: list[tuple[int, bytes]] = []
    size = 0
    while line := answer.readline(MOST_LINE + 1):
        moment = clock()
        size += len(line)
        if len(line) > MOST_LINE or size > MOST_BYTES:
            raise ServerFault(f"the answer is longer than {MOST_BYTES:,} bytes, or one of its lines than {MOST_LINE:,}")
        if stripped := line.rstrip(b"\r\n"):
            found.append((moment, stripped))
    return found


def read_body(answer: HTTPResponse) -> bytes:
    """Return the whole answer. Raises ServerFault for one that is too long, and IncompleteRead for one that was broken off."""
    if answer.length is not None and answer.length > MOST_BYTES:
        raise ServerFault(f"the answer is longer than {MOST_BYTES:,} bytes")
    announced = answer.length
    body = answer.read() if announced is not None else answer.read(MOST_BYTES + 1)
    if len(body) > MOST_BYTES:
        raise ServerFault(f"the answer is longer than {MOST_BYTES:,} bytes")
    return body


def why_broken(error: BaseException) -> str:
    """Return why there is no whole answer, in one line."""
    if isinstance(error, NOTHING_SENT):
        return "refused the connection"
    if isinstance(error, IncompleteRead):
        return f"closed the connection within its answer, after {len(error.partial)} bytes of a part"
    if isinstance(error, ConnectionError):
        return f"closed the connection before it answered ({reason(error)})"
    if isinstance(error, ssl.SSLError):
        return reason(error)
    return f"answered what is no HTTP ({type(error).__name__}: {reason(error)})"


def first_words(body: bytes) -> str:
    """Return the beginning of an answer as one line of text."""
    return " ".join(body[: 4 * FIRST_OF_BODY].decode("utf-8", "replace").split())[:FIRST_OF_BODY] or "no more said"
