"""The rows of a file as whole numbers in one Arrow table, whatever wrote the file: checked here, once, for all formats."""

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from orchestrator.contracts import InputError, first_line
from orchestrator.exchange.formats import GAPS, OF_ANSWERS, TIMES, UNITS, Recording, is_text
from orchestrator.storage import schema

# Times are exact as float64 below: 104 days.
LONGEST_NS = 2**53
# Moments of one request may come from two clocks, or be rounded: so much before its scheduled time it may begin.
EARLY_NS = 10**6
# Rounded times, and sums of them, may end so much after the answer does.
ROUNDED_NS = 1000
# Text that holds no number.
NO_NUMBER = ("", "NULL", "null", "NaN", "nan")
NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
Numbers: TypeAlias = NDArray[Any]
Columns: TypeAlias = dict[str, Any]
# Raises InputError for the first row that is True: of which column, and what is wrong with it.
Refuse: TypeAlias = Callable[[Numbers, str, str], None]


def long_form(recording: Recording) -> pa.Table:
    """Return the rows of a recording, in its order. Raises InputError for the first that cannot be.

    ``outcome`` is an index into ``schema.OUTCOMES``. Moments are in ns, as the file counts them; stages, times and numbers of tokens are
    null where there is no answer or it has none. A sample is a number, or text in a dictionary. What the file says of samples otherwise
    stays as it is.
    """
    table, name = recording.table, recording.name
    place = f"{recording.path}" if name in (recording.path.stem, recording.path.name.split(".")[0]) else f"{recording.path}: {name}"

    def refuse(wrong: Numbers, column: str, complaint: str) -> None:
        if wrong.any():
            row = int(np.argmax(wrong))
            value = table.column(column)[row].as_py() if column in table.column_names else None
            shown = column if value is None else f"{column}={value!r:.40}"
            raise InputError(f"{recording.where(row)}: {shown} {complaint}; mend or remove it", key=column, value=value)

    if not table.num_rows:
        raise InputError(f"{place} holds no request: there is nothing to import", "no_data")
    try:
        rows = _checked(dict(zip(table.column_names, table.columns, strict=True)), table.num_rows, refuse)
    except pa.ArrowException as error:
        raise InputError(f"{place} holds what cannot be read ({first_line(error)}); mend or remove it", "damaged") from error
    if not (rows.column("outcome").to_numpy() == schema.OK).any():
        raise InputError(f"{place} holds {table.num_rows:,} requests, and none was answered: there is no time to import", "no_data")
    return rows


def _checked(columns: Columns, rows: int, refuse: Refuse) -> pa.Table:
    """Return the columns of the long form; what remains in ``columns`` stays as it is."""
    if not any(f"{stem}_{unit}" in columns for stem in ("inference", "total") for unit in UNITS):
        refuse(np.ones(rows, dtype=bool), "no column", "holds a time: name it by --map inference_ms=COLUMN (or _ns, _us, _s)")
    made: Columns = {"outcome": np.zeros(rows, np.int8)}
    if (outcome := columns.pop("outcome", None)) is not None:
        codes = pc.index_in(outcome.cast(pa.string()), value_set=pa.array(schema.OUTCOMES))
        refuse(codes.is_null().to_numpy(), "outcome", f"must be one of {', '.join(schema.OUTCOMES)}")
        made["outcome"] = codes.to_numpy().astype(np.int8)
    ok = made["outcome"] == schema.OK
    times = _times(columns, ok, refuse)
    made |= {f"{stem}_ns": pa.array(values, mask=~there) for stem, (values, there) in times.items()}
    made |= _tokens(columns, times, ok, refuse)
    if "round" in columns:
        made["round"], there = _whole(columns, "round", 10**9, refuse)
        refuse(~there, "round", "must be a whole number from 0 to 999,999,999")
    if "sample" in columns:
        is_named = is_text(columns["sample"].type)
        refuse(columns["sample"].is_null().to_numpy(), "sample", "is empty")
        made["sample"] = (
            pc.dictionary_encode(columns.pop("sample").cast(pa.string()))
            if is_named
            else _whole(columns, "sample", 2**63, refuse, least=-(2**63))[0]
        )
    if "input_size" in columns:
        made["input_size"] = _whole(columns, "input_size", LONGEST_NS, refuse)[0]
    for name in [name for name in columns if name.startswith("score_")]:
        column = columns[name].cast(pa.int8()) if pa.types.is_boolean(columns[name].type) else columns[name]
        scores, there = _numbers(column, name, refuse)
        refuse(~(there & (scores >= 0) & (scores <= 10**9)), name, "must be a number from 0 to 1,000,000,000: a late answer scores 0")
        made[name] = scores.astype(np.float64)
    return pa.table(columns | made)


def _times(columns: Columns, ok: Numbers, refuse: Refuse) -> dict[str, tuple[Numbers, Numbers]]:
    """Take the columns of time, and return these in ns without units, and which rows have them; a total is made stages of."""
    found: dict[str, tuple[Numbers, Numbers]] = {}
    for stem, unit in [(stem, unit) for stem in TIMES for unit in UNITS if f"{stem}_{unit}" in columns]:
        name = f"{stem}_{unit}"
        if stem in found:  # which one counts, nobody said
            refuse(np.ones_like(ok), name, "is a second column of one time: remove one of them")
        column, per = columns.pop(name), UNITS[unit]
        if pa.types.is_timestamp(column.type):
            column, per = pc.cast(column, pa.timestamp("ns"), safe=False).cast(pa.int64()), 1
        values, there = _numbers(column, name, refuse)
        refuse(there & ~((values > -(2**62) // per) & (values < 2**62 // per)), name, "is no time")
        values = values * per if values.dtype == np.int64 else np.rint(values * per).astype(np.int64)
        if stem not in ("start", "arrival"):
            if stem not in OF_ANSWERS:
                refuse(ok & ~there, name, "is empty, and the outcome is ok, as it is without a column outcome")
            there &= ok
            least = 0 if stem in ("preprocess", "postprocess") else 1
            refuse(there & ((values < least) | (values >= LONGEST_NS)), name, "is no time: a time is positive and below 104 days")
        found[stem] = np.where(there, values, 0), there
    if "start" in found and "arrival" in found:
        (start, began), (arrival, due) = found["start"], found["arrival"]
        refuse(began & due & (arrival - start > EARLY_NS), "it", "begins before it is scheduled (start before arrival)")
    if total := found.pop("total", None):
        if "inference" not in found:
            found["inference"] = total
        elif "preprocess" not in found and "postprocess" not in found:
            found["preprocess"] = total[0] - found["inference"][0], ok
        refuse(total[0] < found["inference"][0], "total", "is below inference, which is a part of it")
    return found


def _tokens(columns: Columns, times: dict[str, tuple[Numbers, Numbers]], ok: Numbers, refuse: Refuse) -> Columns:
    """Take the columns of tokens, and return when they came, in whole ns that add up, and how many there are.

    Where neither gaps nor ``last_token`` says when the last came, it came with the end of the answer.
    """
    gaps = next((name for name in columns if name.rpartition("_")[0] == GAPS), None)
    counted = "tokens" in columns
    tokens = _whole(columns, "tokens", 2**31, refuse)[0] if counted else np.zeros(ok.size, np.int64)
    made: Columns = {}
    if "first_token" in times:
        (first, came), ends = times["first_token"], times["inference"][0]
        refuse(came & (first > ends + ROUNDED_NS), "its first token", "comes after the end of its answer")
        first, last = np.where(came, np.minimum(first, ends), 0), np.where(came, ends, 0)
        if "last_token" in times:
            told, there = times["last_token"]
            refuse(came & there & (told > ends + ROUNDED_NS), "its last token", "comes after the end of its answer")
            last = np.where(came & there, np.minimum(told, ends), last)
        if gaps is not None:
            if "last_token" in times:
                refuse(ok, f"last_token and {gaps}", "both say when its last token came; leave one of them out")
            made["token_gaps_ns"], counts, last = _pieces(columns.pop(gaps), gaps, first, came, last, ok, refuse)
            tokens = np.where((tokens == 0) & (counts >= 0), counts + 1, tokens)
        refuse(came & (last < first), "its last token", "comes before its first")
        made |= {"first_token_ns": pa.array(first, mask=~came), "last_token_ns": pa.array(last, mask=~came)}
    elif gaps is not None or "last_token" in times:
        refuse(ok, "no column first_token", "is there, and without it other times of its tokens tell nothing")
    for name in [name for name in ("prompt_tokens", "cached_tokens") if name in columns]:
        counts, there = _whole(columns, name, 2**31, refuse)
        made[name] = pa.array(counts, pa.int32(), mask=~(ok & there))
    if "truncated" in columns:
        made["truncated"] = columns.pop("truncated").cast(pa.bool_())
    if counted or gaps is not None:
        made["tokens"] = pa.array(tokens, pa.int32(), mask=~ok | (tokens == 0))
    return made


def _pieces(
    column: pa.ChunkedArray, name: str, first: Numbers, came: Numbers, ends: Numbers, ok: Numbers, refuse: Refuse
) -> tuple[pa.ListArray, Numbers, Numbers]:
    """Return of answers that came the times from piece to piece, in whole ns that add up, their number (else -1), and the last moment."""
    if not (pa.types.is_list(column.type) or pa.types.is_large_list(column.type)):
        refuse(column.is_valid().to_numpy(), name, "is no list of times, which Parquet and JSON lines can hold")
        column = pa.nulls(len(column), pa.list_(pa.float64()))
    counts = pc.list_value_length(column).fill_null(-1).to_numpy().astype(np.int64)
    rows = np.repeat(np.arange(counts.size), np.maximum(counts, 0))
    gaps = pc.list_flatten(column).cast(pa.float64(), safe=False).to_numpy() * UNITS[name.rpartition("_")[2]]
    wrong = np.zeros(counts.size, dtype=bool)
    wrong[rows[~((gaps >= 0) & (gaps < LONGEST_NS))]] = True
    refuse(wrong, name, "holds what is no time: a time is not negative and below 104 days")
    refuse(~came & (counts > 0) & ok, name, "has times between tokens, and there is no first token")
    gaps, rows, counts = gaps[came[rows]], rows[came[rows]], np.where(came, counts, -1)
    bounds = np.concatenate([[0], np.cumsum(np.maximum(counts, 0))])
    sums = np.concatenate([[0.0], np.cumsum(gaps)])
    moments = np.rint(first[rows] + (sums[1:] - sums[bounds[rows]])).astype(np.int64)
    wrong[rows[moments > ends[rows] + ROUNDED_NS]] = True
    refuse(wrong, "its gaps between tokens", "add up to more than its answer took")
    moments, some = np.minimum(moments, ends[rows]), counts > 0
    before = np.concatenate([[0], moments[:-1]])
    before[bounds[:-1][some]] = first[some]
    last = np.where(counts == 0, first, ends)
    last[some] = moments[bounds[1:][some] - 1]
    found = pa.ListArray.from_arrays(pa.array(bounds, pa.int32()), pa.array(moments - before), mask=pa.array(counts < 0))
    return found, counts, last


def _whole(columns: Columns, name: str, limit: int, refuse: Refuse, least: int = 0) -> tuple[NDArray[np.int64], Numbers]:
    """Take a column of whole numbers below ``limit``, and return these, [rows], 0 where there is none, and where there is one."""
    values, there = _numbers(columns.pop(name), name, refuse)
    is_whole = (values >= least) & (values < limit) & (values == np.rint(values))
    refuse(there & ~is_whole, name, f"must be a whole number from {least:,} to {limit - 1:,}")
    return values.astype(np.int64), there


def _numbers(column: pa.ChunkedArray, name: str, refuse: Refuse) -> tuple[Numbers, Numbers]:
    """Return numbers as int64 or float64, [rows], 0 where there is none, and where there is one."""
    if is_text(column.type):
        text = pc.utf8_trim_whitespace(column.cast(pa.string()))
        text = pc.if_else(pc.is_in(text, value_set=pa.array(NO_NUMBER)), pa.scalar(None, pa.string()), text)
        try:
            column = text.cast(pa.int64())
        except pa.ArrowInvalid:
            refuse(~pc.match_substring_regex(text, NUMBER).fill_null(True).to_numpy(), name, "is no number")
            column = text.cast(pa.float64())
    there, kind = column.is_valid().to_numpy(), column.type
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind) or pa.types.is_null(kind)):
        refuse(there, name, "must be a number")
    if pa.types.is_integer(kind) or pa.types.is_null(kind):
        return column.cast(pa.int64()).fill_null(0).to_numpy(), there
    values = pc.cast(column, pa.float64(), safe=False).to_numpy()
    there = there & ~np.isnan(values)
    return np.where(there, values, 0.0), there
