"""A ``.tar.zst`` that is the same for the same files, with a seal at its end, and reading one that anybody may have made.

The seal is a skippable frame of Zstandard (RFC 8878, section 3.1.2), which every program that unpacks the format leaves out: a mark and
the SHA-256 of all bytes before it. So no byte of the archive changes unnoticed, not even one that says nothing of a file.
"""

import hashlib
import io
import struct
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO, Literal

import pyarrow as pa

from orchestrator.contracts import InputError, first_line
from orchestrator.storage.files import replacing

CODEC = "zstd"
FRAME = bytes.fromhex("28b52ffd")
"""How Zstandard begins."""
MARK = b"tail-quality bundle\n"
HEAD = bytes.fromhex("5e2a4d18") + struct.pack("<I", len(MARK) + hashlib.sha256().digest_size) + MARK
SEAL_BYTES = len(HEAD) + hashlib.sha256().digest_size
CHUNK = 2**20
BUFFER = 2**16
HEADERS = 2**20
"""Most bytes that the headers of one file may take."""

Seal = Literal["whole", "broken", "none"]


class Unreadable(Exception):
    """The archive cannot be read any further."""


@dataclass(frozen=True)
class Entry:
    """A file that goes into an archive, from a path or from bytes."""

    name: str
    source: Path | bytes
    size_bytes: int
    sha256: str


def entry_of(name: str, source: Path | bytes) -> Entry:
    """Return a file with its size and digest."""
    digest, size = hashlib.sha256(), 0
    with _opened(source) as file:
        while block := file.read(CHUNK):
            digest.update(block)
            size += len(block)
    return Entry(name, source, size, digest.hexdigest())


def _opened(source: Path | bytes) -> BinaryIO:
    return io.BytesIO(source) if isinstance(source, bytes) else source.open("rb")


def write_archive(path: Path, entries: Sequence[Entry], modified_s: int) -> None:
    """Write files in this order, owned by nobody and last changed at ``modified_s`` since 1970; the archive is whole or not there.

    Raises
    ------
    InputError
        for a file that is not what its entry says any more.
    """
    with replacing(path) as file:
        sealed = _Sealed(file)
        with (
            pa.CompressedOutputStream(sealed, CODEC) as packed,
            tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as archive,
        ):
            for entry in entries:
                header = tarfile.TarInfo(entry.name)
                header.size, header.mode, header.mtime = entry.size_bytes, 0o644, modified_s
                _add(archive, header, entry)
        file.write(HEAD + sealed.digest.digest())


def _add(archive: tarfile.TarFile, header: tarfile.TarInfo, entry: Entry) -> None:
    with _opened(entry.source) as source:
        counted = _Counted(source)
        try:
            archive.addfile(header, counted)
        except OSError as error:
            if error.errno is not None:
                raise
            raise _changed(entry) from error  # it is shorter than it was
        if source.read(1) or counted.digest.hexdigest() != entry.sha256:
            raise _changed(entry)


def _changed(entry: Entry) -> InputError:
    return InputError(f"{entry.name} was changed while it was bundled: wait until nothing writes there, and bundle again")


class _Sealed(io.RawIOBase):
    """Writes on to a file that stays open, and digests what it writes."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._written = file, 0
        self.digest = hashlib.sha256()

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._written

    def write(self, block: Any) -> int:
        content = bytes(block)
        self._file.write(content)
        self.digest.update(content)
        self._written += len(content)
        return len(content)


class _Counted(io.RawIOBase):
    """Reads on from a file, and digests what it reads."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.digest = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        block = self._file.read(size)
        self.digest.update(block)
        return block


def looks_like_archive(path: Path) -> bool:
    """Return whether a file begins as Zstandard does, or ends with a seal, so that it may be a bundle of which a byte was changed."""
    with path.open("rb") as file:
        begins = file.read(len(FRAME)) == FRAME
    return begins or seal_of(path) != "none"


def seal_of(path: Path) -> Seal:
    """Return whether the seal at the end of a file fits all bytes before it; ``none`` where there is no mark of one."""
    with path.open("rb") as file:
        left = file.seek(0, io.SEEK_END) - SEAL_BYTES
        if left < 0:
            return "none"
        file.seek(left)
        tail = file.read(SEAL_BYTES)
        if not tail.startswith(HEAD):
            return "none"
        file.seek(0)
        digest = hashlib.sha256()
        while left and (block := file.read(min(CHUNK, left))):
            digest.update(block)
            left -= len(block)
    return "whole" if digest.digest() == tail[len(HEAD) :] else "broken"


@dataclass(frozen=True)
class Member:
    """One file of an archive that is being read: ``chunks`` must be used up before the next is asked for."""

    name: str
    is_file: bool
    size_bytes: int
    chunks: Iterator[bytes]


def members(path: Path) -> Iterator[Member]:
    """Yield what an archive holds, in its order, and never more of it in memory than a chunk; no file is written here.

    Raises
    ------
    Unreadable
        where it cannot be read any further: it was cut or changed, or is no such archive.
    """
    left = max(path.stat().st_size - SEAL_BYTES, 0)
    with _told(), path.open("rb") as file, closing(_Body(file, left)) as body:
        bounded = _Bounded(pa.CompressedInputStream(body, CODEC))
        bounded.allow(HEADERS)
        with tarfile.open(fileobj=bounded, mode="r|", bufsize=BUFFER) as archive:
            while (header := archive.next()) is not None:
                bounded.allow(header.size + HEADERS)
                yield Member(header.name, header.isreg() and not header.issparse(), header.size, _chunks(archive, header))
                bounded.allow(HEADERS)


@contextmanager
def _told() -> Iterator[None]:
    """Turn what goes wrong while an archive is read into Unreadable."""
    try:
        yield
    except (tarfile.TarError, pa.ArrowException, OSError, EOFError, ValueError, RecursionError) as error:
        raise Unreadable(first_line(error)) from error


def _chunks(archive: tarfile.TarFile, header: tarfile.TarInfo) -> Iterator[bytes]:
    with _told():
        content = archive.extractfile(header) if header.isreg() else None
        while content is not None and (block := content.read(CHUNK)):
            yield block


class _Body(io.RawIOBase):
    """The first bytes of a file."""

    def __init__(self, file: BinaryIO, left: int) -> None:
        self._file, self._left, self._read = file, left, 0

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._read

    def read(self, size: int = -1) -> bytes:
        block = self._file.read(self._left if size < 0 else min(size, self._left))
        self._left -= len(block)
        self._read += len(block)
        return block


class _Bounded(io.RawIOBase):
    """What is unpacked, as far as it was allowed: a few bytes can unpack to more than any machine holds."""

    def __init__(self, stream: Any) -> None:
        self._stream, self._left = stream, 0

    def allow(self, size: int) -> None:
        self._left = size

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        if size > self._left:
            raise ValueError("it holds more than its headers say")
        block: bytes = self._stream.read(size)
        self._left -= len(block)
        return block
