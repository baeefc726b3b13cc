"""Quality metrics, found by name: those in the files of this folder, those of installed packages, and those of the user's own folders.

A metric is one class in one file: without arguments, known by its ``name``, and of the form that `interface.MeanMetric` or
`interface.WholeTaskMetric` describes. It lies in a file of this folder, or in one of a folder that the user names by ``code=[DIR]``; a
package offers it through an entry point of the group ``orchestrator.metrics`` under the name of the metric.
"""

from __future__ import annotations

import ast
import difflib
import inspect
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType
from typing import Any, cast

from orchestrator.contracts import InputError
from orchestrator.endings import ends_the_program
from orchestrator.kept_settings import SettingsKept
from orchestrator.metrics.interface import Answers, Judged, MeanMetric, Metric, Part, PartedMetric, WholeTaskMetric

__all__ = [
    "ENTRY_POINT_GROUP",
    "METRICS",
    "Answers",
    "Judged",
    "MeanMetric",
    "Metric",
    "Part",
    "PartedMetric",
    "UnknownMetric",
    "WholeTaskMetric",
    "add_folders",
    "find_metric",
    "forget_folders",
    "known_metrics",
    "names_in",
    "parts_of",
]

ENTRY_POINT_GROUP = "orchestrator.metrics"


def _metrics_of(module: ModuleType) -> Iterator[tuple[str, type[Any]]]:
    """Yield the classes of a module that have a ``name`` of their own and either ``score`` or ``judge``, by their name."""
    for one in vars(module).values():
        own = inspect.isclass(one) and one.__module__ == module.__name__ and "name" in vars(one)
        if own and isinstance(one, MeanMetric | WholeTaskMetric):
            yield one.name, cast(type[Any], one)


METRICS: dict[str, type[Any]] = {
    name: metric
    for found in iter_modules(__path__, f"{__name__}.")
    if found.name != f"{__name__}.interface"
    for name, metric in _metrics_of(import_module(found.name))
}

_OWN: dict[Path, tuple[tuple[str, ...], str | None]] = {}
"""The Python files of the user's folders: the names of the metrics in each, or why it cannot be read."""


def add_folders(folders: Iterable[Path]) -> None:
    """Look for metrics in the Python files of these folders too, from now on. They can be imported by their names."""
    for folder in folders:
        for path in sorted(folder.glob("*.py")):
            _OWN[path] = _read(path)


def forget_folders(folders: Iterable[Path]) -> None:
    """Look for metrics in these folders no longer."""
    gone = set(folders)
    for path in [path for path in _OWN if path.parent in gone]:
        del _OWN[path]


class UnknownMetric(InputError):
    """There is no metric of that name here."""


def find_metric(name: str) -> Metric:
    """Return the metric of that name: one of ours, else one of an installed package, else one of the user's own folders.

    Raises
    ------
    UnknownMetric
        if there is none.
    InputError
        if there are several, or if the one found cannot be used.

    Examples
    --------
    >>> find_metric("top5").name
    'top5'
    """
    own = [path for path, (names, _) in _OWN.items() for known in names if known == name]
    if name in METRICS:
        if own:
            raise InputError(f"metric {name!r} of {own[0]}: is one of ours too; give yours another name")
        metric: Metric = METRICS[name]()
        return metric
    points = [point for point in _points().values() if point.name == name]
    offers = [*(point.value for point in points), *map(str, own)]
    if len(offers) > 1:
        raise InputError(f"metric {name!r}: is there several times ({', '.join(sorted(offers))}); leave one of them")
    if points:
        return _load(points[0])
    if own:
        return _import(name, own[0])
    raise UnknownMetric(f"metric {name!r}: there is none of that name; {_hint(name)}")


def parts_of(name: str) -> Sequence[str]:
    """Return the slices that a metric makes of parts of samples; none where there is no such metric here."""
    try:
        metric = find_metric(name)
    except InputError:
        return ()
    return tuple(metric.parts) if isinstance(metric, PartedMetric) else ()


def known_metrics() -> list[str]:
    """Return the names of all metrics that there are here, in order."""
    return sorted({*METRICS, *(one for names, _ in _OWN.values() for one in names), *(point.name for point in _points().values())})


def _hint(name: str) -> str:
    """Return what may have been meant, or what is known, and which files could not be looked into."""
    known = known_metrics()
    nearest = difflib.get_close_matches(name, known, n=1)
    broken = [f"{path} cannot be read: {why}" for path, (_, why) in _OWN.items() if why]
    where = [] if _OWN else ["for one of yours add code=[DIR]"]
    return "; ".join([f"did you mean {nearest[0]}?" if nearest else f"known are {', '.join(known)}", *broken, *where])


def _points() -> dict[tuple[str, str], EntryPoint]:
    """Return what installed packages offer; an installation that is listed twice counts once."""
    return {(point.name, point.value): point for point in entry_points(group=ENTRY_POINT_GROUP)}


def _read(path: Path) -> tuple[tuple[str, ...], str | None]:
    """Return the names of the metrics in a file, or none and why it is no Python."""
    try:
        content = path.read_bytes()
    except OSError as error:
        return (), str(error)
    return _read_content(content)


@lru_cache(maxsize=1024)
def _read_content(content: bytes) -> tuple[tuple[str, ...], str | None]:
    """Do it. Equal files are read once in a process: each campaign asks for all of a folder's twice."""
    try:
        return tuple(_named_in(ast.parse(content))), None
    except SyntaxError as error:
        return (), f"{error.msg}, line {error.lineno}"
    except ValueError as error:
        return (), str(error)


def names_in(path: Path) -> tuple[str, ...]:
    """Return the names of the metrics in a file, read without running it; a file that is no Python has none."""
    return _read(path)[0]


def _named_in(module: ast.Module) -> Iterator[str]:
    """Yield each ``name = "..."`` of classes that have ``score`` or ``judge``, of their own or from another class of the file."""
    classes = {node.name: node for node in module.body if isinstance(node, ast.ClassDef)}
    for node in classes.values():
        named = [value for target, value in map(_assigned, node.body) if target == "name"]
        if named and _has_verdict(node, classes):
            yield str(named[-1])


def _assigned(statement: ast.stmt) -> tuple[str, object]:
    """Return what a statement of a class gives a constant to, and the constant; two empty texts for any other."""
    target = statement.targets[0] if isinstance(statement, ast.Assign) else getattr(statement, "target", None)
    value = getattr(statement, "value", None)
    return (target.id, value.value) if isinstance(target, ast.Name) and isinstance(value, ast.Constant) else ("", "")


def _has_verdict(node: ast.ClassDef, classes: dict[str, ast.ClassDef]) -> bool:
    """Return whether a class, or one of the same file that it is derived from, has ``score`` or ``judge``."""
    if {"score", "judge"} & {one.name for one in node.body if isinstance(one, ast.FunctionDef)}:
        return True
    bases = [classes[base.id] for base in node.bases if isinstance(base, ast.Name) and base.id in classes]
    return any(_has_verdict(base, {name: one for name, one in classes.items() if one is not node}) for base in bases)


def _import(name: str, path: Path) -> Metric:
    """Import the user's file and construct the metric, which may fail in any way."""
    try:
        with SettingsKept():
            return dict(_metrics_of(import_module(path.stem)))[name]()  # type: ignore[no-any-return]
    except BaseException as error:
        if ends_the_program(error):
            raise
        why = "Python imports another module of that name" if isinstance(error, KeyError) else error
        raise InputError(f"metric {name!r} of {path}: cannot be used ({why}); repair it") from error


def _load(point: EntryPoint) -> Metric:
    """Import and construct a metric of another package, which may fail in any way."""
    try:
        with SettingsKept():
            metric = point.load()()
    except BaseException as error:
        if ends_the_program(error):
            raise
        raise InputError(f"metric {point.name!r} of {point.value}: cannot be loaded ({error}); repair or uninstall it") from error
    if not isinstance(metric, MeanMetric | WholeTaskMetric):
        raise InputError(f"metric {point.name!r} of {point.value}: must offer name, and score or judge; repair or uninstall it")
    return metric
