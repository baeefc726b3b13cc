"""Ctrl-C, SIGTERM and SIGHUP: received in one place from the program's first moments to its last.

The program blocks these signals in all its threads, and one thread waits for them. Whatever handler a library puts in place then never
runs: Ray and its core set some of their own when they start and when they end, and any of them would end the program in its own way. The
waiting thread passes each signal on to the main thread, by a signal with no other use, and there our handler is called.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

from orchestrator.endings import Stopped

Handler = Callable[[int, FrameType | None], Any]
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
RELAY = signal.SIGRTMIN + 7 if hasattr(signal, "SIGRTMIN") else signal.SIGUSR2
"""What wakes the main thread, also in the midst of a system call."""
GIVE_UP_S = 15.0
"""How long the program may clean up once it is to stop at once; the guard clears away what is left then."""


class _Reception:
    """Which signals are received, those that have come, and who receives them."""

    blocked: frozenset[int] = frozenset()
    come: list[int] = []  # noqa: RUF012 - one program, one reception
    untold: deque[int] = deque()  # noqa: RUF012
    handler: Handler | None = None


def receive_signals() -> None:
    """Receive signals from here to the end of the program, but for ignored ones, as under ``nohup``. Idempotent.

    Called from the main thread of our own program only: a program that uses this package as a library keeps its own handlers.
    """
    if _Reception.blocked:
        return
    signal.signal(RELAY, _tell)
    _Reception.blocked = frozenset(number for number in STOPPING if signal.getsignal(number) is not signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, _Reception.blocked)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {RELAY})
    # Programs that we start handle signals as usual.
    os.register_at_fork(after_in_child=lambda: signal.pthread_sigmask(signal.SIG_UNBLOCK, _Reception.blocked))
    threading.Thread(target=_wait, name="signals", daemon=True).start()


def received() -> int | None:
    """Return the first signal that has come and asks to stop, or None."""
    if _Reception.come:
        return _Reception.come[0]
    return next(iter(signal.sigpending() & _Reception.blocked), None)


@contextmanager
def handled_by(handler: Handler) -> Iterator[None]:
    """Have a handler called in the main thread for every signal that is received. In another thread nothing changes."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before, _Reception.handler = _Reception.handler, handler
    try:
        _tell(RELAY, None)  # signals that came before there was a handler
        yield
    finally:
        if _Reception.handler is not ignored:
            _Reception.handler = before


def stop_at_once(number: int, frame: FrameType | None) -> None:
    """Raise Stopped, once: no later signal cuts short the cleaning up that follows."""
    _leave_soon()
    raise Stopped


@contextmanager
def deferred() -> Iterator[None]:
    """Have signals wait for a library's call to return that would leave half a state behind if it were cut short."""
    seen: list[int] = []

    def keep(number: int, frame: FrameType | None) -> None:
        _leave_soon()
        seen.append(number)

    with handled_by(keep):
        yield
    if seen:
        raise Stopped


def _leave_soon() -> None:
    """Ignore later signals, and end the program if it cleans up for too long, or a library has swallowed the interrupt."""
    ignore_all()
    limit = threading.Timer(GIVE_UP_S, os._exit, (130,))
    limit.daemon = True
    limit.start()


def ignored(number: int, frame: FrameType | None) -> None:
    """Do nothing: the program is stopping."""


def ignore_all() -> None:
    """Call no handler from here on."""
    _Reception.handler = ignored


def _wait() -> None:
    main = threading.main_thread().ident
    assert main is not None
    while True:
        number = signal.sigwait(_Reception.blocked)
        _Reception.come.append(number)
        _Reception.untold.append(number)
        signal.pthread_kill(main, RELAY)


def _tell(relayed: int, frame: FrameType | None) -> None:
    while _Reception.untold and _Reception.handler is not None:
        _Reception.handler(_Reception.untold.popleft(), frame)


WENT_ON = "TAIL_QUALITY_WENT_ON"
"""Set in a program that has gone on after Ray's death: a second one ends it."""


class Restart(Exception):
    """The Ray of the timed processes has died, and the campaign in ``directory`` can go on."""

    def __init__(self, message: str, directory: Path, options: Sequence[str], how: str) -> None:
        super().__init__(message)
        self.words = ["resume", str(directory), *options]
        self._how = how

    def give_up(self) -> int:
        """Say how to go on, and return the exit code."""
        print(f"error: {self}; {self._how}", file=sys.stderr)  # noqa: T201
        return 1


def go_on(lost: Restart) -> int:
    """Become the command that goes on. Returns an exit code if this process has gone on before, or a signal to stop has come."""
    if os.environ.get(WENT_ON):
        return lost.give_up()
    print(f"{lost}; what was stored is whole: going on in a fresh Ray", file=sys.stderr, flush=True)  # noqa: T201
    with suppress(ChildProcessError):  # the guard has ended them all
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    sys.stdout.flush()
    # As in the console script, no module of the working directory is first.
    elsewhere = [] if str(Path.cwd()) in sys.path else ["-P"]
    os.environ[WENT_ON] = "1"
    signal.pthread_sigmask(signal.SIG_BLOCK, {RELAY})
    if received() is None:
        os.execv(sys.executable, [sys.executable, *elsewhere, "-m", "orchestrator", *lost.words])  # noqa: S606 - this very program
    return 130
