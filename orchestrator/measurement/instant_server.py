"""A server that answers at once: what is left of a request's time against it is the client's own, and the loopback's.

It runs as a program of its own, on Python's standard library alone. Its standard input holds the answer; it writes its port, and ends with
its input: ``python -I -S instant_server.py [--tls CERTIFICATE] [CORE...] < ANSWER``.
"""

import contextlib
import os
import socket
import ssl
import sys
import threading

MOST_HEAD = 2**16


def main() -> None:
    """Answer every request on 127.0.0.1 with the same bytes, until the input ends."""
    words = sys.argv[1:]
    tls = None
    if words[:1] == ["--tls"]:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(words[1])
        words = words[2:]
    cores = {int(core) for core in words}
    if cores and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)
    size = int(sys.stdin.buffer.readline())
    answer = sys.stdin.buffer.read(size)
    listening = socket.create_server(("127.0.0.1", 0), backlog=128)
    sys.stdout.write(f"{listening.getsockname()[1]}\n")
    sys.stdout.flush()
    threading.Thread(target=accept, args=(listening, answer, tls), daemon=True).start()
    sys.stdin.buffer.read()


def accept(listening: socket.socket, answer: bytes, tls: ssl.SSLContext | None) -> None:
    """Serve every connection in a thread of its own."""
    while True:
        connection, _ = listening.accept()
        threading.Thread(target=serve, args=(connection, answer, tls), daemon=True).start()


def serve(plain: socket.socket, answer: bytes, tls: ssl.SSLContext | None) -> None:
    """Answer the requests of one connection until it is closed."""
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with contextlib.suppress(OSError), plain, plain if tls is None else tls.wrap_socket(plain, server_side=True) as connection:
        held: bytes | None = b""
        while held is not None:
            held = read_request(connection, held)
            if held is not None:
                connection.sendall(answer)


def read_request(connection: socket.socket, held: bytes) -> bytes | None:
    """Read one request and return what came after it, None where there is none."""
    while b"\r\n\r\n" not in held:
        more = connection.recv(2**16)
        if not more or len(held) > MOST_HEAD:
            return None
        held += more
    head, _, body = held.partition(b"\r\n\r\n")
    length = next((int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0)
    left = length - len(body)
    while left > 0:
        more = connection.recv(min(left, 2**20))
        if not more:
            return None
        left -= len(more)
        body = b""
    return body[length:]


if __name__ == "__main__":
    main()
