"""SHA-256 of files, remembered by path, size and time of change, so that a large data set is read once."""

import contextlib
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import platformdirs

SETTLED_NS = 2_000_000_000
"""A file changed within the last 2 s is not remembered: it could change again within one tick of the file system's clock."""


def cache_dir() -> Path:
    """Return the user's cache folder for exported graphs and digests."""
    return Path(platformdirs.user_cache_dir("tail-quality"))


def cache_file() -> Path:
    """Return where digests are remembered for this user."""
    return cache_dir() / "digests.json"


def digest_files(paths: Iterable[Path], cache: Path | None = None) -> list[str]:
    """Return the SHA-256 of each file, as 64 hexadecimal digits.

    Parameters
    ----------
    paths
        files to read; OSError where one cannot be read.
    cache
        where digests are remembered; ``cache_file()`` by default. A missing, broken or unwritable one costs time only.
    """
    cache = cache_file() if cache is None else cache
    known = _read(cache)
    fresh: dict[str, list[int | str]] = {}
    digests = []
    for path in paths:
        key, status = str(path.absolute()), path.stat()
        stamp = [status.st_size, status.st_mtime_ns]
        entry = fresh.get(key) or known.get(key)
        if entry is None or entry[:2] != stamp:
            entry = [*stamp, _digest(path)]
            if time.time_ns() - status.st_mtime_ns > SETTLED_NS:
                fresh[key] = entry
        digests.append(str(entry[2]))
    if fresh:
        _write(cache, {**known, **fresh})
    return digests


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read(cache: Path) -> dict[str, list[int | str]]:
    try:
        found = json.loads(cache.read_bytes())
    except (OSError, ValueError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {key: entry for key, entry in found.items() if _is_entry(entry)}


def _is_entry(entry: object) -> bool:
    return isinstance(entry, list) and [type(part) for part in entry] == [int, int, str] and len(entry[2]) == 64


def _write(cache: Path, entries: dict[str, list[int | str]]) -> None:
    """Replace the cache in one step. Two writers at once: the later one wins, and what the other knew is read again."""
    with contextlib.suppress(OSError):
        cache.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=".digests-", dir=cache.parent)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(entries, file)
            Path(name).replace(cache)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
