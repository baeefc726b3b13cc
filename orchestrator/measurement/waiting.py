"""Waiting for a moment: asleep until shortly before it, then spinning."""

import ctypes
import sys
import time
from typing import Literal

from orchestrator.measurement.load_loop import WaitUntil
from orchestrator.measurement.timing import Clock

SECOND_NS = 10**9
CLOCK_MONOTONIC, TIMER_ABSTIME, PR_SET_TIMERSLACK = 1, 1, 29


class _Moment(ctypes.Structure):
    """The kernel's ``timespec``."""

    _fields_ = (("seconds", ctypes.c_long), ("ns", ctypes.c_long))


def waiting(idle: Literal["sleep", "spin"], spin_ns: int, clock: Clock = time.perf_counter_ns, gives_way: bool = False) -> WaitUntil:
    """Return a wait for moments of ``time.perf_counter_ns``, to be called in the thread that asks for it.

    ``sleep`` sleeps down to ``spin_ns`` before the moment, by the kernel's absolute timer and without its slack of 50 us; then it spins.
    ``spin`` spins all the time. Where there is no such timer, the sleep is Python's own. One that ``gives_way`` lets other threads of the
    process go on while it spins: a spin that does not would stand in their times.
    """
    spin = _spin_and_yield if gives_way else _spin
    if idle == "spin":
        return lambda moment: spin(moment, clock)
    sleep_until = _kernel_sleep() if sys.platform == "linux" else _python_sleep(clock)

    def wait_until(moment: int) -> int:
        wake = moment - spin_ns
        if wake > clock():
            sleep_until(wake)
        return spin(moment, clock)

    return wait_until


def _spin(moment: int, clock: Clock) -> int:
    now = clock()
    while now < moment:
        now = clock()
    return now


def _spin_and_yield(moment: int, clock: Clock) -> int:
    now = clock()
    while now < moment:
        time.sleep(0)
        now = clock()
    return now


def _kernel_sleep() -> WaitUntil:
    """Return a sleep until a moment of CLOCK_MONOTONIC, which is what ``time.perf_counter_ns`` reads on Linux."""
    system = ctypes.CDLL(None, use_errno=True)
    system.prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0)
    sleep, wake = system.clock_nanosleep, _Moment()
    reference = ctypes.byref(wake)

    def sleep_until(moment: int) -> int:
        wake.seconds, wake.ns = divmod(moment, SECOND_NS)
        return int(sleep(CLOCK_MONOTONIC, TIMER_ABSTIME, reference, None))

    return sleep_until


def _python_sleep(clock: Clock) -> WaitUntil:
    def sleep_until(moment: int) -> int:
        time.sleep(max(0, moment - clock()) / SECOND_NS)
        return 0

    return sleep_until
