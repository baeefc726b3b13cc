"""Bundles as somebody else may have made them: taken apart, changed, and put together again with digests that fit."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa

from orchestrator.bundling.archive import CODEC, HEAD, entry_of, members, write_archive
from orchestrator.bundling.manifest import NAME, BundledFile, manifest_of, to_text


def files_of(bundle: Path) -> dict[str, bytes]:
    """Return every file of a bundle, in its order."""
    return {member.name: b"".join(member.chunks) for member in members(bundle)}


def forged(bundle: Path, path: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    """Write a bundle whose files were changed by a function of them, with a manifest and a seal that fit."""
    files = files_of(bundle)
    manifest = manifest_of(files.pop(NAME))
    change(files)
    entries = [entry_of(name, content) for name, content in sorted(files.items())]
    known = {entry.name: BundledFile(size_bytes=entry.size_bytes, sha256=entry.sha256) for entry in entries}
    made = entry_of(NAME, to_text(manifest.model_copy(update={"files": known})).encode())
    write_archive(path, [made, *entries], 0)
    return path


def packed(path: Path, add: Callable[[tarfile.TarFile], None], seal: bytes = b"") -> Path:
    """Write a ``.tar.zst`` of whatever a function adds to it, with any bytes at its end."""
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as archive:
        add(archive)
    with path.open("wb") as file:
        with pa.CompressedOutputStream(pa.PythonFile(_Open(file), mode="w"), CODEC) as stream:
            stream.write(tar.getvalue())
        file.write(seal or HEAD + bytes(32))
    return path


def put(archive: tarfile.TarFile, name: str, content: bytes = b"", **fields: object) -> None:
    """Add a file with any name and any fields to an archive."""
    header = tarfile.TarInfo(name)
    header.size = len(content)
    for field, value in fields.items():
        setattr(header, field, value)
    archive.addfile(header, io.BytesIO(content))


class _Open(io.RawIOBase):
    """A file that stays open when what writes to it is closed."""

    def __init__(self, file: io.BufferedWriter) -> None:
        self._file = file

    def writable(self) -> bool:
        return True

    def write(self, block: object) -> int:
        return self._file.write(bytes(block))  # type: ignore[call-overload]
