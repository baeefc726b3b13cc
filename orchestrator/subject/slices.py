"""Which slices there are: those that the task's samples name, the size of pictures, and parts that a metric tells apart."""

import re
from collections.abc import Iterable
from math import sqrt

from numpy import int64
from numpy.typing import NDArray

from orchestrator.contracts import doubling_range
from orchestrator.metrics import parts_of

SIZE = "size"
PICTURES = ("image_classification", "object_detection")
NUMBERS = re.compile("([0-9]{1,15})")


def slices_offered(of_samples: Iterable[str], kind: str, metrics: Iterable[str]) -> set[str]:
    """Return the names of all slices of a task.

    Parameters
    ----------
    of_samples
        names of the slices that samples name themselves.
    kind, metrics
        of the task; the size of a picture is known to every task of pictures.
    """
    return {*of_samples, *([SIZE] if kind in PICTURES else ()), *(part for metric in metrics for part in parts_of(metric))}


def groups_by_size(input_sizes: NDArray[int64]) -> list[str]:
    """Return the group of each picture, [S], by the side in pixels of a square that is as large.

    Parameters
    ----------
    input_sizes : [S]
        pixels of each picture.
    """
    return [doubling_range(sqrt(max(size, 0))) for size in input_sizes.tolist()]


def in_order(groups: Iterable[str | None]) -> list[str]:
    """Return the groups there are, each once, as a reader counts: numbers in names by their size.

    Examples
    --------
    >>> in_order(["33-64", None, "129-256", "9-16", "none"])
    ['9-16', '33-64', '129-256', 'none']
    """
    return sorted({group for group in groups if group is not None}, key=_natural)


def _natural(name: str) -> tuple[list[tuple[int, int, str]], str]:
    return [(0, int(part), "") if NUMBERS.fullmatch(part) else (1, 0, part) for part in NUMBERS.split(name) if part], name
