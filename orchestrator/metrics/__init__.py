"""Quality metrics, found by name: those in the files of this folder, those of installed packages, and those of the user's own folders.

A metric is one class in one file: without arguments, known by its ``name``, and of the form that `interface.MeanMetric` or
`interface.WholeTaskMetric` describes. It lies in a file of this folder, or in one of a folder that the user names by ``code=[DIR]``; a
package offers it through an entry point of the group ``orchestrator.metrics`` under the name of the metric.
"""

from __future__ import annotations

import ast
import difflib
import inspect
from collections.abc import Iterable, Iterator
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType
from typing import Any

from orchestrator.contracts import InputError
from orchestrator.metrics.interface import Answers, Judged, MeanMetric, Metric, WholeTaskMetric

__all__ = [
    "ENTRY_POINT_GROUP",
    "METRICS",
    "Answers",
    "Judged",
    "MeanMetric",
    "Metric",
    "WholeTaskMetric",
    "add_folders",
    "find_metric",
    "names_in",
]

ENTRY_POINT_GROUP = "orchestrator.metrics"


def _metrics_of(module: ModuleType) -> Iterator[tuple[str, type[Any]]]:
    """Yield the classes of a module that have a ``name`` and either ``score`` or ``judge``, by their name."""
    for one in vars(module).values():
        if inspect.isclass(one) and one.__module__ == module.__name__ and isinstance(one, MeanMetric | WholeTaskMetric):
            yield one.name, one


METRICS: dict[str, type[Any]] = dict(
    metric for found in iter_modules(__path__, f"{__name__}.") if found.name != f"{__name__}.interface"
    for metric in _metrics_of(import_module(found.name))
)  # fmt: skip

_FOLDERS: list[Path] = []
"""Folders of the user's own code, whose modules can be imported by their names."""


def add_folders(folders: Iterable[Path]) -> None:
    """Look for metrics in the Python files of these folders too, from now on."""
    _FOLDERS.extend(folder for folder in folders if folder not in _FOLDERS)


def find_metric(name: str) -> Metric:
    """Return the metric of that name: one of ours, else one of an installed package, else one of the user's own folders.

    Raises
    ------
    InputError
        if there is none, if there are several, or if the one found cannot be used.

    Examples
    --------
    >>> find_metric("top5").name
    'top5'
    """
    if name in METRICS:
        metric: Metric = METRICS[name]()
        return metric
    offered = {(point.name, point.value): point for point in entry_points(group=ENTRY_POINT_GROUP)}
    own = dict(_named_in_folders())
    points = [point for point in offered.values() if point.name == name]
    if len(points) > 1:
        both = ", ".join(sorted(point.value for point in points))
        raise InputError(f"metric {name!r}: several packages offer it ({both}); uninstall all but one")
    if points:
        return _load(points[0])
    if name in own:
        return _import(name, own[name])
    known = sorted({*METRICS, *own, *(point.name for point in offered.values())})
    nearest = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {nearest[0]}?" if nearest else f"known are {', '.join(known)}"
    raise InputError(f"metric {name!r}: there is none of that name; {hint}")


def _named_in_folders() -> Iterator[tuple[str, Path]]:
    """Yield what the classes of the user's files are named, read without running them, and the file; of equal names the first counts."""
    for folder in reversed(_FOLDERS):
        for path in sorted(folder.glob("*.py"), reverse=True):
            yield from ((name, path) for name in names_in(path))


def names_in(path: Path) -> Iterator[str]:
    """Yield the names of the metrics in a file, read without running it: ``name = "..."`` of classes that have ``score`` or ``judge``."""
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and {"score", "judge"} & {one.name for one in node.body if isinstance(one, ast.FunctionDef)}:
            for one in node.body:
                target = one.targets[0] if isinstance(one, ast.Assign) else one.target if isinstance(one, ast.AnnAssign) else None
                if isinstance(target, ast.Name) and target.id == "name" and isinstance(one.value, ast.Constant):  # type: ignore[attr-defined]
                    yield str(one.value.value)  # type: ignore[attr-defined]


def _import(name: str, path: Path) -> Metric:
    """Import the user's file and construct the metric, which may fail in any way."""
    try:
        return dict(_metrics_of(import_module(path.stem)))[name]()  # type: ignore[no-any-return]
    except Exception as error:
        why = "importing it gives another module of that name" if isinstance(error, KeyError) else error
        raise InputError(f"metric {name!r} of {path}: cannot be used ({why}); repair it") from error


def _load(point: EntryPoint) -> Metric:
    """Import and construct a metric of another package, which may fail in any way."""
    try:
        metric = point.load()()
    except Exception as error:
        raise InputError(f"metric {point.name!r} of {point.value}: cannot be loaded ({error}); repair or uninstall it") from error
    if not isinstance(metric, MeanMetric | WholeTaskMetric):
        raise InputError(f"metric {point.name!r} of {point.value}: must offer name, and score or judge; repair or uninstall it")
    return metric
