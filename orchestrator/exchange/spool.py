"""Rows of the long form as columns of numbers, kept in temporary files: memory does not grow with what is read."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from orchestrator.exchange.documents import LONGEST_NS
from orchestrator.exchange.recording import GAPS, OF_ANSWERS, TIMES, UNITS, BadRecord, Recording
from orchestrator.exchange.tokens import lists_of_times, pieces_of
from orchestrator.storage import schema

MISSING = np.iinfo(np.int64).min
"""A moment or a sample that a row does not have."""
OF_SAMPLE = ("reference", "prediction", "input_size", "slice_")
"""Columns, by their beginnings, of which a sample's first row counts."""
EARLY_NS = 10**6
"""Moments of one request may come from two clocks, or be rounded: so much before its scheduled time it may begin."""
Flags: TypeAlias = NDArray[np.bool_]
Refuse: TypeAlias = Callable[..., None]
"""Raises BadRecord for the first row that is True, with what is wrong with it."""
LARGEST_NUMBER = MOST_SCORE = 10**9
MOST_TOKENS = 2**31
GAPS_NS, COUNTS = f"{GAPS}_ns", "gap_counts"


@dataclass
class Spool:
    """The columns of one recording, one value per row, in files of ``folder``.

    names
        of samples that are text, by their number in the column ``sample``; empty where samples are whole numbers.
    details
        by sample, what its first row says: reference, prediction, input_size and slices.
    present
        columns of the long form that the recording has.
    """

    folder: Path
    rows: int = 0
    names: list[str] = field(default_factory=list)
    details: dict[int, dict[str, Any]] = field(default_factory=dict)
    present: set[str] = field(default_factory=set)
    _numbers: dict[str, int] = field(default_factory=dict)
    _types: dict[str, np.dtype[Any]] = field(default_factory=dict)

    def put(self, name: str, values: NDArray[Any]) -> None:
        """Add values at the end of a column."""
        self._types[name] = values.dtype
        with (self.folder / name).open("ab") as file:
            file.write(np.ascontiguousarray(values).data)

    def column(self, name: str) -> NDArray[Any]:
        """Return a column, [rows], as a view of its file."""
        return np.memmap(self.folder / name, dtype=self._types[name], mode="r", shape=(self.rows,))

    def gaps(self, rows: NDArray[np.int64]) -> pa.Array:
        """Return the gaps between tokens of these rows as lists, null where they are not known."""
        every = self.column(COUNTS)
        ends = np.cumsum(np.maximum(every, 0))
        flat = np.memmap(self.folder / GAPS_NS, dtype=np.int64, mode="r") if ends[-1] else np.zeros(0, np.int64)
        counts = np.maximum(every[rows], 0)
        offsets = np.concatenate([[0], np.cumsum(counts)])
        places = np.repeat(ends[rows] - counts - offsets[:-1], counts) + np.arange(offsets[-1])
        return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(flat[places]), mask=pa.array(every[rows] < 0))

    def has(self, name: str) -> bool:
        """Return whether there is such a column of numbers."""
        return name in self._types

    def name_of(self, sample: int) -> str:
        """Return what a sample is called."""
        return self.names[sample] if self.names else str(sample)

    def number_of(self, name: str) -> int:
        """Return the number of a sample that is text, a new one for a new name."""
        number = self._numbers.setdefault(name, len(self.names))
        if number == len(self.names):
            self.names.append(name)
        return number


def filled(recording: Recording, folder: Path) -> Spool:
    """Read a recording to its end. Raises BadRecord for the first row that cannot be."""
    spool = Spool(folder)
    kinds: dict[str, pa.DataType] | None = None
    for batch in recording.batches:
        if not batch.num_rows:
            continue
        columns = dict(zip(batch.schema.names, batch.columns, strict=True))
        if kinds is None:
            kinds = {name: column.type for name, column in columns.items()}
            spool.present = set(kinds)
        elif set(columns) != set(kinds):
            raise BadRecord(f"{recording.where(spool.rows)}: the columns from here on are others than before: give every row the same keys")
        _take(spool, columns, batch.num_rows, recording.where)
        spool.rows += batch.num_rows
    return spool


def _take(spool: Spool, columns: Mapping[str, pa.Array], rows: int, where: Callable[[int], str]) -> None:
    at = spool.rows

    def refuse(wrong: Flags, complaint: str) -> None:
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            raise BadRecord(f"{where(at + row)}: {complaint(row) if callable(complaint) else complaint}; mend or remove it")

    times = {name.rpartition("_")[0]: (name, column) for name, column in columns.items() if name.rpartition("_")[0] in TIMES}
    if "inference" not in times and "total" not in times:
        raise BadRecord(f"{where(at)}: no column holds a time: name it by --map inference_ms=COLUMN (or _ns, _us, _s)")
    codes = _outcomes(columns.get("outcome"), refuse)
    ok = np.ones(rows, dtype=bool) if codes is None else codes == schema.OK
    found: dict[str, NDArray[np.int64]] = {}
    for stem, (name, column) in times.items():
        values, is_there = _nanoseconds(column, name, refuse)
        if stem in ("start", "arrival"):
            found[stem] = np.where(is_there, values, MISSING)
            continue
        if stem in OF_ANSWERS:
            ok_here = ok & is_there
        else:
            why = ", and there is no column outcome to say why" if codes is None else ", and the outcome is ok"
            refuse(ok & ~is_there, f"{name} is empty{why}")
            ok_here = ok
        least = 0 if stem in ("preprocess", "postprocess") else 1
        refuse(ok_here & ((values < least) | (values >= LONGEST_NS)), f"{name} is no time: a time is positive and below 104 days")
        found[stem] = np.where(ok_here, values, 0)
    if "start" in found and "arrival" in found:
        both = (found["start"] != MISSING) & (found["arrival"] != MISSING)
        refuse(both & (found["arrival"] - found["start"] > EARLY_NS), "it begins before it is scheduled (start before arrival)")
    _stages(found, refuse)
    for stem in ("start", "arrival", *(stage.removesuffix("_ns") for stage in schema.STAGES)):
        if stem in found:
            spool.put(f"{stem}_ns", found[stem])
    _answers(spool, columns, found, ok, refuse)
    spool.put("outcome", np.zeros(rows, np.int8) if codes is None else codes)
    if "round" in columns:
        numbers, is_there = _whole(columns["round"], "round", refuse)
        refuse(~is_there | (numbers < 0) | (numbers >= LARGEST_NUMBER), "round must be a whole number from 0 to 999,999,999")
        spool.put("round", numbers)
    samples = np.arange(at, at + rows)
    if "sample" in columns:
        samples = _samples(spool, columns["sample"], refuse)
        spool.put("sample", samples)
    for name in (name for name in columns if name.startswith("score_")):
        scores = _floats(columns[name], name, refuse)
        refuse(~((scores >= 0) & (scores <= MOST_SCORE)), f"{name} must be a number from 0 to {MOST_SCORE:,}: a late answer scores 0")
        spool.put(name, scores)
    _details(spool, columns, samples)


def _outcomes(column: pa.Array | None, refuse: Refuse) -> NDArray[np.int8] | None:
    """Return outcomes as indices into ``schema.OUTCOMES``, [rows]; None where there is no such column."""
    if column is None:
        return None
    codes = pc.index_in(_text(column, "outcome", refuse), value_set=pa.array(schema.OUTCOMES))
    refuse(codes.is_null().to_numpy(zero_copy_only=False), f"outcome must be one of {', '.join(schema.OUTCOMES)}")
    return np.asarray(codes.cast(pa.int8()).to_numpy(zero_copy_only=False), dtype=np.int8)


def _nanoseconds(column: pa.Array, name: str, refuse: Refuse) -> tuple[NDArray[np.int64], Flags]:
    """Return times in ns, [rows], 0 where there is none, and where there is one."""
    _refuse_truth(column, name, refuse)
    per = UNITS[name.rpartition("_")[2]]
    is_there = np.asarray(column.is_valid().to_numpy(zero_copy_only=False), dtype=bool)
    if pa.types.is_timestamp(column.type):
        return np.asarray(pc.cast(column, pa.timestamp("ns"), safe=False).cast(pa.int64()).fill_null(0).to_numpy()), is_there
    if pa.types.is_integer(column.type):
        numbers, _ = _whole(column, name, refuse)
        refuse(np.abs(numbers) > 2**62 // per, f"{name} is out of range")
        return numbers * per, is_there
    values = _floats(column, name, refuse)
    is_there &= ~np.isnan(values)
    values = np.where(is_there, values, 0.0) * per
    refuse(~(np.abs(values) < 2.0**62), f"{name} is out of range")
    return np.rint(values).astype(np.int64), is_there


def _stages(found: dict[str, NDArray[np.int64]], refuse: Refuse) -> None:
    """Turn a total into stages: what is not inference, if both are there, counts as preprocess."""
    total = found.pop("total", None)
    if total is None:
        return
    if "inference" not in found:
        found["inference"] = total
        return
    refuse(total < found["inference"], "total is below inference, which is a part of it")
    if "preprocess" not in found and "postprocess" not in found:
        found["preprocess"] = total - found["inference"]


def _answers(spool: Spool, columns: Mapping[str, pa.Array], found: Mapping[str, NDArray[np.int64]], ok: Flags, refuse: Refuse) -> None:
    """Put what a file says of streamed answers: when their pieces came, and how many tokens they have."""
    tokens = np.zeros(ok.size, np.int64)
    if "tokens" in columns:
        tokens, is_there = _whole(columns["tokens"], "tokens", refuse)
        refuse(is_there & ((tokens < 0) | (tokens >= MOST_TOKENS)), "tokens must be a whole number from 0 to 2,147,483,647")
    named = next((name for name in columns if name.rpartition("_")[0] == GAPS), None)
    gaps = None if named is None else lists_of_times(columns[named], named, refuse)
    if "first_token" in found:
        if gaps is not None and "last_token" in found:
            refuse(ok, f"last_token and {GAPS} both say when its last token came; leave one of them out")
        first = found["first_token"]
        pieces = pieces_of(first, first > 0, found.get("last_token"), gaps, found["inference"], refuse)
        spool.put("first_token_ns", pieces.first)
        spool.put("last_token_ns", pieces.last)
        if pieces.gaps is not None:
            spool.put(GAPS_NS, pieces.gaps.flat)
            spool.put(COUNTS, pieces.gaps.counts)
            tokens = np.where((tokens == 0) & (pieces.gaps.counts >= 0), pieces.gaps.counts + 1, tokens)
    elif gaps is not None or "last_token" in found:
        refuse(ok, "without a column first_token, other times of its tokens tell nothing")
    if "tokens" in columns or gaps is not None:
        spool.put("tokens", np.where(ok, tokens, 0).astype(np.int32))


def _whole(column: pa.Array, name: str, refuse: Refuse) -> tuple[NDArray[np.int64], Flags]:
    """Return whole numbers, [rows], 0 where there is none, and where there is one."""
    _refuse_truth(column, name, refuse)
    is_there = np.asarray(column.is_valid().to_numpy(zero_copy_only=False), dtype=bool)
    if pa.types.is_integer(column.type) and not pa.types.is_uint64(column.type):
        return np.asarray(column.cast(pa.int64()).fill_null(0).to_numpy(), dtype=np.int64), is_there
    values = np.where(is_there, np.nan_to_num(_floats(column, name, refuse), nan=0.5), 0.0)
    refuse((values != np.rint(values)) | (np.abs(values) >= 2.0**53), f"{name} must be a whole number")
    return values.astype(np.int64), is_there


def _refuse_truth(column: pa.Array, name: str, refuse: Refuse) -> None:
    """Refuse true and false, which would count as 1 and 0: they may be a score, never a time or a number of something."""
    if pa.types.is_boolean(column.type):
        refuse(np.asarray(column.is_valid().to_numpy(zero_copy_only=False), dtype=bool), f"{name} is true or false and must be a number")


def _floats(column: pa.Array, name: str, refuse: Refuse) -> NDArray[np.float64]:
    """Return numbers, [rows], NaN where there is none."""
    kind = column.type
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind) or pa.types.is_decimal(kind)):
        refuse(np.asarray(column.is_valid().to_numpy(zero_copy_only=False), dtype=bool), f"{name} is no number")
        return np.full(len(column), np.nan)
    as_numbers = column.cast(pa.int8()) if pa.types.is_boolean(kind) else column
    return np.asarray(pc.cast(as_numbers, pa.float64(), safe=False).to_numpy(zero_copy_only=False), dtype=np.float64)


def _text(column: pa.Array, name: str, refuse: Refuse) -> pa.Array:
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        refuse(np.asarray(column.is_valid().to_numpy(zero_copy_only=False), dtype=bool), f"{name} is no text")
        return pa.nulls(len(column), pa.string())
    return column.cast(pa.string())


def _samples(spool: Spool, column: pa.Array, refuse: Refuse) -> NDArray[np.int64]:
    """Return what stands for each sample: its number, or that of its name."""
    refuse(np.asarray(column.is_null().to_numpy(zero_copy_only=False), dtype=bool), "sample is empty")
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        numbers, _ = _whole(column, "sample", refuse)
        return numbers
    encoded = column.cast(pa.string()).dictionary_encode()
    of_name = np.array([spool.number_of(name) for name in encoded.dictionary.to_pylist()], dtype=np.int64)
    return np.asarray(of_name[encoded.indices.to_numpy(zero_copy_only=False)], dtype=np.int64)


def _details(spool: Spool, columns: Mapping[str, pa.Array], samples: NDArray[np.int64]) -> None:
    """Keep what the first row of each sample says of it."""
    wanted = [name for name in columns if name.startswith(OF_SAMPLE)]
    if not wanted:
        return
    unique, first = np.unique(samples, return_index=True)
    for sample, row in zip(unique.tolist(), first.tolist(), strict=True):
        if sample not in spool.details:
            spool.details[sample] = {name: columns[name][row].as_py() for name in wanted}
