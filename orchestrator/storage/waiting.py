"""Rounds that wait to be written as a part: appended to one file at once, so that they outlive every process that is killed."""

import errno
import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pyarrow as pa

from orchestrator.storage import schema
from orchestrator.storage.files import Held
from orchestrator.storage.load import read_regular
from orchestrator.storage.stored_form import conform

HEAD = struct.Struct("<II")
"""How long what follows is, and its CRC-32."""


def add(path: Path, timings: pa.Table, rows: pa.Table) -> None:
    """Append rounds. Nothing is flushed to the disk: only a loss of power takes them."""
    sink = pa.BufferOutputStream()
    for table in (timings, rows):
        with pa.ipc.new_stream(sink, table.schema) as stream:
            stream.write_table(table)
    content = sink.getvalue().to_pybytes()
    whole = HEAD.pack(len(content), zlib.crc32(content)) + content
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    with Held.parent_of(path) as folder:
        descriptor = os.open(path.name, flags, 0o666, dir_fd=folder)
        try:
            if os.write(descriptor, whole) != len(whole):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        finally:
            os.close(descriptor)


def remove(path: Path) -> None:
    """Delete what waited, where there is any."""
    with Held.parent_of(path) as folder, suppress(FileNotFoundError):
        os.unlink(path.name, dir_fd=folder)


def read(path: Path) -> Iterator[tuple[pa.Table, pa.Table]]:
    """Yield what was appended, timings and rows, up to where a kill has cut it short."""
    try:
        content = read_regular(path)
    except FileNotFoundError:
        return
    at = HEAD.size
    while at <= len(content):
        length, checksum = HEAD.unpack_from(content, at - HEAD.size)
        found = content[at : at + length]
        if len(found) < length or zlib.crc32(found) != checksum:
            return
        source = pa.BufferReader(found)
        timings, rows = (pa.ipc.open_stream(source).read_all() for _ in range(2))
        yield conform(timings, schema.TIMINGS), conform(rows, schema.ROUNDS)
        at += length + HEAD.size
