"""The gaps between the pieces of streamed answers, summed up as they are read: a long trial has more gaps than rows."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from orchestrator.contracts import InputError
from orchestrator.stats.latency import percentiles_inverted_cdf
from orchestrator.storage.matrix import EXACT_LIMIT

PERCENTS = (50, 95, 99, 100)
OF_LONGEST = (50, 99)


@dataclass(frozen=True)
class TokenGaps:
    """Of one trial, over all rounds.

    answers, gaps
        how many streamed answers had content, and how many gaps there are between their pieces.
    percentiles_ns
        of all gaps: p50, p95, p99 and the longest; empty where no answer had two pieces.
    longest_ns
        p50 and p99 of the longest gap of each answer that has one; empty as above.
    """

    answers: int
    gaps: int
    percentiles_ns: tuple[int, ...]
    longest_ns: tuple[int, ...]


def token_gaps(timings: pa.Table) -> TokenGaps | None:
    """Return what is known of gaps in conforming timings; None where no answer was streamed, as in campaigns older than the column.

    Raises
    ------
    InputError
        for gaps that are no times, or do not add up to the time from the first piece to the last.
    """
    column = timings.column("token_gaps_ns").combine_chunks()
    streamed = ~column.is_null().to_numpy(zero_copy_only=False)
    if not streamed.any():
        return None
    flat = column.flatten()
    counts = column.value_lengths().fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    gaps: npt.NDArray[np.int64] = flat.fill_null(-1).to_numpy(zero_copy_only=False)
    ends = np.cumsum(counts)
    _refuse(timings, np.searchsorted(ends, np.flatnonzero((gaps < 0) | (gaps >= EXACT_LIMIT)), side="right"), "holds what is no time")
    sums = np.concatenate([[0], np.cumsum(gaps)])
    first, last = (timings.column(name).fill_null(0).to_numpy() for name in ("first_token_ns", "last_token_ns"))
    _refuse(timings, np.flatnonzero(streamed & (sums[ends] - sums[ends - counts] != last - first)), "does not add up to last - first")
    if not gaps.size:
        return TokenGaps(int(streamed.sum()), 0, (), ())
    longest = np.maximum.reduceat(gaps, (ends - counts)[counts > 0])
    return TokenGaps(
        answers=int(streamed.sum()),
        gaps=gaps.size,
        percentiles_ns=tuple(int(ns) for ns in percentiles_inverted_cdf(gaps, PERCENTS)),
        longest_ns=tuple(int(ns) for ns in percentiles_inverted_cdf(longest, OF_LONGEST)),
    )


def _refuse(timings: pa.Table, wrong: npt.NDArray[np.int64], complaint: str) -> None:
    """Raise InputError for the first of these rows."""
    if wrong.size:
        number, sample = (timings.column(name)[int(wrong[0])].as_py() for name in ("round", "sample"))
        raise InputError(
            f"token_gaps_ns of sample {sample} of round {number} {complaint}: restore timings/ from a copy or measure the trial again"
        )
