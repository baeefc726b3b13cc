"""Printing to somebody who may leave, as ``head`` does, or where there is no room: the rest is dropped, and the command still does all."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from pathlib import Path

STDOUT, STDERR = 1, 2


class _WhileRead(io.FileIO):
    """A file descriptor that takes everything, and passes it on as long as there is somebody at the other end."""

    told = False

    def write(self, data: object, /) -> int:
        """Write, as to any file, unless the reader has left, or nothing can be written."""
        try:
            return super().write(data)  # type: ignore[arg-type]
        except BrokenPipeError:
            pass
        except OSError as error:
            self._tell(error)
        return memoryview(data).nbytes  # type: ignore[arg-type]

    def _tell(self, error: OSError) -> None:
        """Say once, on what else there is, that nothing more is printed: a full disk is otherwise taken for one of the results."""
        if self.fileno() == STDOUT and not self.told:
            self.told = True
            with suppress(OSError):
                os.write(
                    STDERR, f"standard output: {error.strerror}; the rest is not printed, and files are written all the same\n".encode()
                )


class _Kept(io.TextIOWrapper):
    """A stream of this program's, which no code of a user's closes."""

    def close(self) -> None:
        """Write what is still to be written."""
        self.flush()


def while_read(stream: io.TextIOWrapper | None) -> io.TextIOWrapper:
    """Return a stream like this one that raises nothing when its reader leaves; one that takes everything where there is none."""
    if stream is None:  # closed from the start, as by >&-
        return Path(os.devnull).open("w", encoding="utf-8")
    stream.flush()
    whole = io.BufferedWriter(_WhileRead(stream.fileno(), "wb", closefd=False))
    return _Kept(whole, stream.encoding, stream.errors, line_buffering=stream.line_buffering or stream.write_through)


def outlive_readers() -> None:
    """Have this whole program print so, and no file that it opens take the place of an output that was closed before it started."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest free number, which is this one
    for name in ("stdout", "stderr"):
        setattr(sys, name, while_read(getattr(sys, name)))
