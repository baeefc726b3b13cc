"""Quality metrics, found by name: those of this table, and those that installed packages offer.

A package offers a metric through an entry point of the group ``orchestrator.metrics`` whose name is the metric's and whose
value is a class that takes no arguments, of the form `interface.MeanMetric` or `interface.WholeTaskMetric` describes.
"""

from __future__ import annotations

import difflib
from importlib.metadata import EntryPoint, entry_points

from orchestrator.contracts import InputError
from orchestrator.metrics.accuracy import Accuracy, SubjectAccuracy, Top1, Top5
from orchestrator.metrics.f1 import F1Macro, F1Micro
from orchestrator.metrics.interface import Answers, Judged, MeanMetric, Metric, WholeTaskMetric
from orchestrator.metrics.map import Map
from orchestrator.metrics.map50 import Map50
from orchestrator.metrics.map75 import Map75
from orchestrator.metrics.map_large import MapLarge
from orchestrator.metrics.map_medium import MapMedium
from orchestrator.metrics.map_small import MapSmall

__all__ = ["ENTRY_POINT_GROUP", "METRICS", "Answers", "Judged", "MeanMetric", "Metric", "WholeTaskMetric", "find_metric"]

METRICS: dict[str, type[MeanMetric] | type[WholeTaskMetric]] = {
    "top1": Top1,
    "top5": Top5,
    "accuracy": Accuracy,
    "subject_accuracy": SubjectAccuracy,
    "f1_micro": F1Micro,
    "f1_macro": F1Macro,
    "map": Map,
    "map50": Map50,
    "map75": Map75,
    "map_small": MapSmall,
    "map_medium": MapMedium,
    "map_large": MapLarge,
}

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
