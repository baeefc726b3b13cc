"""Printing to somebody who may leave, as ``head`` does, or where there is no room.

The rest is dropped, and the command still does all.
"""

import io
import os
import sys
from contextlib import suppress
from pathlib import Path


class _WhileRead(io.FileIO):
    """A file descriptor that takes everything, and passes it on while somebody reads."""

    told = False

    def write(self, data: object, /) -> int:
        """Write, as to any file; that a full disk takes nothing is told once, on stderr."""
        try:
            return super().write(data)  # type: ignore[arg-type]
        except OSError as error:
            if not isinstance(error, BrokenPipeError) and self.fileno() == 1 and not self.told:
                self.told = True
                message = f"standard output: {error.strerror}; only files are written\n"
                with suppress(OSError):
                    os.write(2, message.encode())
        return memoryview(data).nbytes  # type: ignore[arg-type]


def while_read(stream: io.TextIOWrapper | None) -> io.TextIOWrapper:
    """Return a stream like this one that raises nothing when its reader leaves.

    Where there is none, the stream takes everything.
    """
    if stream is None:  # closed from the start, as by >&-
        return Path(os.devnull).open("w", encoding="utf-8")
    stream.flush()
    whole = io.BufferedWriter(_WhileRead(stream.fileno(), "wb", closefd=False))
    by_line = stream.line_buffering or stream.write_through
    return io.TextIOWrapper(whole, stream.encoding, stream.errors, line_buffering=by_line)


def outlive_readers() -> None:
    """Have this whole program print so.

    No file that it opens takes the place of an output that was closed before it started.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:  # the lowest free number is this one
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    for name in ("stdout", "stderr"):
        setattr(sys, name, while_read(getattr(sys, name)))
