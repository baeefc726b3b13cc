"""Work on several trials at once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
MOST_THREADS = 8
"""More would hold the arrays of more trials in memory at once than they save time."""


def map_in_threads(function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """Return what the function makes of each item, in their order.

    NumPy and Arrow let go of the interpreter while they sort, search and multiply, so that threads share the machine's cores. The
    function must depend on its item alone, so that the order of work cannot be seen in the results.
    """
    with ThreadPoolExecutor(min(MOST_THREADS, os.cpu_count() or 1)) as pool:
        return list(pool.map(function, items))
