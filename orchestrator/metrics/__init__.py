"""Quality metrics, found by name: those in the files of this folder, and those that installed packages offer.

A metric is one file here: a class without arguments of the form that `interface.MeanMetric` or `interface.WholeTaskMetric`
describes, known by its ``name``. A package offers such a class through an entry point of the group ``orchestrator.metrics``,
under the name of the metric.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pkgutil import iter_modules
from typing import cast

from orchestrator.contracts import InputError
from orchestrator.metrics.interface import Answers, Judged, MeanMetric, Metric, WholeTaskMetric

__all__ = ["ENTRY_POINT_GROUP", "METRICS", "Answers", "Judged", "MeanMetric", "Metric", "WholeTaskMetric", "find_metric"]


def _of_this_folder() -> Iterator[tuple[str, type[Metric]]]:
    """Yield the classes of this folder's files that have a ``name`` and the ``kinds`` of tasks that they judge, by their name."""
    for found in iter_modules(__path__, f"{__name__}."):
        for one in vars(import_module(found.name)).values():
            if inspect.isclass(one) and one.__module__ == found.name and {"name", "kinds"} <= set(dir(one)):
                metric = cast(type[Metric], one)
                yield metric.name, metric


METRICS: dict[str, type[Metric]] = dict(_of_this_folder())

ENTRY_POINT_GROUP = "orchestrator.metrics"


def find_metric(name: str) -> Metric:
    """Return the metric of that name: one of ours, else one that an installed package offers.

    Raises
    ------
    InputError
        if there is none, if two packages offer different ones, or if the one found cannot be used.

    Examples
    --------
    >>> find_metric("top5").kinds
    ('image_classification',)
    """
    if name in METRICS:
        return METRICS[name]()
    offered = {(point.name, point.value): point for point in entry_points(group=ENTRY_POINT_GROUP)}
    found = [point for point in offered.values() if point.name == name]
    if not found:
        known = sorted({*METRICS, *(point.name for point in offered.values())})
        nearest = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {nearest[0]}?" if nearest else f"known are {', '.join(known)}"
        raise InputError(f"metric {name!r}: there is none of that name; {hint}")
    if len(found) > 1:
        both = ", ".join(sorted(point.value for point in found))
        raise InputError(f"metric {name!r}: several packages offer it ({both}); uninstall all but one")
    return _load(found[0])


def _load(point: EntryPoint) -> Metric:
    """Import and construct a metric of another package, which may fail in any way."""
    try:
        metric = point.load()()
    except Exception as error:
        raise InputError(f"metric {point.name!r} of {point.value}: cannot be loaded ({error}); repair or uninstall it") from error
    if not isinstance(metric, MeanMetric | WholeTaskMetric):
        raise InputError(f"metric {point.name!r} of {point.value}: must offer name, kinds, and score or judge; repair or uninstall it")
    return metric
