"""Files that are whole or absent: written under a name that starts with a dot, flushed to the disk, then renamed."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from orchestrator.contracts import InputError
from orchestrator.storage import encoding
from orchestrator.storage.seal import seal_parquet, sealed_json

SURROGATES = re.compile(r"[\ud800-\udfff]")
"""What Python makes of bytes that are no UTF-8, as in some file names, and no file of UTF-8 can hold."""

DRAFT = re.compile(r"\..+\.\d+\.tmp")
"""Names of files that are not whole yet. The number is the writing process, so that two never share one."""


def draft_of(path: Path) -> Path:
    """Return the name under which a file is written before it is whole."""
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a file that takes the place of ``path`` once the block has ended well, and leaves it alone otherwise."""
    draft = draft_of(path)
    draft.unlink(missing_ok=True)
    try:
        with draft.open("x+b") as file:  # never through a link that somebody else has put there
            with suppress(OSError):  # some file systems have no locks
                fcntl.flock(file, fcntl.LOCK_EX)
            yield file
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def remove_drafts(folder: Path) -> None:
    """Delete what writers that have died left half written. A living one holds a lock on its draft."""
    for path in folder.iterdir():
        if DRAFT.fullmatch(path.name):
            with suppress(OSError), open(path, "rb", opener=_open_plain) as draft:
                fcntl.flock(draft, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()


def _open_plain(path: str, flags: int) -> int:
    """Open what lies there, but follow no link and wait for no pipe."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


def sync_folder(folder: Path) -> None:
    """Make renames within a folder survive a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network file systems cannot flush a folder; they order renames themselves.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


def make_folder(folder: Path) -> None:
    """Create a folder if it is missing, and make that survive a loss of power."""
    if not folder.is_dir():
        folder.mkdir()
        sync_folder(folder.parent)


def write_text(path: Path, text: str) -> None:
    """Write a file of UTF-8 text, what UTF-8 does not have with backslash escapes."""
    with replacing(path) as file:
        file.write(text.encode(errors="backslashreplace"))


def json_text(document: Any) -> str:
    """Return plain values as JSON with an indent of 1. Raises ValueError for NaN and infinities, which JSON does not have.

    Text that no UTF-8 can hold comes back from the file as its backslash escapes.
    """
    text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)
    return SURROGATES.sub(lambda match: f"\\\\u{ord(match[0]):04x}", text)


def write_json(path: Path, document: Any) -> None:
    """Write a mapping of plain values as JSON, sealed. Raises ValueError for NaN and infinities, which JSON does not have."""
    try:
        text = json_text(document)
    except ValueError as error:
        raise ValueError(f"{path.name}: {error}; store None for a number that does not exist") from error
    write_text(path, sealed_json(text))


def write_parquet(path: Path, table: pa.Table, **options: Any) -> None:
    """Write a table as one sealed Parquet file with zstd and a checksum on every page. ``options`` are those of ``write_table``."""
    with replacing(path) as file:
        pq.write_table(table, file, **{**encoding.OTHER, **options})
        seal_parquet(file, path)


def write_link(link: Path, target: Path) -> None:
    """Point a symbolic link at ``target`` by a relative path, in one step. Raises InputError where it is no link."""
    if link.exists() and not link.is_symlink():
        raise InputError(f"{link} is to be a link to the newest results but is something else: move it away")
    link.parent.mkdir(parents=True, exist_ok=True)
    draft = draft_of(link)
    draft.unlink(missing_ok=True)
    draft.symlink_to(os.path.relpath(target.resolve(), link.parent.resolve()))
    draft.replace(link)
