"""Keep the heap of a driver that collects rounds for days from growing."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager

LARGE = 128 * 2**10
"""The limit, in bytes, that glibc begins with."""
LARGEST = 32 * 2**20
"""The limit, in bytes, up to which glibc raises it by itself."""
_M_MMAP_THRESHOLD = -3  # malloc.h


@contextmanager
def steady_heap() -> Iterator[None]:
    """Have glibc give every block above 128 KiB a mapping of its own, and give it back when it is freed. Elsewhere nothing changes.

    glibc takes larger and larger blocks from the heap, the more of them a program frees. They end up among the small ones of the rounds
    that follow, and the heap grows although no more of it is in use (mallopt(3), M_MMAP_THRESHOLD).
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        yield
        return
    mallopt(_M_MMAP_THRESHOLD, LARGE)
    try:
        yield
    finally:
        # Analysis, which follows, frees and takes the same large blocks over and over.
        mallopt(_M_MMAP_THRESHOLD, LARGEST)
