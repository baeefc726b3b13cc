"""Write what one trial measures. Rounds wait in a file until there are enough of them for a part."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from orchestrator.contracts import InputError
from orchestrator.storage import encoding, schema, waiting
from orchestrator.storage.files import make_folder, write_json, write_parquet, write_text
from orchestrator.storage.handover import Rounds
from orchestrator.storage.layout import TWINS, TrialFolder, part_name, parts
from orchestrator.storage.load import MEASURE_AGAIN, read_regular, read_table
from orchestrator.storage.merge import both, merge, recover, rounds
from orchestrator.storage.records import TrialRecord
from orchestrator.storage.stored_form import conform, outcome_codes, used

MOST_BYTES = 64 * 1024
"""The oldest make room for the newest."""
RULE = "=" * 20


def with_traceback(known: str, heading: str, text: str) -> str:
    """Return the content of the file with one more traceback, within ``MOST_BYTES``; unchanged if it has the same one already."""
    body = text.strip()
    if body in known:
        return known
    sections = [*_sections(known), f"{RULE} {heading}\n{body}\n"]
    while len(sections) > 1 and len("\n".join(sections).encode(errors="backslashreplace")) > MOST_BYTES:
        del sections[0]
    return "\n".join(sections)


def read_tracebacks(path: Path) -> str:
    """Return what the file holds. One that is missing, is no regular file or is not ours to read counts as empty."""
    try:
        return read_regular(path)[: 2 * MOST_BYTES].decode(errors="replace")
    except (InputError, OSError):
        return ""


def _sections(text: str) -> list[str]:
    return [f"{RULE}{part.rstrip()}\n" for part in text.split(RULE)[1:]]


FLUSH_AFTER_S, FLUSH_EVERY_S = 1.0, 30.0
"""When the first part is written, and how far two lie apart at most: each time twice as far, since one costs 10 ms between rounds."""


class TrialWriter:
    """The files of one trial. Construction puts right what a kill has left.

    ``clock`` gives seconds and decides when to flush; ``least`` is how many rounds the trial is known to have. Only ``CampaignWriter``,
    which holds the campaign's lock, makes one.
    """

    def __init__(self, folder: TrialFolder, clock: Callable[[], float] = time.monotonic, least: int = 0) -> None:
        self._folder = folder
        self._clock = clock
        for place in (folder.path.parent, folder.path):
            make_folder(place)
        left = [*waiting.read(folder.waiting)]
        recover(folder, least, [number for _, rows in left for number in rows.column("round").to_pylist()])
        for name in TWINS:
            make_folder(folder.twin(name))
        numbers = rounds(folder).column("round")
        self._rounds = len(numbers)
        self._last = numbers[-1].as_py() if self._rounds else -1
        self._next_part = max(parts(folder.twin("rounds")), default=-1) + 1  # counted, since another folder may stand there later
        self._waiting: list[tuple[pa.Table, pa.Table]] = []
        self._flushed_at, self._every_s = clock(), FLUSH_AFTER_S
        for timed, rows in left:
            if rows.column("round")[0].as_py() > self._last:
                self.append(timed, rows)
        self.flush()

    @property
    def rounds(self) -> int:
        """How many rounds were appended so far, by this and earlier drivers."""
        return self._rounds

    def stored_samples(self) -> pa.Table | None:
        """Return what ``write_samples`` has written, or None. Raises InputError if it is missing although rounds are stored."""
        path = self._folder.samples
        if path.exists():
            return read_table(path)
        if self._rounds:
            raise InputError(f"{path} is missing ({self._rounds} rounds are stored): {MEASURE_AGAIN}")
        return None

    def stored_rounds(self) -> Rounds | None:
        """Return the rounds that are stored, None where there are none."""
        timed, rows = both(self._folder)
        return Rounds(*(table.combine_chunks().to_batches()[0] for table in (timed, rows))) if len(rows) else None

    def write_record(self, record: TrialRecord) -> None:
        """Write ``trial.json``, with the number of rounds that are stored by now."""
        if record.trial_id != self._folder.path.name:
            raise ValueError(f"the record of {record.trial_id} is not that of {self._folder.path.name}")
        stored = record.model_copy(update={"rounds": self._rounds - sum(len(rows) for _, rows in self._waiting)})
        write_json(self._folder.record, stored.model_dump(mode="json"))

    def write_samples(self, samples: pa.Table) -> None:
        """Write ``predictions.parquet``: one row per sample, ``sample`` counted upward."""
        numbers = samples.column("sample").to_numpy()
        if bool((np.diff(numbers, prepend=-1) <= 0).any()):
            raise ValueError("samples must be counted upward from 0, each once")
        write_parquet(self._folder.samples, samples)

    def write_warmup(self, timings: pa.RecordBatch) -> None:
        """Write the timings of warm-up rounds. Those of a later process follow the earlier ones, with rounds counted on."""
        table = conform(pa.Table.from_batches([timings]), schema.TIMINGS)
        if self._folder.warmup.exists():
            earlier = read_table(self._folder.warmup, schema.TIMINGS)
            table = pa.concat_tables([earlier, _renumbered(table, after=earlier)])
        # No sample arrives in a warm-up.
        write_parquet(self._folder.warmup, used(table), **encoding.TIMINGS)

    def write_ramp(self, ramp: pa.RecordBatch) -> None:
        """Write the ramp of a stream, columns of ``schema.RAMP``, before its rounds are appended; one left by a kill is replaced."""
        table = conform(pa.Table.from_batches([ramp]), schema.RAMP)
        if self._folder.ramp.exists() and table.num_rows:
            earlier = read_table(self._folder.ramp, schema.RAMP)
            table = pa.concat_tables([earlier.filter(pc.not_equal(earlier.column("stream"), table.column("stream")[0])), table])
        write_parquet(self._folder.ramp, table, **encoding.TIMINGS)

    def write_answers(self, number: int, answers: pa.Table) -> None:
        """Write the answers of a round that differ from the first round's, before the round itself is appended."""
        self._refuse_stored(number)
        make_folder(self._folder.answers)
        write_parquet(self._folder.answers_of(number), answers)

    def write_traceback(self, heading: str, text: str) -> None:
        """Add to ``traceback.txt`` what code has raised, unless it stands there already."""
        known = read_tracebacks(self._folder.traceback)
        if (added := with_traceback(known, heading, text)) != known:
            write_text(self._folder.traceback, added)

    def write_server_log(self, process: int, text: str) -> None:
        """Write what the server has written that a process of the trial had started."""
        write_text(self._folder.server_log(process), text)

    def append(self, timings: pa.RecordBatch | pa.Table, rows: pa.RecordBatch | pa.Table) -> None:
        """Store rounds: columns of ``schema.TIMINGS`` in order of round and sample, and one row of ``schema.ROUNDS`` each.

        Raises
        ------
        ValueError
            for a round that is stored already or comes before one that is, rows of other rounds, samples out of order, or
            durations that do not fit their outcomes.
        """
        timed = conform(_table(timings), schema.TIMINGS)
        rounds_of = conform(_table(rows), schema.ROUNDS)
        numbers = check_rounds(timed, rounds_of)
        self._refuse_stored(int(numbers[0]))
        self._rounds, self._last = self._rounds + len(numbers), int(numbers[-1])
        self._waiting.append((timed, rounds_of))
        if self._clock() - self._flushed_at >= self._every_s:
            self._every_s = min(2 * self._every_s, FLUSH_EVERY_S)
            self.flush()
        else:
            waiting.add(self._folder.waiting, timed, rounds_of)

    def append_many(self, timings: pa.Table, rows: pa.Table) -> None:
        """Store rounds of an import as a part of their own; ValueError for one that lies outside the declared ranges too."""
        tables = conform(timings, schema.TIMINGS), conform(rows, schema.ROUNDS)
        for table in tables:
            schema.refuse_out_of_range(table)
        self.append(*tables)
        self.flush()

    def flush(self) -> None:
        """Write the rounds appended since the last flush as one part: timings first, then the twin that makes them exist."""
        if self._waiting:
            # A part of timings whose twin could not be written holds these rounds: it is written again, under its name.
            timed, rows = (pa.concat_tables(tables) for tables in zip(*self._waiting, strict=True))
            write_parquet(self._folder.twin("timings") / part_name(self._next_part), used(timed), **encoding.TIMINGS)
            write_parquet(self._folder.twin("rounds") / part_name(self._next_part), used(rows))
            self._next_part += 1
            self._waiting.clear()
        waiting.remove(self._folder.waiting)
        self._flushed_at = self._clock()

    def finish(self) -> None:
        """Flush, and merge all parts. More rounds may still follow."""
        self.flush()
        merge(self._folder)

    def _refuse_stored(self, number: int) -> None:
        if number <= self._last:
            stored = f"round {self._last} of {self._folder.path.name} is stored already"
            raise ValueError(f"{stored}, and round {number} cannot follow it: a stored round is never replaced")


def _table(rows: pa.RecordBatch | pa.Table) -> pa.Table:
    return pa.Table.from_batches([rows]) if isinstance(rows, pa.RecordBatch) else rows


def check_rounds(timings: pa.Table, rows: pa.Table) -> NDArray[np.int32]:
    """Return the numbers of rounds. Raises ValueError if their timings and their rows do not make sense together."""
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
        least = pc.min(timings.column(name)).as_py()
        if least is not None and least < (1 if name == "inference_ns" else 0):
            raise ValueError(f"round {numbers[0]}: {name} is {least}, and time does not run backwards or stand still")
    return numbers


def _renumbered(table: pa.Table, after: pa.Table) -> pa.Table:
    shift = pc.add(pc.max(after.column("round")), 1) if after.num_rows else pa.scalar(0, pa.int32())
    moved = pc.add(table.column("round"), shift).cast(pa.int32())
    return table.set_column(table.column_names.index("round"), schema.TIMINGS.field("round"), moved)
