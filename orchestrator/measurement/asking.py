"""The client: one HTTP request on a connection of its own thread, with a moment for every step of the answer.

Sockets block, because threads with blocking sockets send in time where event loops are late. Python's own parser reads the answer;
what is sent is one write. A request is sent once, whatever becomes of it.
"""

import io
import re
import socket
import ssl
import threading
import time
from collections.abc import Sequence
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse, IncompleteRead
from typing import Any, Literal

from orchestrator.configuration.server import ServerSettings
from orchestrator.contracts import Reply, Request, ServerFault, ServerTimeout, shortened
from orchestrator.measurement.timing import Clock
from orchestrator.subject.server import CHECK_S, address_of, connect, headers_of, reason, token_of

# For an answer that nobody asked for, after each round or stream; a later one is met by the next request.
LONGEST_WAIT_S = 0.25
# Characters of an answer that a message quotes.
FIRST_OF_BODY = 200
# A counter of tokens in Prometheus' text: those of prompts that vLLM has looked for in its cache, and found there.
COUNTER = re.compile(r"^(?:\w+:)?(?:gpu_)?prefix_cache_(queries|hits)(?:_total)?(?:\{.*\})? (\S+)", re.MULTILINE)
# Bytes of an answer in which a token is looked for: the longest fits behind what is quoted.
MOST_QUOTED = 2**18


class _Reader(io.BufferedReader):
    """What has come in on a connection. It stays open from one answer to the next, so that what nobody has asked for is seen."""

    def close(self) -> None:
        """Stay open: Python's parser closes its reader with every answer."""


class _Connection(io.RawIOBase):
    """A connection, and the bytes that come in on it.

    number
        of all connections of its client, from 1.
    until_s
        moment of ``time.monotonic`` after which nothing is waited for, None where nothing is waited for at all. A limit on each read alone
        would let a server take for ever that sends a byte a second.
    """

    def __init__(self, opened: socket.socket, number: int) -> None:
        super().__init__()
        self.socket, self.number = opened, number
        self.until_s: float | None = None
        self._reader = _Reader(self, 2**16)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self.socket.settimeout(0 if self.until_s is None else left_s(self.until_s))
        try:
            return self.socket.recv_into(buffer)
        except (BlockingIOError, ssl.SSLWantReadError):
            return None

    def makefile(self, mode: str) -> io.BufferedReader:
        return self._reader

    def look(self) -> Literal["quiet", "closed", "spoke"]:
        """Return what a server has done while nothing was asked: at most closed the connection, if it keeps to HTTP."""
        self.until_s = None
        try:
            return "spoke" if self._reader.peek(1) or self.socket.recv(1) else "closed"
        except (BlockingIOError, ssl.SSLWantReadError):
            return "quiet"
        except OSError:
            return "closed"


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

    Attributes
    ----------
    connections
        how many have been opened.

    Raises
    ------
    InputError
        for an address, certificates or a token that are not to be had.
    """

    def __init__(self, settings: ServerSettings, clock: Clock = time.perf_counter_ns) -> None:
        self.connections = 0
        self._settings = settings
        self._clock = clock
        self._address = address_of(settings)
        self._secret = token_of(settings)
        self._own = threading.local()
        self._all: set[_Connection] = set()
        self._doubted: set[int] = set()
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
            connection = self._connection(until_s)
            connection.until_s = until_s
            connection.socket.settimeout(left_s(until_s))
            connection.socket.sendall(message)
            return self._read(connection, request, sent_ns)
        except BaseException as error:
            self._drop()
            if isinstance(error, TimeoutError):
                raise ServerTimeout(f"no whole answer within server.timeout_s={self._settings.timeout_s:g}") from None
            if isinstance(error, (HTTPException, OSError, ValueError)):
                raise ServerFault(shortened(self.hide(why_broken(error)))) from None
            raise

    def counters(self) -> tuple[int, int] | None:
        """Return tokens of all prompts since the server's start, and those in its cache, by its ``/metrics``; None if it does not say."""
        head = {"Host": self._address.host_header, "Connection": "close", **headers_of(self._settings, self._secret)}
        lines = ["GET /metrics HTTP/1.1", *(f"{name}: {value}" for name, value in head.items()), "", ""]
        try:
            with connect(self._address, min(CHECK_S, self._settings.timeout_s)) as opened:
                opened.sendall("\r\n".join(lines).encode("latin-1"))
                answer = HTTPResponse(opened)
                answer.begin()
                found = COUNTER.findall(answer.read().decode())
                asked, held = (sum(int(float(count)) for name, count in found if name == kind) for kind in ("queries", "hits"))
        except (HTTPException, OSError, ValueError):
            return None
        return (asked, held) if found else None

    def hide(self, text: str) -> str:
        return self._secret.hide(text)

    def close(self) -> None:
        with self._lock:
            for connection in self._all:
                connection.socket.close()
            self._all.clear()

    def doubted(self, replies: Sequence[Reply | None]) -> set[int]:
        """Return the connections on which something has come since the last call that nobody had asked for, and close them.

        An answer to no request passes for that to the next one, and every answer after it for another's: none on that connection is to be
        trusted. The last one comes when nothing is asked any more, so that this waits twice as long as the longest of ``replies`` took,
        within ``LONGEST_WAIT_S``.
        """
        kept = {connection.number for connection in self._all}
        times_ns = [reply.ended_ns - reply.sent_ns for reply in replies if reply is not None and reply.connection in kept]
        time.sleep(min(LONGEST_WAIT_S, 2 * max(times_ns, default=0) / 1e9))
        for connection in self._all:
            if connection.look() == "spoke":
                self._doubted.add(connection.number)
                connection.socket.close()
        found, self._doubted = self._doubted, set()
        return found

    def _read(self, connection: _Connection, request: Request, sent_ns: int) -> Reply:
        # HTTPConnection, the public way to this parser, passes over no informational answer but 100, and gives no moment of the headers.
        answer = HTTPResponse(connection, method="POST")  # type: ignore[arg-type]
        clock = self._clock
        try:
            answer.begin()
            headers_ns = clock()
            # Informational answers come before the final one (RFC 9110, 15.2), and the parser passes over 100 alone.
            # After a 101 the server speaks another language.
            while 100 <= answer.status < 200 and answer.status != HTTPStatus.SWITCHING_PROTOCOLS:
                answer.headers = None  # type: ignore[assignment] # without headers it begins anew: no public method does
                answer.begin()
                headers_ns = clock()
            good = 200 <= answer.status < 300
            lines = read_lines(answer, clock) if request.streamed and good else []
            body = b"" if request.streamed and good else answer.read()
            ended_ns = clock()
            closes = answer.will_close
        finally:
            answer.close()
        if closes or self._closes(request):
            self._drop()
        if not good:
            # The token is hidden before anything is cut: what hides later does not know it.
            words = " ".join(self.hide(body[:MOST_QUOTED].decode("utf-8", "replace")).split())
            told = f"HTTP {answer.status} {shortened(self.hide(answer.reason), FIRST_OF_BODY)}"
            raise ServerFault(f"{told}: {shortened(words, FIRST_OF_BODY) or 'no more said'}")
        headers = {name.lower(): value for name, value in answer.getheaders()}
        return Reply(headers, body, lines, sent_ns, headers_ns, ended_ns, connection=connection.number)

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
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + request.body

    def _connection(self, until_s: float) -> _Connection:
        """Return this thread's connection: the one kept, unless the server has closed it or spoken unasked, or a new one."""
        kept: _Connection | None = getattr(self._own, "connection", None)
        if kept is not None:
            state = kept.look()
            if state == "quiet":
                return kept
            if state == "spoke":
                self._doubted.add(kept.number)
            self._drop()
        opened = connect(self._address, left_s(until_s))
        with self._lock:
            self.connections += 1
            self._own.connection = connection = _Connection(opened, self.connections)
            self._all.add(connection)
        return connection

    def _drop(self) -> None:
        kept: _Connection | None = getattr(self._own, "connection", None)
        if kept is not None:
            self._own.connection = None
            kept.socket.close()
            with self._lock:
                self._all.discard(kept)


def joined(base: str, path: str) -> str:
    """Return the path of a request after that of a URL, of which some name the version of the language already: ``/v1`` once is enough."""
    first, slash, rest = path.removeprefix("/").partition("/")
    return f"{base}/{rest}" if slash and base.endswith(f"/{first}") else f"{base}{path}"


def read_lines(answer: HTTPResponse, clock: Clock) -> list[tuple[int, bytes]]:
    """Return the lines of an answer that are not empty, each with the moment at which it was there."""
    found: list[tuple[int, bytes]] = []
    while line := answer.readline():
        moment = clock()
        if stripped := line.rstrip(b"\r\n"):
            found.append((moment, stripped))
    return found


def why_broken(error: BaseException) -> str:
    """Return why there is no whole answer, in one line."""
    if isinstance(error, ConnectionRefusedError):
        return "refused the connection"
    if isinstance(error, IncompleteRead):
        return f"closed the connection within its answer, after {len(error.partial)} bytes of a part"
    if isinstance(error, ConnectionError):
        return f"closed the connection before it answered ({reason(error)})"
    if isinstance(error, ssl.SSLError):
        return reason(error)
    return f"answered what is no HTTP ({type(error).__name__}: {reason(error)})"
