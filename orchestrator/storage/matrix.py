"""A trial's timings as matrices over rounds and samples, the form in which analysis takes them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from orchestrator.contracts import InputError
from orchestrator.stats.latency import percentiles_inverted_cdf
from orchestrator.stats.times import LOAD_CLOCKS, SERVICE_CLOCKS, Clock
from orchestrator.storage import schema
from orchestrator.storage.stored_form import outcome_codes

Floats = npt.NDArray[np.float64]
RESTORE = "restore it from a copy or measure the trial again"
# Of larger matrices at least one place in 16 must have a row: a process that dies leaves a row for every sample all the same.
SPARSE, FEW_PLACES = 16, 2**24


@dataclass(frozen=True)
class RoundMatrix:
    """Times of all samples in all stored rounds; R rounds, S samples.

    Times are float64 so that a sample without a time can be +inf, which is later than any threshold; every stored time is an
    integer number of nanoseconds below 2**53, so no digit is lost.

    rounds
        numbers of the rounds, ascending, int64, shape [R].
    samples
        numbers of the samples, ascending, int64, shape [S].
    times
        per clock, ns, float64, shape [R, S]; +inf where the outcome is not ``ok``. ``response`` is there under load alone.
    stages
        per stage, in the same form; none where they were not asked for.
    outcome
        index into ``schema.OUTCOMES``, int8, shape [R, S]; a sample that a round has no row of is ``lost``.
    incomplete
        True for a round that ended before all samples were measured, shape [R].
    visits
        the visit that each round belongs to, int32, shape [R]; None where any round is stored without one.
    arrivals
        when each sample arrived, ns from the start of its stream, shape [R, S]; None in a closed loop.
    truncated
        True for an answer that ended at its limit of tokens, shape [R, S]; None where no server says so of any.
    """

    rounds: npt.NDArray[np.int64]
    samples: npt.NDArray[np.int64]
    times: Mapping[Clock, npt.NDArray[np.float64]]
    stages: Mapping[str, npt.NDArray[np.float64]]
    outcome: npt.NDArray[np.int8]
    incomplete: npt.NDArray[np.bool_]
    visits: npt.NDArray[np.int32] | None = None
    arrivals: npt.NDArray[np.float64] | None = None
    truncated: npt.NDArray[np.bool_] | None = None


def round_matrix(timings: pa.Table, rounds: pa.Table, with_stages: bool = True) -> RoundMatrix:
    """Return the matrices of a trial.

    Parameters
    ----------
    timings, rounds
        columns of ``schema.TIMINGS`` and ``schema.ROUNDS``, in the order ``merge.both`` gives them.
    with_stages
        whether the stages are wanted as matrices, too.

    Raises
    ------
    InputError
        for a sample that is ``ok`` without a time, and rows so few, for their rounds and samples, that the matrix would be out of
        proportion to them.
    """
    numbers = rounds.column("round").to_numpy().astype(np.int64)
    samples = np.unique(timings.column("sample").to_numpy()).astype(np.int64)
    shape = (len(numbers), len(samples))
    if shape[0] * shape[1] > max(FEW_PLACES, SPARSE * timings.num_rows):
        raise InputError(
            f"timings/ has {timings.num_rows:,} rows of {shape[0]:,} rounds and {shape[1]:,} samples, where every round has a row of every "
            f"sample: {RESTORE}",
            "damaged",
        )
    place, rows_present = _places(timings, numbers, samples)
    codes = outcome_codes(timings)
    is_ok = codes == schema.OK

    def matrix(of_rows: npt.NDArray[Any], missing: float = np.inf) -> Floats:
        filled = np.full(shape, missing)
        filled.ravel()[place] = of_rows
        return filled

    arrivals = timings.column("arrival_ns")
    is_open = arrivals.null_count < timings.num_rows
    clocks = LOAD_CLOCKS if is_open else SERVICE_CLOCKS
    parts = {name: _stage(timings, name, is_ok) for name in (*schema.STAGES, *(["queue_ns"] if is_open else []))}
    times = {clock: np.where(is_ok, sum(parts[name] for name in clock.stages), np.inf) for clock in clocks}
    times |= _token_times(timings, parts, is_ok)
    truncated = timings.column("truncated")
    outcome = np.full(shape, schema.LOST, dtype=np.int8)
    outcome.ravel()[place] = codes
    visit = rounds.column("visit")
    return RoundMatrix(
        rounds=numbers,
        samples=samples,
        times={clock: matrix(of_clock) for clock, of_clock in times.items()},
        stages={name: matrix(np.where(is_ok, parts[name], np.inf)) for name in (schema.STAGES if with_stages else ())},
        outcome=outcome,
        incomplete=rounds.column("incomplete").to_numpy().astype(np.bool_) | (rows_present < shape[1]),
        visits=None if visit.null_count else visit.to_numpy().astype(np.int32),
        arrivals=matrix(arrivals.to_numpy(), np.nan) if is_open else None,
        truncated=matrix(truncated.fill_null(False).to_numpy(), 0) > 0 if truncated.null_count < len(truncated) else None,
    )


def _places(
    timings: pa.Table, numbers: npt.NDArray[np.int64], samples: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64] | slice, npt.NDArray[np.int64]]:
    """Return where each row stands in a matrix of one dimension, and how many rows each round has.

    All of it in order, as in a trial that lacks nothing, is a slice.
    """
    of_round, of_sample = timings.column("round").to_numpy(), timings.column("sample").to_numpy()
    shape = (len(numbers), len(samples))
    if timings.num_rows == shape[0] * shape[1]:
        in_order = (of_round.reshape(shape) == numbers[:, None]).all() and (of_sample.reshape(shape) == samples).all()
        if in_order:
            return slice(None), np.full(shape[0], shape[1])
    row, column = np.searchsorted(numbers, of_round), np.searchsorted(samples, of_sample)
    place: npt.NDArray[np.int64] = row * shape[1] + column
    return place, np.bincount(row, minlength=shape[0])


def _token_times(timings: pa.Table, parts: Mapping[str, npt.NDArray[np.int64]], is_ok: npt.NDArray[np.bool_]) -> dict[Clock, Floats]:
    """Return the clocks of streamed answers in ns, [rows]; none where no answer came in pieces, and no time per token where none had two.

    An answer without content has no first token: it is late. Of one that is a single token, the time per token is from there to its end.
    """
    came = is_ok & timings.column("first_token_ns").is_valid().to_numpy()
    if not came.any():
        return {}
    first, last, tokens = (timings.column(name).fill_null(0).to_numpy() for name in ("first_token_ns", "last_token_ns", "tokens"))
    before = sum((parts[name] for name in ("queue_ns", "preprocess_ns") if name in parts), start=np.zeros(timings.num_rows, dtype=np.int64))
    found = {Clock.FIRST_TOKEN: np.where(came, before + first, np.inf)}
    if (several := came & (tokens > 1)).any():
        each = np.where(several, (last - first) / np.maximum(tokens - 1, 1), parts["inference_ns"] - first)
        found[Clock.PER_TOKEN] = np.where(came, np.maximum(np.rint(each), 1), np.inf)
    return found


def _stage(timings: pa.Table, name: str, is_ok: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Return one stage in ns, shape [rows], 0 where it is null. Raises InputError for a sample that is ``ok`` without it."""
    stored = timings.column(name)
    wrong = np.flatnonzero(is_ok & stored.is_null().to_numpy())
    if len(wrong):
        number, sample = (timings.column(of)[int(wrong[0])].as_py() for of in ("round", "sample"))
        raise InputError(f"sample {sample} of round {number} is ok without {name}: {RESTORE}", "damaged")
    times: npt.NDArray[np.int64] = stored.fill_null(0).to_numpy()
    return times


PERCENTS = (50, 95, 99, 100)
OF_LONGEST = (50, 99)


@dataclass(frozen=True)
class TokenGaps:
    """Gaps between the pieces of streamed answers of one trial, over all rounds: a long trial has more gaps than rows.

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
    """Return what is known of gaps in conforming timings; None where no answer was streamed, as in campaigns older than the column."""
    column = timings.column("token_gaps_ns").combine_chunks()
    streamed = len(column) - column.null_count
    if not streamed:
        return None
    gaps: npt.NDArray[np.int64] = column.flatten().to_numpy()
    if not gaps.size:
        return TokenGaps(streamed, 0, (), ())
    counts = column.value_lengths().fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    longest = np.maximum.reduceat(gaps, (np.cumsum(counts) - counts)[counts > 0])
    return TokenGaps(
        answers=streamed,
        gaps=gaps.size,
        percentiles_ns=tuple(int(ns) for ns in percentiles_inverted_cdf(gaps, PERCENTS)),
        longest_ns=tuple(int(ns) for ns in percentiles_inverted_cdf(longest, OF_LONGEST)),
    )
