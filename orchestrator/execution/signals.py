"""Ctrl-C, SIGTERM and SIGHUP: one handler for all three, wherever the program stands."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

Handler = Callable[[int, FrameType | None], Any]
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def handled_by(handler: Handler) -> Iterator[None]:
    """Have a handler called for every signal that asks to stop, but for those that are ignored, as under ``nohup``."""
    before = {number: signal.getsignal(number) for number in STOPPING}
    for number, known in before.items():
        if known is not signal.SIG_IGN:
            signal.signal(number, handler)
    try:
        yield
    finally:
        for number, known in before.items():
            signal.signal(number, known)
