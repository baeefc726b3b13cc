"""Files that are whole or not there, sealed by a checksum."""

import errno
import fcntl
import hashlib
import json
import os
import re
import stat
import struct
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

import pyarrow as pa
import pyarrow.parquet as pq

from orchestrator.contracts import InputError
from orchestrator.storage.layout import file_identity
from orchestrator.storage.stored_form import PARQUET

MAGIC = b"TQSEAL02"
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
    digest = _digest(file, start, footer, file_identity(path))
    file.seek(start)
    file.write(MAGIC + digest + footer)


def check_parquet(path: Path) -> None:
    """Raise BrokenSeal if a Parquet file is not what was written. A file that has not changed since is not read again."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise BrokenSeal("it is no regular file")
    _check_parquet(path, status.st_ino, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=4096)
def _check_parquet(path: Path, inode: int, size: int, changed_ns: int) -> None:
    with path.open("rb") as file:
        start = max(_footer_start(file) - SEAL_BYTES, 0)
        file.seek(start)
        seal, footer = file.read(SEAL_BYTES), file.read()
        if not seal.startswith(MAGIC):
            raise BrokenSeal("it has no seal of this program")
        if seal[len(MAGIC) :] != _digest(file, start, footer, file_identity(path)):
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
    for start in range(0, until, CHUNK):
        digest.update(file.read(min(CHUNK, until - start)))
    digest.update(footer)
    return digest.digest()


def sealed_json(text: str) -> str:
    """Return a JSON object's text, as ``json.dumps`` writes it with an indent of 1, with a seal as its last key."""
    body = text.removesuffix("\n}")
    open_text = f'{body}{"" if body.endswith("{") else ","}\n "sha256": "{ZEROS}"\n}}\n'
    before, _, after = open_text.rpartition(ZEROS)
    return before + hashlib.sha256(open_text.encode()).hexdigest() + after


def check_json(content: bytes) -> None:
    """Raise BrokenSeal if a JSON file's text is not what was written."""
    found = JSON_SEAL.search(content)
    if found is None:
        raise BrokenSeal("it has no checksum at its end")
    unsealed = content[: found.start(1)] + ZEROS.encode() + content[found.end(1) :]
    if hashlib.sha256(unsealed).hexdigest().encode() != found[1]:
        raise BrokenSeal("its checksum does not fit")


# What Python makes of bytes that are no UTF-8, as in some file names, and no file of UTF-8 can hold.
SURROGATES = re.compile(r"[\ud800-\udfff]")

# Names of files that are not whole yet. The number is the writing thread, so that two never share one, in whatever process.
DRAFT = re.compile(r"\..+\.\d+\.tmp")


class Held:
    """A folder opened once. Until `close`, files below its path are written into this folder, whatever takes its place."""

    _all: ClassVar[list["Held"]] = []

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self._descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._all.append(self)

    @property
    def gone(self) -> bool:
        """Whether its path leads elsewhere now, or nowhere."""
        with suppress(OSError):
            return not os.path.samestat(os.fstat(self._descriptor), self.path.stat())
        return True

    def refuse_gone(self) -> None:
        """Raise OSError if the folder is not where it was."""
        if self.gone:
            raise OSError(errno.ESTALE, "was removed, moved or replaced meanwhile", str(self.path))

    @classmethod
    def of(cls, path: Path) -> "Held | None":
        """Return the held folder that a path lies in, if any."""
        place = path.absolute()
        return next((one for one in cls._all if one.path in (place, *place.parents)), None)

    def close(self) -> None:
        """Let go of the folder. Idempotent."""
        if self in self._all:
            self._all.remove(self)
            os.close(self._descriptor)

    @classmethod
    @contextmanager
    def parent_of(cls, path: Path) -> Iterator[int]:
        """Open the folder around a path: below a held folder from there, and through no link."""
        folder = path.absolute().parent
        held = cls.of(folder)
        descriptor = os.dup(held._descriptor) if held is not None else os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for name in () if held is None else folder.relative_to(held.path).parts:
                outer = descriptor
                descriptor = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=outer)
                os.close(outer)
            yield descriptor
        except OSError as error:
            if error.filename is None or error.filename in path.parts:
                error.filename = str(path)
            raise
        finally:
            os.close(descriptor)


def draft_of(path: Path) -> Path:
    """Return the name under which a file is written before it is whole."""
    return path.with_name(f".{path.name}.{threading.get_native_id()}.tmp")


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a file that takes the place of ``path`` once the block has ended well, and leaves it alone otherwise."""
    draft = draft_of(path).name
    with Held.parent_of(path) as folder:
        with suppress(FileNotFoundError):
            os.unlink(draft, dir_fd=folder)
        try:
            # Never through a link that another user has put there.
            with open(draft, "x+b", opener=lambda name, flags: os.open(name, flags, 0o666, dir_fd=folder)) as file:
                with suppress(OSError):  # some file systems have no locks
                    fcntl.flock(file, fcntl.LOCK_EX)
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.rename(draft, path.name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException as error:
            with suppress(FileNotFoundError):
                os.unlink(draft, dir_fd=folder)
            if isinstance(error, OSError) and error.filename == draft:
                error.filename = str(path)
            raise
        _sync(folder)


def remove_drafts(folder: Path) -> None:
    """Delete the half-written files of dead writers. A living one holds a lock on its draft."""
    for path in folder.iterdir():
        if DRAFT.fullmatch(path.name):
            with (
                suppress(OSError),
                open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK)) as draft,  # no pipe
            ):
                fcntl.flock(draft, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()


def _sync(folder: int) -> None:
    """Make renames within an open folder survive a loss of power."""
    try:
        os.fsync(folder)
    except OSError as error:
        # Some network file systems cannot flush a folder; they order renames themselves.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise


def make_folder(folder: Path) -> None:
    """Create a folder if it is missing, and make that survive a loss of power."""
    with Held.parent_of(folder) as around, suppress(FileExistsError):
        os.mkdir(folder.name, dir_fd=around)
        _sync(around)


def remove(paths: Iterable[Path]) -> None:
    """Delete files one after another, also where power is lost on the way."""
    for path in paths:
        with Held.parent_of(path) as folder:
            os.unlink(path.name, dir_fd=folder)
            _sync(folder)


def make_output_folder(path: Path, option: str) -> Path:
    """Create a folder that the user names and that may be there already, and return it. Raises InputError if it cannot be one."""
    folder = path.expanduser()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"{option} {path} cannot be a folder ({error.strerror}): name another place", "unreadable", option, path
        ) from error
    return folder


def check_output_file(path: Path) -> None:
    """Raise InputError where a file cannot be written that the user names: it is a folder, or its folder does not exist."""
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise InputError(
            f"{path}: must be a file in a folder that exists: make {path.absolute().parent}, or name another place", "not_found", value=path
        )


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text, with backslash escapes for what UTF-8 does not have."""
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
    write_text(path, sealed_json(json_text(document)))


def write_parquet(path: Path, table: pa.Table, **options: Any) -> None:
    """Write a table as one sealed Parquet file with zstd and a checksum on every page. ``options`` are those of ``write_table``."""
    with replacing(path) as file:
        pq.write_table(table, file, **{**PARQUET, **options})
        seal_parquet(file, path)


def write_link(link: Path, target: Path) -> None:
    """Point a symbolic link at ``target`` by a relative path, in one step. Raises InputError if it is no link."""
    if link.exists() and not link.is_symlink():
        raise InputError(f"{link} is to be a link to the newest results but is something else: move it away", "exists")
    draft = draft_of(link)
    draft.unlink(missing_ok=True)
    draft.symlink_to(os.path.relpath(os.path.realpath(target), os.path.realpath(link.parent)))
    try:
        draft.replace(link)
    except PermissionError as error:
        draft.unlink(missing_ok=True)
        raise InputError(
            f"{link} belongs to another user and cannot be pointed at the newest results: name results_dir=", "unreadable"
        ) from error


def write_results(directory: Path, tables: Mapping[str, pa.Table], texts: Mapping[str, str]) -> None:
    """Write result tables as ``<name>.parquet``, those that have rows, and texts under their own names, all into one folder.

    Each file is whole or not there.
    """
    with closing(Held(directory)):
        for name, table in tables.items():
            if table.num_rows:
                write_parquet(directory / f"{name}.parquet", table)
            elif os.path.lexists(directory / f"{name}.parquet"):
                remove([directory / f"{name}.parquet"])
        for name, text in texts.items():
            write_text(directory / name, text)
