"""Grey pictures as PNG, byte for byte the same everywhere: stored without compression, whose result depends on zlib's version."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY_OF_8_BITS = bytes([8, 0, 0, 0, 0])
LONGEST_BLOCK = 0xFFFF


def encode_grey(pixels: np.ndarray[Any, np.dtype[np.uint8]]) -> bytes:
    """Return uint8 [height, width] as a PNG file (W3C, "Portable Network Graphics", 11.2)."""
    height, width = pixels.shape
    no_filter = np.zeros((height, 1), dtype=np.uint8)
    rows = np.hstack([no_filter, pixels]).tobytes()
    header = struct.pack(">II", width, height) + GREY_OF_8_BITS
    return SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", _stored(rows)) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _stored(content: bytes) -> bytes:
    """Return a zlib stream of blocks that are not compressed (RFC 1950, RFC 1951 section 3.2.4)."""
    stream = [b"\x78\x01"]
    for start in range(0, len(content), LONGEST_BLOCK):
        block = content[start : start + LONGEST_BLOCK]
        last = start + LONGEST_BLOCK >= len(content)
        stream += [struct.pack("<BHH", last, len(block), len(block) ^ 0xFFFF), block]
    return b"".join([*stream, struct.pack(">I", zlib.adler32(content))])
