"""Measure tail quality: how good an ML inference system is when an answer that comes too late counts as a failure."""

# What stands here up to the call of `_leave_current_folder` runs while the current folder is still searched for modules, so that it
# imports nothing that is not there already: not even `from __future__`.
import os
import sys


def _leave_current_folder() -> None:
    """Have no module imported from the current folder, which may be a stranger's results: ``python -m`` puts it first.

    It stays where this package lies in it, as in a checkout that runs from its own root, and where the user has named it in PYTHONPATH
    or installed it, which puts it behind Python's own modules.
    """
    path, folder = os.path.realpath, os.path.dirname
    try:
        here = path(os.getcwd())  # noqa: PTH109 - pathlib is not imported yet
    except OSError:  # removed meanwhile
        here = ""
    if here == folder(folder(path(__file__))):
        return
    named = () if sys.flags.ignore_environment else os.environ.get("PYTHONPATH", "").split(os.pathsep)
    kept = {path(place) for place in named if place}
    library = folder(os.__file__)
    first = sys.path.index(library) if library in sys.path else len(sys.path)
    before = [place for place in sys.path[:first] if place and (path(place) != here or here in kept)]
    sys.path[:] = [*before, *sys.path[first:]]


if sys.argv[:1] == ["-m"] and sys.orig_argv[-len(sys.argv)] in (__name__, f"-m{__name__}"):  # `python -m orchestrator` begins
    _leave_current_folder()

from typing import TYPE_CHECKING  # noqa: E402 - from where Python lies

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.analysis.python_interface import Results

__version__: str


def open(directory: "Path | str") -> "Results":  # noqa: A001 - read as orchestrator.open
    """Open the stored results of a campaign for reading; needs neither the model nor the data nor the machine.

    Parameters
    ----------
    directory
        a campaign's directory, such as ``results/latest``.

    Returns
    -------
    Results
        with the methods ``trials()``, ``trial(id)``, ``timings(id)``, ``rounds(id)``, ``samples(id)``, ``warmup(id)``,
        ``answers(id, round)``, and one per result table, such as ``tail_quality()``: Arrow tables, durations in ns.

    Raises
    ------
    InputError
        for a directory that holds no campaign, a damaged one, or one that a newer version wrote.

    Examples
    --------
    >>> import orchestrator
    >>> results = orchestrator.open("results/latest")
    >>> sorted(set(results.trials().column("state").to_pylist()))
    ['done']
    >>> results.tail_quality().column_names[:4]
    ['trial', 'match_key', 'model', 'task']
    """
    from orchestrator.analysis.python_interface import Results

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
