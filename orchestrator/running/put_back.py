"""What a model in the driver's own process must not take from it: where it works, and where it speaks."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

STREAMS = (0, 1, 2)
"""Input, output and errors. Closed, the next file that is opened would take their place, and messages would go into stored rounds."""
NAMES = ("stdin", "stdout", "stderr")
"""What Python calls them. Replaced by None or another file, they would take the report from whoever waits for it."""


@contextmanager
def put_back() -> Iterator[None]:
    """Put the working directory and the standard streams back, whatever is done to them meanwhile."""
    spoken = {name: getattr(sys, name) for name in NAMES}
    folder = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    kept = {number: copy for number in STREAMS if (copy := _copy_of(number)) is not None}
    was = {copy: _identity(copy) for copy in (folder, *kept.values())}
    try:
        yield
    finally:
        # A copy that was closed too may be another file by now.
        if _identity(folder) == was[folder]:
            os.fchdir(folder)
        for number, copy in kept.items():
            if was[copy] == _identity(copy) != _identity(number):
                os.dup2(copy, number)
        for name, stream in spoken.items():
            setattr(sys, name, stream)
        for copy, identity in was.items():
            if _identity(copy) == identity:
                os.close(copy)


def _copy_of(number: int) -> int | None:
    """Return a copy of a stream, None of one that is closed."""
    with suppress(OSError):
        return os.dup(number)
    return None


def _identity(number: int) -> tuple[int, int] | None:
    """Return which file is open there, None where none is."""
    with suppress(OSError):
        found = os.fstat(number)
        return found.st_dev, found.st_ino
    return None
