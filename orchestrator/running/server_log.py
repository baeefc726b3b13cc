"""What a server that a campaign starts has written."""

import os
from contextlib import suppress
from pathlib import Path

HEAD, TAIL = 64 * 2**10, 960 * 2**10
"""Bytes of a log that are kept of its beginning and of its end."""


def read_log(path: Path) -> str:
    """Return what a server has written: all of it, or its beginning and end. Empty where there is none."""
    try:
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NOFOLLOW)) as file:
            size = os.fstat(file.fileno()).st_size
            if size <= HEAD + TAIL:
                return file.read().decode(errors="replace")
            head = file.read(HEAD).decode(errors="replace")
            file.seek(size - TAIL)
            return f"{head}\n... {size - HEAD - TAIL} bytes left out ...\n{file.read().decode(errors='replace')}"
    except OSError:
        return ""


def take_log(path: Path) -> str:
    """Return the log, and delete it."""
    text = read_log(path)
    with suppress(OSError):
        path.unlink()
    return text
