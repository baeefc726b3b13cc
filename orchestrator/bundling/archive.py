"""``.tar.zst`` files with the SHA-256 of all they hold: written byte by byte the same, and unpacked as far as a stranger's file may be."""

import hashlib
import io
import os
import re
import shutil
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from orchestrator.contracts import InputError, first_line
from orchestrator.storage.files import replacing
from orchestrator.storage.load import parse_json

CODEC = "zstd"
# The first file: `sha256sum --check` reads it.
SUMS = "SHA256SUMS"
# The first file of a bundle of version 0.2.0, which has sizes and settings as well.
OLD_SUMS = "MANIFEST.json"
LINE = re.compile(r"([0-9a-f]{64})  ([^\n\0]+)\n")
BUFFER = 2**16
# Most bytes that the headers of one file may take.
HEADERS = 2**20
MOST_SUMS = 2**26
# No bundle unpacks to more than so many times its own size; text packs to a twentieth.
MOST_TIMES = 1000
MOST_MISSING = 20
LONGEST_NAME = 200


def write_archive(path: Path, files: Mapping[str, Path | bytes], modified_s: int) -> None:
    """Write files, each a path or its content, in the order of their names. All belong to nobody; ``modified_s`` counts from 1970."""
    sums = "".join(f"{digest(files[name])}  {name}\n" for name in sorted(files))
    with (
        replacing(path) as target,
        os.fdopen(os.dup(target.fileno()), "wb") as own,  # Arrow closes what it writes to
        pa.CompressedOutputStream(pa.PythonFile(own, mode="w"), CODEC) as packed,
        tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as archive,
    ):
        for name in (SUMS, *sorted(files)):
            source = sums.encode() if name == SUMS else files[name]
            header = tarfile.TarInfo(name)
            header.size = len(source) if isinstance(source, bytes) else source.stat().st_size
            header.mode, header.mtime = 0o644, modified_s
            with io.BytesIO(source) if isinstance(source, bytes) else source.open("rb") as content:
                archive.addfile(header, content)


def digest(source: Path | bytes) -> str:
    """Return the SHA-256 of a file or of bytes."""
    with io.BytesIO(source) if isinstance(source, bytes) else source.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def unpack(path: Path, folder: Path) -> list[str]:
    """Write the files of an archive into an empty folder; return a line for each that is not what was bundled.

    Only regular files that the sums name are written, and none twice. What follows another one is not read.

    Raises
    ------
    InputError
        for what is no bundle, and for one that unpacks to far more than its size or to more than the disk has room for.
    """
    if not path.is_file():
        raise InputError(
            f"{path} is {'a folder' if path.is_dir() else 'not there'}: name a file that `bundle` has written", "not_found", value=path
        )
    room = {
        f"{MOST_TIMES:,} times its size": MOST_TIMES * path.stat().st_size,
        f"{folder.parent} has room for": shutil.disk_usage(folder).free,
    }
    sums: dict[str, str] = {}
    problems: list[str] = []
    last, written, left = "its beginning", 0, set[str]()
    try:
        with (
            pa.input_stream(path, compression=CODEC) as stream,
            tarfile.open(fileobj=(rationed := _Rationed(stream)), mode="r|", bufsize=BUFFER) as archive,
        ):
            while (member := archive.next()) is not None:
                begins = not sums
                if begins and (member.name not in (SUMS, OLD_SUMS) or not member.isreg() or member.size > MOST_SUMS):
                    raise ValueError(f"its first file must be {SUMS}")
                if not begins and (strange := _strange(member, left, sums)):
                    return [*problems, f"{member.name[:LONGEST_NAME]}: {strange}; what comes after it was not read"]
                written += member.size
                for limit, most in room.items():
                    if written > most:
                        raise InputError(
                            f"{path} unpacks to more than {limit}: do not open it, or choose another place with TMPDIR=FOLDER", "too_large"
                        )
                rationed.left = member.size + HEADERS
                archive.extract(member, folder, set_attrs=False, filter="data")
                rationed.left = HEADERS
                if begins:
                    sums = _sums_of((folder / member.name).read_bytes(), member.name)
                    left = set(sums)
                elif digest(folder / member.name) != sums[member.name]:
                    problems.append(f"{member.name}: is not what was bundled (its SHA-256 is another one)")
                left.discard(member.name)
                last = member.name
    except InputError:
        raise
    except (tarfile.TarError, pa.ArrowException, OSError, EOFError, ValueError) as error:
        if not sums:
            raise InputError(
                f"{path} is no bundle, or was changed ({first_line(error)}): name a file that `bundle` has written", "damaged"
            ) from error
        return [*problems, f"{path.name}: cannot be read beyond {last} ({first_line(error)})"]
    if not sums:
        raise InputError(f"{path} is no bundle (it holds no file): name a file that `bundle` has written", "damaged")
    missing = [f"{name}: is missing" for name in sorted(left)]
    more = [f"{len(missing) - MOST_MISSING} more files are missing"] if len(missing) > MOST_MISSING else []
    return [*problems, *missing[:MOST_MISSING], *more]


def _strange(member: tarfile.TarInfo, left: set[str], sums: Mapping[str, str]) -> str | None:
    """Return what no bundle holds, or None."""
    if member.name not in sums:
        return f"is not in {SUMS}"
    if not member.isreg() or member.issparse():
        return "is no regular file, and a bundle holds nothing else"
    return None if member.name in left else "is there twice"


def _sums_of(content: bytes, name: str) -> dict[str, str]:
    """Return digests by name. Raises ValueError for content of another form."""
    if name == OLD_SUMS:
        document = parse_json(content)
        files = document.get("files") if isinstance(document, dict) else None
        if not isinstance(files, dict) or not all(isinstance(file, dict) for file in files.values()):
            raise ValueError(f"its {OLD_SUMS} is not ours")
        return {str(name): str(file.get("sha256")) for name, file in files.items()}
    text = content.decode()
    sums = {name: digest for digest, name in LINE.findall(text)}
    if not sums or LINE.sub("", text):
        raise ValueError(f"its {SUMS} has other lines than `DIGEST  NAME`")
    return sums


class _Rationed(io.RawIOBase):
    """An unpacked stream that gives no more than is ``left``: a few bytes can unpack to more than any machine holds."""

    def __init__(self, stream: Any) -> None:
        self._stream, self.left = stream, HEADERS

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= self.left:
            raise ValueError("it holds more than its headers say")
        block: bytes = self._stream.read(size)
        self.left -= len(block)
        return block
