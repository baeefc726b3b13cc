"""Folders that a command writes into, none of which may be the directory of a campaign."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import platformdirs

from orchestrator.contracts import InputError
from orchestrator.storage.layout import CAMPAIGN


def refuse_campaign_folder(path: Path, option: str, directories: Sequence[Path]) -> None:
    """Raise InputError for a file or folder to be written that is, or lies in, the directory of a campaign."""
    place = path.expanduser().resolve()
    inputs = {directory.resolve() for directory in directories}
    for parent in (place, *place.parents):
        if parent in inputs or (parent / CAMPAIGN).is_file():
            raise InputError(f"{option} {path} lies within the campaign {parent}, which stays as it was measured: name another place")


def make_folder(path: Path, option: str) -> Path:
    """Create a folder that may be there already, and return it."""
    folder = path.expanduser()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{option} {path} cannot be a folder ({error.strerror}): name another place") from error
    return folder


def cache_dir() -> Path:
    """Return the user's cache folder for exported graphs and digests."""
    return Path(platformdirs.user_cache_dir("tail-quality"))
