"""Files of one trial that somebody removes while it is measured."""

import errno
import os
from pathlib import Path


def refuse_missing(path: Path) -> None:
    """Raise FileNotFoundError for a file that was written and is not there any more."""
    if not path.exists():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))


def lost_in(folder: Path, error: BaseException | None) -> Path | None:
    """Return what is missing of a trial's folder, the folder and the one around it included, where an error comes from that, else None."""
    if not isinstance(error, FileNotFoundError):
        return None
    path = Path(os.fsdecode(error.filename)) if isinstance(error.filename, str | bytes | os.PathLike) else folder
    lost = next((place for place in (*reversed(path.parents), path) if not os.path.lexists(place)), path)
    of_trial = folder in (path, *path.parents) and (lost == folder.parent or folder in (lost, *lost.parents))
    return lost if of_trial else None


def put_aside(folder: Path) -> Path | None:
    """Rename what is left of a trial's folder, which is not ours to delete; return its new place, or None if nothing is left."""
    if not folder.is_dir():
        return None
    names = (f"{folder.name}.left", *(f"{folder.name}.left-{number}" for number in range(2, 1000)))
    return folder.rename(next(place for name in names if not os.path.lexists(place := folder.with_name(name))))
