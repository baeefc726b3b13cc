"""The rows of a file as whole numbers in one Arrow table, whatever wrote the file: checked here, once, for all formats."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from orchestrator.exchange.formats import GAPS, OF_ANSWERS, TIMES, UNITS, BadRecord, Recording, is_text, short
from orchestrator.storage import schema

LONGEST_NS = 2**53
"""Times are exact as float64 below: 104 days."""
EARLY_NS = 10**6
"""Moments of one request may come from two clocks, or be rounded: so much before its scheduled time it may begin."""
ROUNDED_NS = 1000
"""Rounded times, and sums of them, may end so much after the answer does."""
LARGEST_NUMBER = MOST_SCORE = 10**9
MOST_TOKENS = 2**31
NO_NUMBER = ("", "NULL", "null", "NaN", "nan")
"""Text that holds no number."""
NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
Numbers: TypeAlias = NDArray[Any]
Flags: TypeAlias = NDArray[np.bool_]
Refuse: TypeAlias = Callable[..., None]
"""Raises BadRecord for the first row that is True, with what is wrong with it."""


def long_form(recording: Recording) -> pa.Table:
    """Return the rows of a recording, in its order. Raises BadRecord for the first that cannot be.

    ``outcome`` is an index into ``schema.OUTCOMES``. Moments are in ns, as the file counts them; stages, times and numbers of tokens are
    null where there is no answer or it has none. A sample is a number, or text in a dictionary. What the file says of samples otherwise
    stays as it is.
    """
    if not recording.table.num_rows:
        raise BadRecord(f"{recording.place} holds no request: there is nothing to import")
    try:
        return _checked(recording)
    except pa.ArrowException as error:
        raise BadRecord(f"{recording.place} holds what cannot be read ({short(error)}); mend or remove it") from error


def _checked(recording: Recording) -> pa.Table:
    columns = dict(zip(recording.table.column_names, recording.table.columns, strict=True))

    def refuse(wrong: Flags, complaint: str) -> None:
        if wrong.any():
            raise BadRecord(f"{recording.where(int(np.argmax(wrong)))}: {complaint}; mend or remove it")

    if not any(f"{stem}_{unit}" in columns for stem in ("inference", "total") for unit in UNITS):
        raise BadRecord(f"{recording.where(0)}: no column holds a time: name it by --map inference_ms=COLUMN (or _ns, _us, _s)")
    made: dict[str, Any] = {"outcome": np.zeros(recording.table.num_rows, np.int8)}
    if (outcome := columns.pop("outcome", None)) is not None:
        codes = pc.index_in(outcome.cast(pa.string()), value_set=pa.array(schema.OUTCOMES))
        refuse(codes.is_null().to_numpy(), f"outcome must be one of {', '.join(schema.OUTCOMES)}")
        made["outcome"] = codes.to_numpy().astype(np.int8)
    ok = made["outcome"] == schema.OK
    if not ok.any():
        raise BadRecord(f"{recording.place} holds {ok.size:,} requests, and none was answered: there is no time to import")
    times = _times(columns, ok, outcome is None, refuse)
    made |= {f"{stem}_ns": pa.array(values, mask=~there) for stem, (values, there) in times.items()}
    made |= _tokens(columns, times, ok, refuse)
    if "round" in columns:
        numbers, there = _whole(columns.pop("round"), "round", refuse)
        refuse(~there | (numbers < 0) | (numbers >= LARGEST_NUMBER), "round must be a whole number from 0 to 999,999,999")
        made["round"] = numbers
    if "sample" in columns:
        column = columns.pop("sample")
        refuse(column.is_null().to_numpy(), "sample is empty")
        text = is_text(column.type)
        made["sample"] = pc.dictionary_encode(column.cast(pa.string())) if text else _whole(column, "sample", refuse)[0]
    if "input_size" in columns:
        made["input_size"] = _whole(columns.pop("input_size"), "input_size", refuse)[0]
    for name in [name for name in columns if name.startswith("score_")]:
        scores, there = _numbers(columns.pop(name), name, refuse)
        refuse(
            ~(there & (scores >= 0) & (scores <= MOST_SCORE)), f"{name} must be a number from 0 to {MOST_SCORE:,}: a late answer scores 0"
        )
        made[name] = scores.astype(np.float64)
    return pa.table(made | columns)


def _times(columns: dict[str, Any], ok: Flags, always_ok: bool, refuse: Refuse) -> dict[str, tuple[Numbers, Flags]]:
    """Take the columns of time, and return these in ns without units, and which rows have them; a total is made stages of."""
    found: dict[str, tuple[Numbers, Flags]] = {}
    for stem, name in [(stem, f"{stem}_{unit}") for stem in TIMES for unit in UNITS if f"{stem}_{unit}" in columns]:
        if stem in found:  # which one counts, nobody said
            refuse(np.ones_like(ok), f"{name} is a second column of one time: remove one of them")
        values, there = _nanoseconds(columns.pop(name), name, refuse)
        if stem not in ("start", "arrival"):
            if stem not in OF_ANSWERS:
                refuse(ok & ~there, f"{name} is empty, and {'there is no column outcome to say why' if always_ok else 'the outcome is ok'}")
            there &= ok
            least = 0 if stem in ("preprocess", "postprocess") else 1
            refuse(there & ((values < least) | (values >= LONGEST_NS)), f"{name} is no time: a time is positive and below 104 days")
        found[stem] = np.where(there, values, 0), there
    if "start" in found and "arrival" in found:
        (start, began), (arrival, due) = found["start"], found["arrival"]
        refuse(began & due & (arrival - start > EARLY_NS), "it begins before it is scheduled (start before arrival)")
    if total := found.pop("total", None):
        if "inference" not in found:
            found["inference"] = total
        elif "preprocess" not in found and "postprocess" not in found:
            found["preprocess"] = total[0] - found["inference"][0], ok
        refuse(total[0] < found["inference"][0], "total is below inference, which is a part of it")
    return found


def _tokens(columns: dict[str, Any], times: Mapping[str, tuple[Numbers, Flags]], ok: Flags, refuse: Refuse) -> dict[str, Any]:
    """Take the columns of tokens, and return when they came, in whole ns that add up, and how many there are.

    Where neither gaps nor ``last_token`` says when the last came, it came with the end of the answer.
    """
    tokens = np.zeros(ok.size, np.int64)
    if counted := "tokens" in columns:
        tokens, there = _whole(columns.pop("tokens"), "tokens", refuse)
        refuse(there & ((tokens < 0) | (tokens >= MOST_TOKENS)), "tokens must be a whole number from 0 to 2,147,483,647")
    name = next((name for name in columns if name.rpartition("_")[0] == GAPS), None)
    if "first_token" not in times:
        if name is not None or "last_token" in times:
            refuse(ok, "without a column first_token, other times of its tokens tell nothing")
        return {"tokens": pa.array(tokens, pa.int32(), mask=~ok | (tokens == 0))} if counted else {}
    (first, came), ends = times["first_token"], times["inference"][0]
    refuse(came & (first > ends + ROUNDED_NS), "its first token comes after the end of its answer")
    first, last = np.where(came, np.minimum(first, ends), 0), np.where(came, ends, 0)
    if "last_token" in times:
        told, there = times["last_token"]
        refuse(came & there & (told > ends + ROUNDED_NS), "its last token comes after the end of its answer")
        last = np.where(came & there, np.minimum(told, ends), last)
    made = {}
    if name is not None:
        if "last_token" in times:
            refuse(ok, f"last_token and {GAPS} both say when its last token came; leave one of them out")
        gaps, counts = _gaps(columns.pop(name), name, refuse)
        refuse(~came & (counts > 0) & ok, "it has gaps between tokens, and no first token")
        made["token_gaps_ns"], last = _in_whole_ns(gaps, counts, first, came, last, refuse)
        counts = np.where(came, counts, -1)
        tokens = np.where((tokens == 0) & (counts >= 0), counts + 1, tokens)
    refuse(came & (last < first), "its last token comes before its first")
    made |= {"first_token_ns": pa.array(first, mask=~came), "last_token_ns": pa.array(last, mask=~came)}
    if counted or name is not None:
        made["tokens"] = pa.array(tokens, pa.int32(), mask=~ok | (tokens == 0))
    return made


def _gaps(column: pa.ChunkedArray, name: str, refuse: Refuse) -> tuple[Numbers, Numbers]:
    """Return lists of times in ns one after another, and how long each is; -1 where there is none."""
    there = column.is_valid().to_numpy()
    if not (pa.types.is_list(column.type) or pa.types.is_large_list(column.type)):
        refuse(there, f"{name} is no list of times, which Parquet and JSON lines can hold")
        return np.zeros(0), np.full(there.size, -1)
    counts = np.where(there, pc.list_value_length(column).fill_null(0).to_numpy(), -1).astype(np.int64)
    inside = pc.list_flatten(column)
    values = np.full(len(inside), np.nan)
    if pa.types.is_integer(inside.type) or pa.types.is_floating(inside.type):
        values = inside.cast(pa.float64(), safe=False).to_numpy() * UNITS[name.rpartition("_")[2]]
    wrong = np.zeros(there.size, dtype=bool)
    wrong[_rows(counts)[~((values >= 0) & (values < LONGEST_NS))]] = True
    refuse(wrong, f"{name} holds what is no time: a time is not negative and below 104 days")
    return values, counts


def _rows(counts: Numbers) -> Numbers:
    """Return the row of each gap."""
    return np.repeat(np.arange(counts.size), np.maximum(counts, 0))


def _in_whole_ns(
    gaps: Numbers, counts: Numbers, first: Numbers, came: Flags, ends: Numbers, refuse: Refuse
) -> tuple[pa.ListArray, Numbers]:
    """Return the gaps of answers that came, null of others, and the moment of the last piece, [rows]."""
    gaps, counts = gaps[came[_rows(counts)]], np.where(came, counts, -1)
    rows, bounds = _rows(counts), np.concatenate([[0], np.cumsum(np.maximum(counts, 0))])
    sums = np.concatenate([[0.0], np.cumsum(gaps)])
    moments = np.rint(first[rows] + (sums[1:] - sums[bounds[rows]])).astype(np.int64)
    late = np.zeros(counts.size, dtype=bool)
    late[rows[moments > ends[rows] + ROUNDED_NS]] = True
    refuse(late, "its gaps between tokens add up to more than its answer took")
    moments = np.minimum(moments, ends[rows])
    before = np.concatenate([[0], moments[:-1]])
    begins = bounds[:-1][counts > 0]
    before[begins] = first[counts > 0]
    last = np.where(counts == 0, first, ends)
    last[counts > 0] = moments[bounds[1:][counts > 0] - 1]
    return pa.ListArray.from_arrays(pa.array(bounds, pa.int32()), pa.array(moments - before), mask=pa.array(counts < 0)), last


def _nanoseconds(column: pa.ChunkedArray, name: str, refuse: Refuse) -> tuple[Numbers, Flags]:
    """Return times in ns, [rows], 0 where there is none, and where there is one."""
    per = UNITS[name.rpartition("_")[2]]
    if pa.types.is_timestamp(column.type):
        column, per = pc.cast(column, pa.timestamp("ns"), safe=False).cast(pa.int64()), 1
    values, there = _numbers(column, name, refuse, truth=False)
    limit = 2**62 // per
    refuse(there & ~((values > -limit) & (values < limit)), f"{name} is no time")
    return values * per if values.dtype == np.int64 else np.rint(values * per).astype(np.int64), there


def _whole(column: pa.ChunkedArray, name: str, refuse: Refuse) -> tuple[NDArray[np.int64], Flags]:
    """Return whole numbers, [rows], 0 where there is none, and where there is one."""
    values, there = _numbers(column, name, refuse, truth=False)
    if values.dtype != np.int64:
        refuse(there & ~((values == np.rint(values)) & (np.abs(values) < LONGEST_NS)), f"{name} must be a whole number")
    return values.astype(np.int64), there


def _numbers(column: pa.ChunkedArray, name: str, refuse: Refuse, truth: bool = True) -> tuple[Numbers, Flags]:
    """Return numbers as int64 or float64, [rows], 0 where there is none, and where there is one.

    ``truth``: true and false count as 1 and 0, as they may in a score, and never in a time or a number of something.
    """
    if pa.types.is_boolean(column.type) and truth:
        column = column.cast(pa.int8())
    if is_text(column.type):
        text = pc.utf8_trim_whitespace(column.cast(pa.string()))
        text = pc.if_else(pc.is_in(text, value_set=pa.array(NO_NUMBER)), pa.scalar(None, pa.string()), text)
        try:
            column = text.cast(pa.int64())
        except pa.ArrowInvalid:
            is_number = pc.match_substring_regex(text, NUMBER).fill_null(True)
            wrong = ~is_number.to_numpy()
            refuse(wrong, f"{name}={str(text[int(np.argmax(wrong))])[:40]!r} is no number")
            column = text.cast(pa.float64())
    there = column.is_valid().to_numpy()
    kind = column.type
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind) or pa.types.is_null(kind)):
        refuse(there, f"{name} is {'true or false' if pa.types.is_boolean(kind) else 'no number'} and must be a number")
    if pa.types.is_integer(kind) or pa.types.is_null(kind):
        return column.cast(pa.int64()).fill_null(0).to_numpy(), there
    values = pc.cast(column, pa.float64(), safe=False).to_numpy()
    there = there & ~np.isnan(values)
    return np.where(there, values, 0.0), there
