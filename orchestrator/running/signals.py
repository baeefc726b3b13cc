"""Ctrl-C, SIGTERM and SIGHUP: received in one place from the program's first moments to its last.

The program blocks these signals in all its threads, and one thread waits for them. Whatever handler a library puts in place then never
runs: Ray and its core set some of their own when they start and when they end, and any of them would end the program in its own way. The
waiting thread passes each signal on to the main thread, by a signal with no other use, and there our handler is called.

What a handler raises can be lost: Python drops it within ``__del__`` and callbacks, and libraries drop more. That the program is to stop is
kept here all the same, and the program asks for it before each step.
"""

import os
import select
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from queue import SimpleQueue
from types import FrameType
from typing import Any

from orchestrator.endings import Stopped

Handler = Callable[[int, FrameType | None], Any]
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# What wakes the main thread, also in the midst of a system call.
RELAY = signal.SIGRTMIN + 7
# How long the main thread has to wake before it is woken again: a system call that is about to
# begin is not cut short.
AGAIN_S = 0.2
# How long the program may clean up once it is to stop at once; the keeper clears away what is left
# then.
GIVE_UP_S = 15.0
Hook = Callable[["sys.UnraisableHookArgs"], Any]


class _Reception:
    """Which signals are received, those that have come, who receives them, whether the program is to stop at once, what it says then."""

    blocked: frozenset[int] = frozenset()
    come: list[int] = []  # noqa: RUF012 - one program, one reception
    untold: deque[int] = deque()  # noqa: RUF012
    handler: Handler | None = None
    leaving = False
    # Has the exit code in it once the program is leaving; unlike a lock, a handler may always put
    # something in.
    left: SimpleQueue[int] = SimpleQueue()
    last_words = ""


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
    sys.unraisablehook = silent_about_stops(sys.unraisablehook)
    threading.Thread(target=_wait, name="signals", daemon=True).start()
    threading.Thread(target=_give_up, name="gives up", daemon=True).start()


def received() -> int | None:
    """Return the first signal that has come and asks to stop, or None."""
    if _Reception.come:
        return _Reception.come[0]
    return next(iter(signal.sigpending() & _Reception.blocked), None)


@contextmanager
def handled_by(handler: Handler) -> Iterator[None]:
    """Have a handler called in the main thread for every signal that is received. In another thread nothing changes.

    Once the program is to stop at once, whatever is raised here is Stopped: what a library raises while it cleans up takes its place.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before, _Reception.handler = _Reception.handler, handler
    try:
        heed_signals()  # also those that came before there was a handler
        yield
    except Stopped:
        raise
    except BaseException:
        heed_signals()
        raise
    finally:
        if _Reception.handler is not ignored:
            _Reception.handler = before


def stop_at_once(number: int, frame: FrameType | None) -> None:
    """Raise Stopped, once: no later signal cuts short the cleaning up that follows."""
    _leave_soon()
    raise Stopped


def heed_signals() -> None:
    """Raise Stopped if the program is to stop at once and goes on all the same, because the exception was lost.

    Called before each step, and never while something is cleaned up. In another thread it does nothing.
    """
    if threading.current_thread() is threading.main_thread():
        _tell(RELAY, None)
        if _Reception.leaving:
            raise Stopped


def leave_word(words: str) -> None:
    """Have this said on stderr if a signal ends the program, also where it is cut off because it cleans up for too long."""
    _Reception.last_words = words


def say_last_words() -> None:
    """Say what was left to be said, once."""
    words, _Reception.last_words = _Reception.last_words, ""
    if words:
        print(words, file=sys.stderr)  # noqa: T201


def silent_about_stops(hook: Hook) -> Hook:
    """Return a hook for exceptions that Python drops: it shows no traceback of a signal, and has the next signal raise again."""

    def quiet(dropped: "sys.UnraisableHookArgs") -> None:
        if not isinstance(dropped.exc_value, Stopped):
            hook(dropped)
        elif _Reception.handler is ignored:
            _Reception.handler = stop_at_once

    return quiet


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
    """Ignore later signals, and have the program end if it cleans up for too long, or a step takes too long that has lost the exception."""
    _Reception.leaving = True
    _Reception.handler = ignored
    give_up_soon(130)


def give_up_soon(code: int) -> None:
    """Have a program that receives signals end with an exit code if it does not end by itself in time."""
    _Reception.left.put(code)


def _give_up() -> None:
    code = _Reception.left.get()
    time.sleep(GIVE_UP_S)
    with suppress(OSError, ValueError):
        if _Reception.last_words and select.select([], [2], [], 0)[1]:  # nobody may keep us by not reading
            os.write(2, f"{_Reception.last_words}\n".encode(errors="replace"))
    os._exit(code)


def ignored(number: int, frame: FrameType | None) -> None:
    """Do nothing: the program is stopping."""


def _wait() -> None:
    while True:
        number = signal.sigwait(_Reception.blocked)
        _Reception.come.append(number)
        _Reception.untold.append(number)
        _wake()
        while _Reception.untold and _Reception.handler is not None:
            time.sleep(AGAIN_S)
            _wake()


def _wake() -> None:
    main = threading.main_thread().ident
    assert main is not None
    signal.pthread_kill(main, RELAY)


def _tell(relayed: int, frame: FrameType | None) -> None:
    while _Reception.untold and _Reception.handler is not None:
        _Reception.handler(_Reception.untold.popleft(), frame)
