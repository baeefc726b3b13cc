"""The order in which the 2023 analysis reads rounds: that of ``iterdir()``, which on ext4 is that of a hash of the files' names."""

from __future__ import annotations

from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

CLASSIFICATION = (
    "88 3 74 2 35 41 97 47 69 17 6 72 51 95 49 42 50 33 62 58 54 84 19 16 24 93 26 79 34 61 71 52 25 11 23 100 21 73 92 80 13 5 68 85 65 "
    "30 83 32 64 28 4 63 70 86 91 76 56 53 43 45 82 57 10 20 27 55 46 78 8 12 40 94 90 99 31 1 9 29 22 39 77 15 89 60 75 59 18 44 37 48 "
    "87 67 7 38 66 14 96 81 98 36"
)
"""As recorded for files ``ViT_Run100.time.1`` to ``.100``. Fewer files keep their order."""
DETECTION = "15 3 4 7 8 5 2 19 9 14 10 16 6 20 11 17 1 13 18 12"
"""As recorded for files ``DETR_Run100.time.1`` to ``.20``."""


def directory_order(rounds: int, detection: bool = False) -> NDArray[np.int64]:
    """Return the order, [R] numbers of rounds from 0, in which the program reads the files of that many rounds.

    Recorded on one ext4 file system; that of more files is not known, and theirs is the order of the SHA-256 of their numbers.

    Examples
    --------
    >>> directory_order(4)
    array([2, 1, 3, 0])
    """
    recorded = [int(number) for number in (DETECTION if detection else CLASSIFICATION).split()]
    if rounds > len(recorded):
        recorded = sorted(range(1, rounds + 1), key=lambda number: sha256(str(number).encode()).digest())
    return np.array([number - 1 for number in recorded if number <= rounds], dtype=np.int64)


def is_recorded(rounds: int, detection: bool = False) -> bool:
    """Return whether the order of so many files was recorded, and is no stand-in."""
    return rounds <= len((DETECTION if detection else CLASSIFICATION).split())
