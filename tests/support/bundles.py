"""Bundles as somebody else may have made them: taken apart, changed, and put together again with digests that fit."""

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa

from orchestrator.bundling.archive import CODEC, SUMS, write_archive


def files_of(bundle: Path) -> dict[str, bytes]:
    """Return every file of a bundle, in its order."""
    with pa.input_stream(bundle, compression=CODEC) as stream, tarfile.open(fileobj=io.BytesIO(stream.read())) as archive:
        return {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]


def forged(bundle: Path, path: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    """Write a bundle whose files were changed by a function of them, with sums that fit."""
    files = files_of(bundle)
    del files[SUMS]
    change(files)
    write_archive(path, files, 0)
    return path


def packed(path: Path, add: Callable[[tarfile.TarFile], None]) -> Path:
    """Write a ``.tar.zst`` of whatever a function adds to it."""
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as archive:
        add(archive)
    with pa.CompressedOutputStream(str(path), CODEC) as stream:
        stream.write(tar.getvalue())
    return path


def sums(*names: str, digest: str = "0" * 64) -> bytes:
    """Return sums that name files."""
    return "".join(f"{digest}  {name}\n" for name in names).encode()


def put(archive: tarfile.TarFile, name: str, content: bytes = b"", **fields: object) -> None:
    """Add a file with any name and any fields to an archive."""
    header = tarfile.TarInfo(name)
    header.size = len(content)
    for field, value in fields.items():
        setattr(header, field, value)
    archive.addfile(header, io.BytesIO(content))
