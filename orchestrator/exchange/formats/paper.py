"""The paper's ``All_Times.pickle``: lists of runs, each {batch: seconds}, on the clocks inference and total. No code of a file is run."""

import io
import pickle
import pickletools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import pyarrow as pa

from orchestrator.contracts import InputError, first_line
from orchestrator.exchange.formats import Record, Recording, checked, table_of
from orchestrator.storage.load import LONGEST_TEXT, read_regular

# Instructions of a pickle that make numbers, text, lists and mappings; those that name, build or call anything are not among them.
PLAIN = frozenset(
    [
        *("PROTO", "FRAME", "STOP", "MARK", "POP", "POP_MARK", "NONE", "NEWTRUE", "NEWFALSE", "INT", "BININT", "BININT1", "BININT2"),
        *("LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT", "UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"),
        *("EMPTY_LIST", "APPEND", "APPENDS", "LIST", "EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"),
        *("EMPTY_DICT", "DICT", "SETITEM", "SETITEMS", "MEMOIZE", "PUT", "BINPUT", "LONG_BINPUT", "GET", "BINGET", "LONG_BINGET"),
    ]
)
MEMO = ("PUT", "BINPUT", "LONG_BINPUT")
AGAIN = ("GET", "BINGET", "LONG_BINGET")
# So often a file may use a value that it holds already: a small one could come to any number of values.
MOST_AGAIN = 1000
NOTE = (
    "A sample is a batch of the paper's records, and a round one of its runs. Preprocess is all of the total time that is not inference: "
    "the file has only these two times."
)


class Times(Record):
    """``inference`` and ``total``: per run, seconds by batch."""

    inference: list[dict[int, float]]
    total: list[dict[int, float]] | None = None


class _Refusing(pickle.Unpickler):
    """An unpickler that knows no class and no function. The instructions were looked at before; this is the second lock."""

    def find_class(self, module: str, name: str) -> NoReturn:
        raise pickle.UnpicklingError(f"it names {module}.{name}")


def plain_pickle(content: bytes, place: str) -> Any:
    """Return the numbers, text, lists and mappings that a pickle holds.

    Every instruction is read, not executed, before anything is made: a pickle can run code only by one that names a class or function,
    and none of these is in `PLAIN`. Raises InputError.
    """
    again = 0
    try:
        for opcode, argument, position in pickletools.genops(content):
            at = f"{place}: instruction {opcode.name} at byte {position}"
            if opcode.name not in PLAIN:
                raise InputError(f"{at} could run code", "unsafe")
            if opcode.name in MEMO and int(argument or 0) > len(content):
                raise InputError(f"{at} remembers more than the file holds", "too_large")
            again += opcode.name in AGAIN
            if again > MOST_AGAIN:
                raise InputError(f"{at} uses a value once more, after {MOST_AGAIN:,} others: write each value out", "too_large")
        return _Refusing(io.BytesIO(content)).load()
    except InputError:
        raise
    except Exception as error:  # damaged in whatever way
        raise InputError(f"{place} is no whole pickle ({type(error).__name__}: {first_line(error)}): copy it again", "damaged") from error


def read(path: Path) -> Iterator[Recording]:
    """Yield the one recording of a file."""
    times = checked(Times, plain_pickle(read_regular(path, LONGEST_TEXT), str(path)), str(path))
    totals = times.inference if times.total is None else times.total
    if len(totals) != len(times.inference):
        raise InputError(
            f"{path} holds {len(times.inference)} runs on the clock inference and {len(totals)} on total: copy it again", "damaged"
        )
    rows = {}
    for number, (run, total) in enumerate(zip(times.inference, totals, strict=True)):
        if run.keys() != total.keys():
            raise InputError(f"{path} run {number} has other batches on the clock inference than on total: copy it again", "damaged")
        for batch, seconds in run.items():
            row = {"round": number, "sample": batch, "inference_s": seconds, "total_s": total[batch]}
            rows[f"{path} run {number}, batch {batch}"] = row
    table = table_of(rows.values(), path, inference_s=pa.float64(), total_s=pa.float64())
    yield Recording(path.stem, table, [*rows].__getitem__, path, remarks=(NOTE,))
