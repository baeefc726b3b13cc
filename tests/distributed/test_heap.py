from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import ctypes
import sys
from contextlib import nullcontext

import numpy as np

from orchestrator.distributed.site import steady_heap

class Use(ctypes.Structure):  # mallinfo2(3)
    _fields_ = [(name, ctypes.c_size_t) for name in "arena ordblks smblks mapped mapped_bytes usmblks fsmblks used free top".split()]

mallinfo2 = ctypes.CDLL(None).mallinfo2
mallinfo2.restype = Use

def mapped_by(size):
    before = mallinfo2().mapped
    block = np.empty(size, np.uint8)
    return mallinfo2().mapped - before

with steady_heap() if sys.argv[1] == "steady" else nullcontext():
    for size in (2**24, 2**22):
        print(mapped_by(size))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's heap is that of Linux: nothing to test elsewhere")
@pytest.mark.parametrize(("kind", "mapped"), [("steady", ["1", "1"]), ("grown", ["1", "0"])])
def test_a_large_block_never_comes_from_the_heap(kind: str, mapped: list[str]) -> None:
    # glibc raises the size that counts as large when the first block is freed: the second then lies in the heap.
    done = subprocess.run([sys.executable, "-c", PROGRAM, kind], capture_output=True, text=True, check=True)
    assert done.stdout.split() == mapped
