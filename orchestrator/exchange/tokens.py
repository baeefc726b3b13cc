"""When the pieces of streamed answers came: in whole ns that add up, as storage wants them. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from orchestrator.exchange.documents import LONGEST_NS
from orchestrator.exchange.recording import UNITS

Numbers = NDArray[np.int64]
Flags = NDArray[np.bool_]
ROUNDED_NS = 1000
"""Rounded times, and sums of them, may end so much after the answer does."""


@dataclass(frozen=True)
class Gaps:
    """The times from each piece of an answer to the next: of all rows one after another, and how many each row has; -1 if not known."""

    flat: NDArray[Any]
    counts: Numbers

    @property
    def of_row(self) -> Numbers:
        """The row of each gap."""
        return np.repeat(np.arange(self.counts.size), np.maximum(self.counts, 0))


@dataclass(frozen=True)
class Pieces:
    """Of each row, when the first and the last token came, ns from the start of inference, 0 where none did; and the gaps, in whole ns."""

    first: Numbers
    last: Numbers
    gaps: Gaps | None


def lists_of_times(column: pa.Array, name: str, refuse: Callable[..., None]) -> Gaps:
    """Return a column of lists of times in ns. ``refuse`` raises for the first row that is True."""
    kind = column.type
    is_there = np.asarray(column.is_valid().to_numpy(zero_copy_only=False), dtype=bool)
    if not (pa.types.is_list(kind) or pa.types.is_large_list(kind)):
        refuse(is_there, f"{name} is no list of times, which Parquet and JSON lines can hold")
        return Gaps(np.zeros(0), np.full(len(column), -1))
    lengths = column.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
    inside = column.flatten()
    if pa.types.is_integer(inside.type) or pa.types.is_floating(inside.type):
        values = np.asarray(inside.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)) * UNITS[name.rpartition("_")[2]]
    else:
        values = np.full(len(inside), np.nan)
    gaps = Gaps(values, np.where(is_there, lengths, -1).astype(np.int64))
    wrong = np.zeros(len(column), dtype=bool)
    wrong[gaps.of_row[~((values >= 0) & (values < LONGEST_NS))]] = True
    refuse(wrong, f"{name} holds what is no time: a time is not negative and below 104 days")
    return gaps


def pieces_of(first: Numbers, came: Flags, last: Numbers | None, gaps: Gaps | None, ends: Numbers, refuse: Callable[..., None]) -> Pieces:
    """Return when pieces came, of answers that ended at ``ends``. Where neither gaps nor ``last`` (0 for none) says so, the last came then.

    Parameters
    ----------
    first, came
        when the first token came, and whether one did, [rows].
    """
    refuse(came & (first > ends + ROUNDED_NS), "its first token comes after the end of its answer")
    first = np.where(came, np.minimum(first, ends), 0)
    found = np.where(came, ends, 0)
    if last is not None:
        refuse(came & (last != 0) & (last > ends + ROUNDED_NS), "its last token comes after the end of its answer")
        found = np.where(came & (last != 0), np.minimum(last, ends), found)
    whole = None
    if gaps is not None:
        refuse(~came & (gaps.counts > 0) & (ends > 0), "it has gaps between tokens, and no first token")
        counts = np.where(came, gaps.counts, -1)
        flat, of_row = gaps.flat[came[gaps.of_row]], gaps.of_row[came[gaps.of_row]]
        sums = np.cumsum(flat)
        begins = np.flatnonzero(np.diff(of_row, prepend=-1))
        before = np.zeros(counts.size)
        before[of_row[begins]] = (sums - flat)[begins]
        moments = np.rint(first[of_row] + (sums - before[of_row])).astype(np.int64)
        late = np.zeros(counts.size, dtype=bool)
        late[of_row[moments > ends[of_row] + ROUNDED_NS]] = True
        refuse(late, "its gaps between tokens add up to more than its answer took")
        moments = np.minimum(moments, ends[of_row])
        earlier = np.concatenate([[0], moments[:-1]])
        earlier[begins] = first[of_row[begins]]
        found = np.where(counts == 0, first, found)
        found[of_row] = moments  # of equal rows the last one counts
        whole = Gaps(moments - earlier, counts)
    refuse(came & (found < first), "its last token comes before its first")
    return Pieces(first, found, whole)
