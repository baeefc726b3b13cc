"""Answers and references that are compared for being equal: of one form, because Python holds True for equal to 1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

TRUTH = bool | np.bool_


def of_one_form(labels: Sequence[Any]) -> bool:
    """Return whether labels are all text, all whole numbers, or all true and false.

    Examples
    --------
    >>> of_one_form(["a", "b"]), of_one_form([1, np.int64(2)]), of_one_form([True, False])
    (True, True, True)
    >>> of_one_form([1, True]), of_one_form([1, "1"]), of_one_form([1.0])
    (False, False, False)
    """
    return any(all(_is(form, label) for label in labels) for form in (str, int | np.integer, TRUTH))


def _is(form: Any, label: Any) -> bool:
    return isinstance(label, form) and (form is TRUTH or not isinstance(label, TRUTH))


def types_of(labels: Sequence[Any]) -> str:
    """Return the names of the types of labels, for a message."""
    return ", ".join(sorted({type(label).__name__ for label in labels}))
