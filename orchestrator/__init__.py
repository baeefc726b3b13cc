"""Measure tail quality: how good an ML inference system is when an answer that comes too late counts as a failure."""

from typing import TYPE_CHECKING

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
