"""Quality metrics, one class each."""

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from importlib.metadata import entry_points
from pathlib import Path
from pkgutil import resolve_name
from typing import cast

from orchestrator.contracts import InputError, nearest
from orchestrator.metrics.interface import (
    Answers,
    Judged,
    MeanMetric,
    Metric,
    Part,
    WholeTaskMetric,
)

__all__ = [
    "METRICS",
    "ON_TIME",
    "Answers",
    "Judged",
    "MeanMetric",
    "Metric",
    "Part",
    "UnknownMetric",
    "WholeTaskMetric",
    "add_folders",
    "find_metric",
    "forget_folders",
    "names_in",
    "parts_of",
]

# The targets of our metrics by their names.
METRICS = {
    "accuracy": "orchestrator.metrics.accuracy:Accuracy",
    "exact_match": "orchestrator.metrics.accuracy:ExactMatch",
    "f1_macro": "orchestrator.metrics.accuracy:F1Macro",
    "f1_micro": "orchestrator.metrics.accuracy:F1Micro",
    "hit_rate_at_10": "orchestrator.metrics.accuracy:HitRateAt10",
    "map": "orchestrator.metrics.detection:Map",
    "map50": "orchestrator.metrics.detection:Map50",
    "map75": "orchestrator.metrics.detection:Map75",
    "map_large": "orchestrator.metrics.detection:MapLarge",
    "map_medium": "orchestrator.metrics.detection:MapMedium",
    "map_small": "orchestrator.metrics.detection:MapSmall",
    "ndcg_at_10": "orchestrator.metrics.accuracy:NdcgAt10",
    "on_time": "orchestrator.metrics.accuracy:OnTime",
    "subject_accuracy": "orchestrator.metrics.accuracy:SubjectAccuracy",
    "top1": "orchestrator.metrics.accuracy:Top1",
    "top5": "orchestrator.metrics.accuracy:Top5",
    "word_f1": "orchestrator.metrics.accuracy:WordF1",
}
# The score of an answer that nobody has judged: its mean is the share of answers in time.
ON_TIME = "on_time"
ENTRY_POINTS = "orchestrator.metrics"
# A class and its ``name`` in the text of a file.
NAMED = re.compile(
    r"""^class (\w+)\b.*:\n(?:(?!\S).*\n)*?[ \t]+name\b[^=\n]*= *["'](.+?)["']""", re.MULTILINE
)
# The Python files of the user's folders, with the targets of their metrics by name.
_OWN: dict[Path, Mapping[str, str]] = {}


class UnknownMetric(InputError):
    """There is no metric of that name here."""


def add_folders(folders: Iterable[Path]) -> None:
    """Find metrics in the Python files of these folders too, which must be importable."""
    _OWN.update({path: names_in(path) for folder in folders for path in folder.glob("*.py")})


def forget_folders(folders: Sequence[Path]) -> None:
    """Find metrics in these folders no longer."""
    for path in [path for path in _OWN if path.parent in folders]:
        del _OWN[path]


def names_in(path: Path) -> Mapping[str, str]:
    """Return the targets of the metrics in a file by their names, without running it."""
    text = path.read_text("utf-8", "replace")
    found = NAMED.findall(text) if re.search(r"def (score|judge)\(", text) else ()
    return {name: f"{path.stem}:{kind}" for kind, name in found}


def find_metric(name: str) -> Metric:
    """Return a metric by its target ``module:Class`` in the user's folders, or by its name.

    A name is that of one of ours, of an entry point of an installed package, or of a class in the
    user's folders. Raises UnknownMetric if there is none, and InputError if there are several or
    the one found cannot be used.

    Examples
    --------
    >>> find_metric("top5").name
    'top5'
    """
    targets = _targets(name)
    if not targets:
        own = [one for named in _OWN.values() for one in named]
        known = [*METRICS, *entry_points(group=ENTRY_POINTS).names, *own]
        hint = f"{nearest(name, known)} (yours need code=[DIR])"
        raise UnknownMetric(
            f"metric {name!r}: there is none of that name; {hint}", "unknown", value=name
        )
    if len(targets) > 1:
        raise InputError(
            f"metric {name!r}: is there several times ({', '.join(targets)}); leave one of them",
            "conflict",
            value=name,
        )
    try:
        return cast(Metric, resolve_name(targets[0])())
    except Exception as error:
        raise InputError(
            f"metric {name!r} of {targets[0]}: cannot be used ({type(error).__name__}: {error}); "
            "repair it",
            value=name,
        ) from error


def _targets(name: str) -> Sequence[str]:
    """Return where a metric lies.

    A stored campaign may come from a stranger: what it names is imported from the user's folders
    alone.
    """
    if ":" in name:
        return [name] if name.partition(":")[0] in {path.stem for path in _OWN} else []
    own = [named[name] for named in _OWN.values() if name in named]
    if name in METRICS:
        return [METRICS[name], *own]
    return [*sorted({point.value for point in entry_points(group=ENTRY_POINTS, name=name)}), *own]


def parts_of(name: str) -> Sequence[str]:
    """Return the slices that a metric makes of parts of samples; none where it is not here."""
    with suppress(InputError):
        return tuple(getattr(find_metric(name), "parts", ()))
    return ()
