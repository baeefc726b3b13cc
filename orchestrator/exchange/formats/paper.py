"""The paper's ``All_Times.pickle``: lists of runs, each {batch: seconds}, on the clocks inference and total. No code of a file is run."""

import io
import pickle
import pickletools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import pyarrow as pa

from orchestrator.exchange.documents import Record, checked, nanoseconds
from orchestrator.exchange.recording import BadRecord, Recording, refuse_columns
from orchestrator.storage.load import read_regular

PLAIN = frozenset(
    [
        "PROTO",
        "FRAME",
        "STOP",
        "MARK",
        "POP",
        "POP_MARK",
        "DUP",
        "NONE",
        "NEWTRUE",
        "NEWFALSE",
        "INT",
        "BININT",
        "BININT1",
        "BININT2",
        "LONG",
        "LONG1",
        "LONG4",
        "FLOAT",
        "BINFLOAT",
        "UNICODE",
        "SHORT_BINUNICODE",
        "BINUNICODE",
        "BINUNICODE8",
        "EMPTY_LIST",
        "APPEND",
        "APPENDS",
        "LIST",
        "EMPTY_TUPLE",
        "TUPLE",
        "TUPLE1",
        "TUPLE2",
        "TUPLE3",
        "EMPTY_DICT",
        "DICT",
        "SETITEM",
        "SETITEMS",
        "MEMOIZE",
        "PUT",
        "BINPUT",
        "LONG_BINPUT",
        "GET",
        "BINGET",
        "LONG_BINGET",
    ]
)
"""Instructions of a pickle that make numbers, text, lists and mappings; those that name, build or call anything are not among them."""
MEMO = ("PUT", "BINPUT", "LONG_BINPUT")
NOTE = (
    "A sample is a batch of the paper's records, and a round one of its runs. Preprocess is all of the total time that is not inference: "
    "the file has no more than these two."
)


class Times(Record):
    """``inference`` and ``total``: per run, seconds by batch."""

    inference: list[dict[int, float]]
    total: list[dict[int, float]] | None = None


class _Refusing(pickle.Unpickler):
    """An unpickler that knows no class and no function. The instructions were looked at before; this is the second lock."""

    def find_class(self, module: str, name: str) -> NoReturn:
        raise pickle.UnpicklingError(f"it names {module}.{name}")

    def persistent_load(self, pid: Any) -> NoReturn:
        raise pickle.UnpicklingError("it refers to something outside itself")


def plain_pickle(content: bytes, place: str) -> Any:
    """Return the numbers, text, lists and mappings that a pickle holds.

    Every instruction is read, not executed, before anything is made: a pickle can run code only by one that names a class or function,
    and none of these is in `PLAIN`. Raises BadRecord.
    """
    try:
        for opcode, argument, position in pickletools.genops(content):
            if opcode.name not in PLAIN:
                raise BadRecord(f"{place}: instruction {opcode.name} at byte {position} could run code")
            if opcode.name in MEMO and int(argument or 0) > len(content):
                raise BadRecord(f"{place}: instruction {opcode.name} at byte {position} remembers more than the file holds")
        return _Refusing(io.BytesIO(content)).load()
    except BadRecord:
        raise
    except Exception as error:  # damaged in whatever way
        why = " ".join(str(error).split())[:80]
        raise BadRecord(f"{place} is no whole pickle ({type(error).__name__}: {why}): copy it again") from error


def read(paths: Sequence[Path], columns: Mapping[str, str]) -> Iterator[Recording]:
    """Yield one recording per file."""
    refuse_columns(columns, "paper")
    for path in paths:
        times = checked(Times, plain_pickle(read_regular(path), str(path)), str(path))
        places = _Places(path, times.inference)
        yield Recording(path.stem, _batches(times, path), places, remarks=(NOTE,), path=path)


class _Places:
    """Says where a row is: which run, and which batch of it."""

    def __init__(self, path: Path, runs: Sequence[Mapping[int, float]]) -> None:
        self._path, self._runs = path, runs

    def __call__(self, row: int) -> str:
        for number, run in enumerate(self._runs):
            if row < len(run):
                return f"{self._path} run {number}, batch {list(run)[row]}"
            row -= len(run)
        return str(self._path)


def _batches(times: Times, path: Path) -> Iterator[pa.RecordBatch]:
    totals = times.inference if times.total is None else times.total
    if len(totals) != len(times.inference):
        raise BadRecord(f"{path} holds {len(times.inference)} runs on the clock inference and {len(totals)} on total: copy it again")
    for number, (inference, total) in enumerate(zip(times.inference, totals, strict=True)):
        place = f"{path} run {number}"
        if inference.keys() != total.keys():
            raise BadRecord(f"{place} has other batches on the clock inference than on total: copy it again")
        if inference:
            yield pa.RecordBatch.from_pydict(
                {
                    "round": pa.array([number] * len(inference), pa.int64()),
                    "sample": pa.array([nanoseconds(batch, 1, place, "batch") for batch in inference], pa.int64()),
                    "inference_ns": pa.array([nanoseconds(value, 10**9, place, "inference") for value in inference.values()], pa.int64()),
                    "total_ns": pa.array([nanoseconds(total[batch], 10**9, place, "total") for batch in inference], pa.int64()),
                }
            )
