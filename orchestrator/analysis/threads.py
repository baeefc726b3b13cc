"""Work on many items in threads that share the machine's cores."""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
MOST_THREADS = 8  # More threads would cost more memory than the time they save is worth.


def map_in_threads(function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """Return the function's result for each item, in order.

    NumPy and Arrow release the interpreter while they work, so that threads share the cores. The
    function must depend on its item alone, so that the order of work does not show in the results.
    """
    with ThreadPoolExecutor(min(MOST_THREADS, os.cpu_count() or 1)) as pool:
        return list(pool.map(function, items))
