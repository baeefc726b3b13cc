"""Text and arrays of a page, compressed: a browser unpacks them without a request and without running text as code."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.curves import Floats

LEVELS = 65_534
"""Steps in which quality by round is drawn; 65,535 stands for no value."""
FEWER_LEVELS = 4_094
"""Steps in which a line is drawn on an axis that is not logarithmic: far finer than what a screen shows; 65,535 stands for no value."""
FEW = 255
"""Most different values of an array that are kept as they are, each place in one byte; 255 stands for no value."""
PER_MILLION = 1_000_000
LETTERS = np.array([code for code in range(33, 127) if chr(code) not in "<&>"], dtype=np.uint8)
"""The 91 letters of packed bytes: none could begin or end markup."""
BITS = 13
"""As many as two letters hold: 2**13 is just below 91**2."""


def packed(content: bytes) -> str:
    """Return bytes as zlib (level 9), and that as its length, a space, and two letters for every 13 bits: shorter than base 64 or 85."""
    compressed = zlib.compress(content, 9)
    bits = np.unpackbits(np.frombuffer(compressed, dtype=np.uint8))
    groups = np.pad(bits, (0, -len(bits) % BITS)).reshape(-1, BITS)
    numbers = np.packbits(np.pad(groups, ((0, 0), (16 - BITS, 0))), axis=1).view(">u2").ravel()
    letters = np.stack([LETTERS[numbers // len(LETTERS)], LETTERS[numbers % len(LETTERS)]], axis=1)
    return f"{len(compressed)} {letters.tobytes().decode('ascii')}"


class Arrays:
    """The arrays of a page, each kept once: trials share thresholds and places. ``stored`` is their bytes, little-endian, end to end."""

    def __init__(self) -> None:
        self.stored = bytearray()
        self._known: dict[bytes, list[int]] = {}

    def exact(self, values: Floats) -> dict[str, list[int]]:
        """Return float64 as the script finds it: where its bytes begin and end."""
        return {"f8": self._keep(values.astype("<f8"))}

    def limits(self, values: Floats, upper: bool) -> dict[str, Any]:
        """Return limits of intervals in millionths, rounded outward: with three decimals they read as before, and they pack well."""
        millionths = np.ceil(values * PER_MILLION - 1e-6) if upper else np.floor(values * PER_MILLION + 1e-6)
        return {"f8": self._keep(millionths.astype("<f8")), "per": PER_MILLION}

    def drawn(self, values: Floats, log: bool = False) -> dict[str, Any]:
        """Return values that are only drawn.

        Exactly where there are few different ones. Else in 16 bits where there is one row per threshold, in fewer for a line on an axis
        that is not logarithmic, or as float32; numbers that are stored exactly already are taken from there.
        """
        known = self._known.get(self._key(self._planes(values.astype("<f8")), "<f8"))
        if known is not None:
            return {"f8": known}
        if values.ndim == 2:
            return self._in_steps(values, 0.0, LEVELS)
        if log or not np.isfinite(values).any():
            return {"f4": self._keep(values.astype("<f4"))}
        return self._in_steps(values[None, :], float(np.nanmin(values[np.isfinite(values)])), FEWER_LEVELS)

    def _in_steps(self, values: Floats, low: float, levels: int) -> dict[str, Any]:
        finite = np.isfinite(values)
        distinct = np.unique(values[finite])
        if len(distinct) <= FEW and values.size > 2 * len(distinct):
            places = np.where(finite, np.searchsorted(distinct, values), FEW)
            return {"u1": self._keep(places.astype("u1")), "values": self.exact(distinct), "width": values.shape[1]}
        span = float(np.max(values, where=finite, initial=low)) - low or 1.0
        steps = np.where(finite, np.rint((np.where(finite, values, low) - low) / span * levels), LEVELS + 1)
        return {"u2": self._keep(steps.astype("<u2")), "low": low, "step": span / levels, "width": values.shape[1]}

    @staticmethod
    def _planes(values: NDArray[Any]) -> bytes:
        """Return the first bytes of all numbers, then the second ones and so on: equal bytes come together, which zlib makes short."""
        return np.ascontiguousarray(values).view(np.uint8).reshape(-1, values.dtype.itemsize).T.tobytes()

    @staticmethod
    def _key(content: bytes, kind: str) -> bytes:
        return kind.encode() + content

    def _keep(self, values: NDArray[Any]) -> list[int]:
        content = self._planes(values)
        key = self._key(content, values.dtype.str)
        if key not in self._known:
            self._known[key] = [len(self.stored), len(self.stored) + len(content)]
            self.stored += content
        return self._known[key]
