"""Printing to somebody who may leave, as ``head`` does, or where there is no room: the rest is dropped, and the command still does all."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from pathlib import Path

STDOUT, STDERR = 1, 2


class _WhileRead(io.FileIO):
    """A file descriptor that takes everything, and passes it on while somebody reads and there is room."""

    told = False

    def write(self, data: object, /) -> int:
        """Write, as to any file; that a full disk takes nothing is told once, on stderr."""
        try:
            return super().write(data)  # type: ignore[arg-type]
        except OSError as error:
            if not isinstance(error, BrokenPipeError) and self.fileno() == STDOUT and not self.told:
                self.told = True
                with suppress(OSError):
                    os.write(STDERR, f"standard output: {error.strerror}; only files are written\n".encode())
        return memoryview(data).nbytes  # type: ignore[arg-type]


def while_read(stream: io.TextIOWrapper | None) -> io.TextIOWrapper:
    """Return a stream like this one that raises nothing when its reader leaves; one that takes everything where there is none."""
    if stream is None:  # closed from the start, as by >&-
        return Path(os.devnull).open("w", encoding="utf-8")
    stream.flush()
    whole = io.BufferedWriter(_WhileRead(stream.fileno(), "wb", closefd=False))
    return io.TextIOWrapper(whole, stream.encoding, stream.errors, line_buffering=stream.line_buffering or stream.write_through)


def outlive_readers() -> None:
    """Have this whole program print so, and no file that it opens take the place of an output that was closed before it started."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest free number, which is this one
    for name in ("stdout", "stderr"):
        setattr(sys, name, while_read(getattr(sys, name)))
