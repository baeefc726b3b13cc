"""SHA-256 of files: of data and weights, remembered by path, size and time of change, so that much is read once; and of code."""

import contextlib
import hashlib
import json
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import platformdirs

# Rooms of the orchestrator whose code measures a trial, decides its stop and judges its answers.
MEASURING = ("distributed", "machine", "measurement", "metrics", "running", "stats", "subject")
# A file changed within the last 2 s is not remembered: it could change again within one tick of the file system's clock.
SETTLED_NS = 2_000_000_000
HOME = Path(__file__).parents[2]


def cache_dir() -> Path:
    """Return the user's cache folder for exported graphs and digests."""
    return Path(platformdirs.user_cache_dir("tail-quality"))


def digest_files(paths: Iterable[Path], cache: Path | None = None) -> list[str]:
    """Return the SHA-256 of each file, as 64 hexadecimal digits. Raises OSError where one cannot be read.

    ``cache`` remembers digests, in the user's cache folder by default. A missing, broken or unwritable one costs time only.
    """
    cache = cache_dir() / "digests.json" if cache is None else cache
    known: dict[str, list[int | str]] = {}
    with contextlib.suppress(OSError, ValueError):
        known = json.loads(cache.read_bytes())
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
        # Replaced in one step. Two writers at once: the later one wins, and what the other knew is read again.
        with contextlib.suppress(OSError):
            cache.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile("w", prefix=".digests-", dir=cache.parent, delete=False) as file:
                json.dump({**known, **fresh}, file)
            Path(file.name).replace(cache)
    return digests


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def code_files(folders: Iterable[str] = ()) -> dict[str, str]:
    """Return the SHA-256 of the Python files that measure: ours, those of ``tasks``, and all in the user's own folders, by their paths.

    Paths are relative to the folder; of two files with one path the first counts, as it does for Python.
    """
    own = [(folder, folder) for folder in (Path(name).expanduser() for name in folders)]
    found: dict[str, str] = {}
    for base, root in [*((HOME, HOME / "orchestrator" / room) for room in MEASURING), (HOME, HOME / "tasks"), *own]:
        for path in _python_files(root):
            found.setdefault(path.relative_to(base).as_posix(), _digest(path))
    return found


def digest_code(folders: Iterable[str] = ()) -> str:
    """Return the SHA-256 of every Python file's name and content: all of the orchestrator's, of ``tasks`` and of the user's folders."""
    roots = [HOME / "orchestrator", HOME / "tasks", *(Path(folder).expanduser() for folder in folders)]
    lines = [f"{path.relative_to(root).as_posix()}\0{_digest(path)}\n" for root in roots for path in _python_files(root)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _python_files(root: Path) -> Iterator[Path]:
    for path in sorted(root.rglob("*.py")):
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(root).parts):
            yield path
