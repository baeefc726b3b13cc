"""A digest of a whole file inside the file: whatever changes a byte of it later is found.

Parquet's own checksums cover pages but neither the footer nor what lies between. A seal lies between the last page and the footer, where
every reader of Parquet passes over it, since the footer names the places of all pages. It covers also what the file is to its campaign
(``layout.identity``), so that another trial's table under this one's name is found, at no byte more. In JSON it is the last key.
"""

from __future__ import annotations

import hashlib
import re
import stat
import struct
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

from orchestrator.storage.layout import identity

MAGIC = b"TQSEAL02"
OLD_MAGIC = b"TQSEAL01"
"""Begins seals that cover the content alone."""
SEAL_BYTES = len(MAGIC) + hashlib.sha256().digest_size
PARQUET_END = struct.Struct("<I4s")
CHUNK = 2**20
ZEROS = "0" * 64
JSON_SEAL = re.compile(rb'"sha256": "([0-9a-f]{64})"\n\}\n\Z')


class BrokenSeal(ValueError):
    """A file is not what was once written, or was never whole."""


def seal_parquet(file: BinaryIO, path: Path) -> None:
    """Put a seal into a Parquet file that has just been written, open for reading and writing, and will have this path."""
    start = _footer_start(file)
    file.seek(start)
    footer = file.read()
    digest = _digest(file, start, footer, identity(path))
    file.seek(start)
    file.write(MAGIC + digest + footer)


def check_parquet(path: Path) -> None:
    """Raise BrokenSeal where a Parquet file is not what was written. A file that has not changed since is not read again."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise BrokenSeal("it is no regular file")
    _check_parquet(path, status.st_ino, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=4096)
def _check_parquet(path: Path, inode: int, size: int, changed_ns: int) -> None:
    with path.open("rb") as file:
        start = _footer_start(file) - SEAL_BYTES
        if start < 0:
            raise BrokenSeal("it is too short")
        file.seek(start)
        seal, footer = file.read(SEAL_BYTES), file.read()
        magic, digest = seal[: len(MAGIC)], seal[len(MAGIC) :]
        if magic not in (MAGIC, OLD_MAGIC):
            raise BrokenSeal("it has no seal of this program")
        if digest != _digest(file, start, footer, identity(path) if magic == MAGIC else ""):
            raise BrokenSeal("its checksum does not fit: it has changed, or is the file of another trial or table")


def _footer_start(file: BinaryIO) -> int:
    size = file.seek(0, 2)
    if size < PARQUET_END.size:
        raise BrokenSeal("it is too short")
    file.seek(size - PARQUET_END.size)
    length, magic = PARQUET_END.unpack(file.read(PARQUET_END.size))
    start: int = size - PARQUET_END.size - length
    if magic != b"PAR1" or start < len(magic):
        raise BrokenSeal("it does not end as Parquet does")
    return start


def _digest(file: BinaryIO, until: int, footer: bytes, what: str) -> bytes:
    """Return the SHA-256 of what the file is, its first ``until`` bytes and the footer."""
    digest = hashlib.sha256(what.encode())
    file.seek(0)
    left = until
    while left:
        block = file.read(min(CHUNK, left))
        if not block:
            raise BrokenSeal("it is cut short")
        digest.update(block)
        left -= len(block)
    digest.update(footer)
    return digest.digest()


def sealed_json(text: str) -> str:
    """Return a JSON object's text, as ``json.dumps`` writes it with an indent of 1, with a seal as its last key."""
    body = text.removesuffix("\n}")
    open_text = f'{body}{"" if body.endswith("{") else ","}\n "sha256": "{ZEROS}"\n}}\n'
    before, _, after = open_text.rpartition(ZEROS)
    return before + hashlib.sha256(open_text.encode()).hexdigest() + after


def check_json(content: bytes) -> None:
    """Raise BrokenSeal where a JSON file's text is not what was written."""
    found = JSON_SEAL.search(content)
    if found is None:
        raise BrokenSeal("it has no checksum at its end")
    unsealed = content[: found.start(1)] + ZEROS.encode() + content[found.end(1) :]
    if hashlib.sha256(unsealed).hexdigest().encode() != found[1]:
        raise BrokenSeal("its checksum does not fit")
