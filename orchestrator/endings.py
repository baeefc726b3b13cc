"""What ends the whole program, and not one trial: a signal, or the death of what runs the timed processes.

Imports nearly nothing, because the program receives signals before it imports anything else.
"""

import signal
import threading


class Stopped(KeyboardInterrupt):
    """A signal has come that asks this program to stop: Ctrl-C, SIGTERM or SIGHUP."""


class Leaving(SystemExit):
    """The program ends at once, and a thread that waits for what will not come ends with it."""


class ClusterLost(BaseException):
    """The Ray that runs the timed processes has died while the host lives; it answers no more calls.

    No ``Exception``: it concerns all trials, and none may take it for its own fault.
    """


class Embedded:
    """The embedded Ray, of which a process has one at most: whether it is used, and how it was lost. A cluster that was joined is none."""

    runs = False
    lost: str | None = None
    known = threading.Event()

    @classmethod
    def lose(cls, message: str) -> None:
        """Have every call to it end by ClusterLost."""
        cls.lost = message
        cls.known.set()


def ends_the_program(error: BaseException) -> bool:
    """Return whether an exception concerns the whole program. Nothing else may end it, whatever code of a user's raises.

    Where this program receives signals itself, a KeyboardInterrupt that is not `Stopped` is raised by somebody's code. Elsewhere, as in a
    notebook, Python raises it for Ctrl-C, and in the main thread alone.
    """
    if isinstance(error, Stopped | Leaving | ClusterLost):
        return True
    if not isinstance(error, KeyboardInterrupt) or threading.current_thread() is not threading.main_thread():
        return False
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    return signal.SIGINT not in blocked and signal.getsignal(signal.SIGINT) is signal.default_int_handler


def take_no_interrupts() -> None:
    """Have no signal raise KeyboardInterrupt in this process: one that Ray has started is never interrupted, but ended."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, lambda number, frame: None)  # a handler, because processes that it starts must not inherit it
