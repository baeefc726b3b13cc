"""Write what one trial measures. Rounds wait in a file until there are enough of them for a part."""

import errno
import os
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from orchestrator.contracts import InputError
from orchestrator.storage import schema
from orchestrator.storage.files import Held, make_folder, write_json, write_parquet, write_text
from orchestrator.storage.handover import Rounds, packed, unpacked
from orchestrator.storage.layout import TWINS, TrialFolder, part_name, parts
from orchestrator.storage.load import MEASURE_AGAIN, read_regular, read_table
from orchestrator.storage.merge import both, merge, recover, rounds
from orchestrator.storage.records import TrialRecord
from orchestrator.storage.stored_form import PARQUET_OF_TIMINGS, conform, outcome_codes, used

# Of a file of tracebacks: the oldest make room for the newest.
MOST_BYTES = 64 * 1024
RULE = "=" * 20
# When the first part is written, and how far the others lie apart, since one costs 5 to 10 ms between rounds. Rounds that wait for theirs
# outlive every kill, too.
FLUSH_AFTER_S, FLUSH_EVERY_S = 1.0, 15.0
# Short ones wait until there are so many: they are in memory too, where each takes up to 50 KiB.
MOST_WAITING = 500
# Before rounds that wait: how long they are, and their CRC-32.
HEAD = struct.Struct("<II")


def with_traceback(known: str, heading: str, text: str) -> str:
    """Return the content of the file with one more traceback, within ``MOST_BYTES``; unchanged if it has the same one already."""
    body = text.strip()
    if body in known:
        return known
    sections = [*(f"{RULE}{part.rstrip()}\n" for part in known.split(RULE)[1:]), f"{RULE} {heading}\n{body}\n"]
    while len(sections) > 1 and len("\n".join(sections).encode(errors="backslashreplace")) > MOST_BYTES:
        del sections[0]
    return "\n".join(sections)


class TrialWriter:
    """The files of one trial. Construction puts right what a kill has left.

    ``clock`` gives seconds and decides when to flush; ``least`` is how many rounds the trial is known to have; ``rounds`` counts those
    appended so far, by this and earlier drivers. Only ``CampaignWriter``, which holds the campaign's lock, makes one.
    """

    def __init__(self, folder: TrialFolder, clock: Callable[[], float], least: int) -> None:
        self._folder = folder
        self._clock = clock
        for place in (folder.path.parent, folder.path):
            make_folder(place)
        left = list(rounds_waiting(folder.waiting))
        recover(folder, least, [number for _, rows in left for number in rows.column("round").to_pylist()])
        for name in TWINS:
            make_folder(folder.within(name))
        numbers = rounds(folder).column("round")
        self.rounds = self._stored = len(numbers)  # the latter lie in parts, the rest waits
        self._last = numbers[-1].as_py() if self.rounds else -1
        self._next_part = max(parts(folder.within("rounds")), default=-1) + 1  # counted, since another folder may stand there later
        self._waiting: list[tuple[pa.RecordBatch | pa.Table, pa.RecordBatch | pa.Table]] = []
        self._due_s = clock() + FLUSH_AFTER_S
        for timed, rows in left:
            if rows.column("round")[0].as_py() > self._last:
                self.append(timed, rows)
        self.flush()

    def stored_samples(self) -> pa.Table | None:
        """Return what ``write_samples`` has written, or None. Raises InputError if it is missing although rounds are stored."""
        path = self._folder.samples
        if path.exists():
            return read_table(path)
        if self.rounds:
            raise InputError(f"{path} is missing ({self.rounds} rounds are stored): {MEASURE_AGAIN}", "not_found", value=path)
        return None

    def stored_rounds(self) -> Rounds | None:
        """Return the rounds that are stored, None where there are none."""
        timed, rows = both(self._folder)
        return Rounds(*(table.combine_chunks().to_batches()[0] for table in (timed, rows))) if len(rows) else None

    def write_record(self, record: TrialRecord) -> None:
        """Write ``trial.json``, with the number of rounds that are stored by now."""
        write_json(self._folder.record, record.model_copy(update={"rounds": self._stored}).model_dump(mode="json"))

    def write_samples(self, samples: pa.Table) -> None:
        """Write ``predictions.parquet``: one row per sample, ``sample`` counted upward."""
        write_parquet(self._folder.samples, samples)

    def write_warmup(self, timings: pa.RecordBatch) -> None:
        """Write the timings of warm-up rounds. Those of a later process follow the earlier ones, with rounds counted on."""
        table = conform(timings, schema.TIMINGS)
        if self._folder.warmup.exists() and (earlier := read_table(self._folder.warmup, schema.TIMINGS)).num_rows:
            counted_on = pc.add(table.column("round"), pc.add(pc.max(earlier.column("round")), 1).cast(pa.int32()))
            table = table.set_column(schema.TIMINGS.get_field_index("round"), schema.TIMINGS.field("round"), counted_on)
            table = pa.concat_tables([earlier, table])
        write_parquet(self._folder.warmup, used(table), **PARQUET_OF_TIMINGS)  # no sample arrives in a warm-up

    def write_ramp(self, ramp: pa.RecordBatch) -> None:
        """Write the ramp of a stream, columns of ``schema.RAMP``, before its rounds are appended; one left by a kill is replaced."""
        table = conform(ramp, schema.RAMP)
        if self._folder.ramp.exists() and table.num_rows:
            earlier = read_table(self._folder.ramp, schema.RAMP)
            table = pa.concat_tables([earlier.filter(pc.not_equal(earlier.column("stream"), table.column("stream")[0])), table])
        write_parquet(self._folder.ramp, table, **PARQUET_OF_TIMINGS)

    def write_answers(self, number: int, answers: pa.Table) -> None:
        """Write the answers of a round that differ from the first warm-up round's, before the round itself is appended."""
        make_folder(self._folder.answers)
        write_parquet(self._folder.answers_of(number), answers)

    def write_traceback(self, heading: str, text: str) -> None:
        """Add to ``traceback.txt`` what code has raised, unless it stands there already."""
        try:
            known = read_regular(self._folder.traceback)[: 2 * MOST_BYTES].decode(errors="replace")
        except (InputError, OSError):  # it is missing, no regular file, or not ours to read
            known = ""
        if (added := with_traceback(known, heading, text)) != known:
            write_text(self._folder.traceback, added)

    def write_server_log(self, process: int, text: str) -> None:
        """Write what the server has written that a process of the trial had started."""
        write_text(self._folder.within(f"server-{process}.log"), text)

    def append(self, timings: pa.RecordBatch | pa.Table, rows: pa.RecordBatch | pa.Table) -> None:
        """Store rounds: columns of ``schema.TIMINGS`` in order of round and sample, and one row of ``schema.ROUNDS`` each.

        Raises ValueError for a round that is stored already or comes before one that is. All else is checked when a part is written.
        """
        numbers = rows.column("round")
        first, last = numbers[0].as_py(), numbers[-1].as_py()
        if first <= self._last:
            stored = f"round {self._last} of {self._folder.path.name} is stored already"
            raise ValueError(f"{stored}, and round {first} cannot follow it: a stored round is never replaced")
        self.rounds, self._last = self.rounds + len(numbers), last
        self._waiting.append((timings, rows))
        if self._clock() >= self._due_s or self.rounds - self._stored >= MOST_WAITING:
            self.flush()
        else:
            _wait(self._folder.waiting, timings, rows)

    def flush(self) -> None:
        """Write the rounds appended since the last flush as one part: timings first, then the twin that makes them exist.

        Raises ValueError for rounds that make no sense, as `check_rounds` does; they are dropped.
        """
        if self._waiting:
            # A part of timings whose twin could not be written holds these rounds: it is written again, under its name.
            try:
                timed = pa.concat_tables([conform(timings, schema.TIMINGS) for timings, _ in self._waiting])
                rows = pa.concat_tables([conform(rows, schema.ROUNDS) for _, rows in self._waiting])
                check_rounds(timed, rows)
            except ValueError:
                self.rounds = self._stored
                self._waiting.clear()
                raise
            write_parquet(self._folder.within("timings") / part_name(self._next_part), used(timed), **PARQUET_OF_TIMINGS)
            write_parquet(self._folder.within("rounds") / part_name(self._next_part), used(rows))
            self._next_part += 1
            self._stored = self.rounds
            self._waiting.clear()
            self._due_s = self._clock() + FLUSH_EVERY_S
        with Held.parent_of(self._folder.waiting) as around, suppress(FileNotFoundError):
            os.unlink(self._folder.waiting.name, dir_fd=around)

    def finish(self) -> None:
        """Flush, and merge all parts. More rounds may still follow."""
        self.flush()
        merge(self._folder)


def _wait(path: Path, timings: pa.RecordBatch | pa.Table, rows: pa.RecordBatch | pa.Table) -> None:
    """Append rounds that wait to be written as a part, at once, so that they outlive every process that is killed.

    Nothing is flushed to the disk: only a loss of power takes them.
    """
    content = packed(timings, rows)
    whole = HEAD.pack(len(content), zlib.crc32(content)) + content
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    with Held.parent_of(path) as folder:
        descriptor = os.open(path.name, flags, 0o666, dir_fd=folder)
        try:
            if os.write(descriptor, whole) != len(whole):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        finally:
            os.close(descriptor)


def rounds_waiting(path: Path) -> Iterator[tuple[pa.Table, pa.Table]]:
    """Yield what was appended, timings and rows, up to where a kill has cut it short."""
    try:
        content = read_regular(path)
    except FileNotFoundError:
        return
    at = HEAD.size
    while at <= len(content):
        length, checksum = HEAD.unpack_from(content, at - HEAD.size)
        found = content[at : at + length]
        if not length or zlib.crc32(found) != checksum:  # nothing but zeros may follow after a loss of power
            return
        timings, rows = unpacked(found)
        yield timings, rows
        at += length + HEAD.size


def check_rounds(timings: pa.Table, rows: pa.Table) -> None:
    """Raise ValueError for rows of other rounds, samples out of order, or durations that do not fit their outcomes."""
    if not rows.num_rows or not timings.num_rows:
        raise ValueError(f"a round has one row and timings of at least one sample, not {rows.num_rows} and {timings.num_rows}")
    numbers: NDArray[np.int32] = rows.column("round").to_numpy()
    of_timings, samples = (timings.column(name).to_numpy() for name in ("round", "sample"))
    first = np.flatnonzero(np.diff(of_timings, prepend=-1))
    if numbers[0] < 0 or bool((np.diff(numbers) <= 0).any()):
        raise ValueError(f"rounds {numbers.tolist()[:20]} must be counted upward from 0, each once")
    if not np.array_equal(of_timings[first], numbers):
        raise ValueError(f"round {numbers[0]} comes with timings of another round")
    follows = np.diff(samples, prepend=-1)
    follows[first] = samples[first] + 1
    if bool((follows <= 0).any()):
        raise ValueError("samples must be counted upward from 0, each once")
    is_ok = outcome_codes(timings) == schema.OK
    for name in schema.STAGES:
        if not np.array_equal(timings.column(name).is_valid().to_numpy(), is_ok):
            raise ValueError(f"round {numbers[0]}: {name} must be null exactly where the outcome is not ok")
