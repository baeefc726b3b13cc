"""Measure tail quality: how good an ML inference system is when an answer that comes too late counts as a failure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.storage.results import Results

__version__: str


def open(directory: Path | str) -> Results:  # noqa: A001 - read as orchestrator.open
    """Open the stored results of a campaign, such as ``results/latest``. Raises InputError where there are none."""
    from orchestrator.storage.results import Results

    return Results(directory)


def __getattr__(name: str) -> str:
    """Look the version up when it is asked for: reading the metadata of installed packages takes longer than this import."""
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("tail-quality")
    except PackageNotFoundError:
        return "0+unknown"
