"""A trial's timings as matrices over rounds and samples, the form in which analysis takes them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from orchestrator.contracts import InputError
from orchestrator.stats.times import LOAD_CLOCKS, SERVICE_CLOCKS, Clock
from orchestrator.storage import schema
from orchestrator.storage.stored_form import outcome_codes

Floats = npt.NDArray[np.float64]
EXACT_LIMIT = 2**53
"""Integers below are exact as float64: 104 days in nanoseconds."""


SPARSE, FEW_PLACES = 16, 2**24
"""Of larger matrices at least one place in 16 must have a row: a process that dies leaves a row for every sample all the same."""


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
    process
        the process that timed the round, int32, shape [R].
    incomplete
        True for a round that ended before all samples were measured, shape [R].
    visits
        the visit that each round belongs to, int32, shape [R]; None where any round is stored without one.
    arrivals
        when each sample arrived, ns from the start of its stream, shape [R, S]; None in a closed loop.
    """

    rounds: npt.NDArray[np.int64]
    samples: npt.NDArray[np.int64]
    times: Mapping[Clock, npt.NDArray[np.float64]]
    stages: Mapping[str, npt.NDArray[np.float64]]
    outcome: npt.NDArray[np.int8]
    process: npt.NDArray[np.int32]
    incomplete: npt.NDArray[np.bool_]
    visits: npt.NDArray[np.int32] | None = None
    arrivals: npt.NDArray[np.float64] | None = None

    @property
    def late(self) -> npt.NDArray[np.bool_]:
        """True where there is no time, so that the sample is late at any threshold; shape [R, S]."""
        return np.not_equal(self.outcome, schema.OK)


def round_matrix(timings: pa.Table, rounds: pa.Table, with_stages: bool = True) -> RoundMatrix:
    """Return the matrices of a trial.

    Parameters
    ----------
    timings, rounds
        columns of ``schema.TIMINGS`` and ``schema.ROUNDS``, in the order ``twins`` gives them.
    with_stages
        whether the stages are wanted as matrices, too.

    Raises
    ------
    InputError
        for a sample that is ``ok`` without a time, a time that is not positive or not below 2**53 ns, and rows so few, for their rounds and
        samples, that the matrix would be out of proportion to them.
    """
    numbers = rounds.column("round").to_numpy().astype(np.int64)
    samples = np.unique(timings.column("sample").to_numpy()).astype(np.int64)
    shape = (len(numbers), len(samples))
    _refuse_sparse(timings.num_rows, shape)
    place, rows_present = _places(timings, numbers, samples)

    codes = outcome_codes(timings)
    outcome = np.full(shape, schema.LOST, dtype=np.int8)
    outcome.ravel()[place] = codes
    is_ok = codes == schema.OK
    stages = {name: _stage(timings, name, is_ok) for name in schema.STAGES}
    nothing = np.zeros(timings.num_rows, dtype=np.int64)
    is_open = timings.column("arrival_ns").null_count < timings.num_rows
    clocks = LOAD_CLOCKS if is_open else SERVICE_CLOCKS
    parts = stages if Clock.RESPONSE not in clocks else stages | {"queue_ns": _stage(timings, "queue_ns", is_ok)}
    times = {clock: sum((parts[name] for name in clock.stages), start=nothing) for clock in clocks}
    for clock, of_clock in times.items():
        wrong = is_ok & ((of_clock <= 0) | (of_clock >= EXACT_LIMIT))
        _refuse(timings, wrong, f"has {clock}_ns {_first(of_clock, wrong)}, and a time is positive and below 2**53 ns")

    def matrix(times: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        filled = np.full(shape, np.inf)
        filled.ravel()[place] = np.where(is_ok, times, np.inf)
        return filled

    of_tokens = {}
    for clock, of_rows in _token_times(timings, parts, is_ok).items():
        of_tokens[clock] = np.full(shape, np.inf)
        of_tokens[clock].ravel()[place] = of_rows
    return RoundMatrix(
        rounds=numbers,
        samples=samples,
        times={clock: matrix(of_clock) for clock, of_clock in times.items()} | of_tokens,
        stages={name: matrix(of_stage) for name, of_stage in stages.items()} if with_stages else {},
        outcome=outcome,
        process=rounds.column("process").to_numpy().astype(np.int32),
        incomplete=rounds.column("incomplete").to_numpy().astype(np.bool_) | (rows_present < shape[1]),
        visits=_visits(rounds.column("visit")),
        arrivals=_arrivals(timings, place, shape),
    )


Places: TypeAlias = npt.NDArray[np.int64] | slice
"""Where rows stand in a matrix of one dimension; all of it in order, as in a trial that lacks nothing, is a slice."""


def _places(timings: pa.Table, numbers: npt.NDArray[np.int64], samples: npt.NDArray[np.int64]) -> tuple[Places, npt.NDArray[np.int64]]:
    """Return where each row stands in the matrix, and how many rows each round has."""
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
    first, last = (_stage(timings, name, np.zeros_like(is_ok)) for name in ("first_token_ns", "last_token_ns"))
    came = is_ok & timings.column("first_token_ns").is_valid().to_numpy()
    if not came.any():
        return {}
    tokens = timings.column("tokens").fill_null(0).to_numpy()
    before = sum((parts[name] for name in ("queue_ns", "preprocess_ns") if name in parts), start=np.zeros(timings.num_rows, dtype=np.int64))
    wrong = came & ((first <= 0) | (last < first) | (last > parts["inference_ns"]))
    _refuse(timings, wrong, f"has first_token_ns {_first(first, wrong)}, and tokens come one after another within inference_ns")
    found = {Clock.FIRST_TOKEN: np.where(came, before + first, np.inf)}
    if (several := came & (tokens > 1)).any():
        each = np.where(several, (last - first) / np.maximum(tokens - 1, 1), parts["inference_ns"] - first)
        found[Clock.PER_TOKEN] = np.where(came, np.maximum(np.rint(each), 1), np.inf)
    return found


def _arrivals(timings: pa.Table, place: Places, shape: tuple[int, int]) -> npt.NDArray[np.float64] | None:
    """Return the arrivals; under load every row has one, whatever became of its sample."""
    column = timings.column("arrival_ns")
    if column.null_count == len(column):
        return None
    moments = column.fill_null(-1).to_numpy()
    wrong = (moments < 0) | (moments >= EXACT_LIMIT)
    _refuse(timings, wrong, f"has arrival_ns {_first(moments, wrong)}, and an arrival is not negative and below 2**53 ns")
    filled = np.full(shape, np.nan)
    filled.ravel()[place] = moments
    return filled


def _visits(column: pa.ChunkedArray) -> npt.NDArray[np.int32] | None:
    return None if column.null_count else column.to_numpy().astype(np.int32)


def _refuse_sparse(rows: int, shape: tuple[int, int]) -> None:
    """Raise InputError if a matrix would be out of proportion to its rows."""
    places = shape[0] * shape[1]
    if places > FEW_PLACES and places > SPARSE * rows:
        raise InputError(
            f"timings/ has {rows:,} rows of {shape[0]:,} rounds and {shape[1]:,} samples, where every round has a row of every sample: "
            "restore it from a copy or measure the trial again"
        )


def _stage(timings: pa.Table, name: str, is_ok: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Return one stage in ns, shape [rows], 0 where it is null. Checks each stage so that their sum cannot overflow."""
    stored = timings.column(name)
    _refuse(timings, is_ok & stored.is_null().to_numpy(), f"is ok without {name}")
    times: npt.NDArray[np.int64] = stored.fill_null(0).to_numpy()
    wrong = is_ok & ((times < 0) | (times >= EXACT_LIMIT))
    _refuse(timings, wrong, f"has {name} {_first(times, wrong)}, and a time is not negative and below 2**53 ns")
    return times


def _first(times: npt.NDArray[np.int64], wrong: npt.NDArray[np.bool_]) -> int | None:
    return int(times[wrong][0]) if bool(wrong.any()) else None


def _refuse(timings: pa.Table, wrong: npt.NDArray[np.bool_], complaint: str) -> None:
    """Raise InputError if any row is wrong."""
    if not bool(wrong.any()):
        return
    place = int(np.flatnonzero(wrong)[0])
    number, sample = (timings.column(name)[place].as_py() for name in ("round", "sample"))
    raise InputError(f"sample {sample} of round {number} {complaint}: restore timings/ from a copy or measure the trial again")
