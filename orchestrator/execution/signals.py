"""Ctrl-C, SIGTERM and SIGHUP: one handler for all three, wherever the program stands."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

Handler = Callable[[int, FrameType | None], Any]
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def handled_by(handler: Handler) -> Iterator[None]:
    """Have a handler called for every signal that asks to stop, but for those that are ignored, as under ``nohup``.

    Signals reach the main thread alone: in another one nothing happens. What the handler has had ignored (``ignore_all``) stays so
    afterwards. The handlers are set anew at the end also where Python believes them in place: Ray gives SIGTERM back to the system when it
    ends, and Python is not told.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in STOPPING}
    for number, known in before.items():
        if known is not signal.SIG_IGN:
            signal.signal(number, handler)
    try:
        yield
    finally:
        for number, known in before.items():
            signal.signal(number, signal.SIG_IGN if signal.getsignal(number) is signal.SIG_IGN else known)


def ignore_all() -> None:
    """Ignore every signal that asks to stop from here on: the program is stopping, and none may cut its cleaning up short."""
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)
