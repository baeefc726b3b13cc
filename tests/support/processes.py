"""Processes that tests start, and wait for."""

import time
from collections.abc import Callable, Sequence

import psutil

ENDLESS_S = 600
"""Keeps a test that hangs from hanging for ever."""


def gone(pids: Sequence[int]) -> bool:
    """Return whether all processes have ended, at the latest after some minutes."""
    until = time.monotonic() + ENDLESS_S
    while any(one.pid in pids and one.info["status"] != psutil.STATUS_ZOMBIE for one in psutil.process_iter(["status"])):
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def wait_until(holds: Callable[[], object]) -> None:
    """Wait until something holds; fail where it does not within some minutes."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < ENDLESS_S
        time.sleep(0.05)
