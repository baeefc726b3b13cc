"""Print what storing timings costs: bytes per row by encoding, by spread of times, and time per round and per flush.

    python benchmarks/storage.py          # TMPDIR=DIR chooses the disk
    python benchmarks/storage.py DIR      # what the trials of a real campaign take, by file

The first table is how ``orchestrator/storage/stored_form.py`` was chosen. An ideal coder needs about log2(4.13 x sd) bits for a
normal duration with that standard deviation in ns (the differential entropy, Cover and Thomas, Elements of Information Theory,
eq. 8.9), which the last column shows.
"""

import io
import sys
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from orchestrator.storage import schema, stored_form
from orchestrator.storage.layout import TrialFolder
from orchestrator.storage.merge import both
from orchestrator.storage.reader import open_campaign
from orchestrator.storage.trial_writer import TrialWriter

ENCODINGS = {"plain": "PLAIN", "delta": "DELTA_BINARY_PACKED", "split": "BYTE_STREAM_SPLIT"}
MEDIANS = {"start_gap_ns": 300.0, "preprocess_ns": 5e6, "inference_ns": 10e6, "postprocess_ns": 5e4}


def timings(rounds: int, samples: int, spread: float, stalls: float, rng: np.random.Generator) -> pa.Table:
    """Lognormal times of a given relative spread, a share of which stalls."""
    rows = rounds * samples
    columns = {}
    for name, median in MEDIANS.items():
        values = rng.lognormal(np.log(median), spread, rows)
        stalled = rng.random(rows) < stalls
        columns[name] = pa.array(np.where(stalled, values * rng.lognormal(1, 0.5, rows), values).astype(np.int64))
    return pa.table(
        {
            "round": pa.array(np.repeat(np.arange(rounds, dtype=np.int32), samples)),
            "sample": pa.array(np.tile(np.arange(samples, dtype=np.int32), rounds)),
            "outcome": pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int8)), list(schema.OUTCOMES)),
            **columns,
            "cuda_inference_ns": pa.nulls(rows, pa.int64()),
            **{name: pa.nulls(rows, schema.TIMINGS.field(name).type) for name in ("arrival_ns", "queue_ns", "ramp", *schema.ANSWER)},
        },
        schema=schema.TIMINGS,
    )


def bytes_per_row(table: pa.Table, durations: str | None) -> float:
    options = dict(stored_form.PARQUET_OF_TIMINGS)
    if durations is not None:
        options["column_encoding"] = {**options["column_encoding"], **dict.fromkeys(stored_form.SPLIT, durations)}
    buffer = io.BytesIO()
    pq.write_table(table, buffer, **options)
    return len(buffer.getvalue()) / table.num_rows


def ideal_bytes(table: pa.Table) -> float:
    """Bytes that the durations without stalls would need."""
    bits = 0.0
    for name in MEDIANS:
        values = table.column(name).to_numpy()
        low, high = np.quantile(values, [0.1587, 0.8413])
        bits += max(0.0, np.log2(4.13 * (high - low) / 2))
    return bits / 8


def row(number: int) -> pa.RecordBatch:
    told = {
        "round": number,
        "started_at": datetime.now(UTC),
        "started_monotonic_ns": number,
        "duration_ns": 1,
        "process": 0,
        "incomplete": False,
    }
    return pa.RecordBatch.from_pylist([told], schema=schema.ROUNDS)


def writing(directory: Path, rounds: int, samples: int, rng: np.random.Generator) -> None:
    table = timings(rounds, samples, 0.1, 0.01, rng).combine_chunks()
    batches = [table.slice(number * samples, samples).to_batches()[0] for number in range(rounds)]
    rows = [row(number) for number in range(rounds)]
    folder = TrialFolder(directory / "trials" / f"{rounds}x{samples}")
    writer = TrialWriter(folder, clock=lambda: 0.0)
    appending = flushing = 0.0
    for number in range(rounds):
        start = time.perf_counter()
        writer.append(batches[number], rows[number])
        middle = time.perf_counter()
        appending += middle - start
        if number % (rounds // 20) == 0:
            writer.flush()
            flushing += time.perf_counter() - middle
    start = time.perf_counter()
    writer.finish()
    merging = time.perf_counter() - start
    start = time.perf_counter()
    both(folder)
    reading = time.perf_counter() - start
    (path,) = folder.within("timings").iterdir()
    print(
        f"{rounds:>7} {samples:>7} {1e6 * appending / rounds:>12.0f} {1e3 * flushing / 20:>10.1f} "
        f"{merging:>8.2f} {reading:>8.2f} {path.stat().st_size / rounds / samples:>10.2f}"
    )


def of_campaign(directory: Path) -> None:
    """Print bytes per sample and round of every trial, and of all together."""
    campaign = open_campaign(directory)
    sizes: dict[str, Counter[str]] = {}
    rows: dict[str, int] = {}
    for planned in campaign.record.trials:
        folder = directory / "trials" / planned.trial_id
        rows[planned.trial_id] = campaign.timings(planned.trial_id).num_rows
        for path in sorted(folder.rglob("*.parquet")):
            name = path.relative_to(folder).parts[0].removesuffix(".parquet")
            sizes.setdefault(planned.trial_id, Counter())[name] += path.stat().st_size
    together = sum(sizes.values(), Counter())
    names = sorted(together)
    print(f"{'rows':>9} {'bytes/row':>10}" + "".join(f"{name:>13}" for name in names) + "  trial")
    for trial, of_trial in [*sizes.items(), ("all", together)]:
        count = sum(rows.values()) if trial == "all" else rows[trial]
        shown = "".join(f"{of_trial[name] / count:>13.2f}" for name in names)
        print(f"{count:>9} {sum(of_trial.values()) / count:>10.2f}{shown}  {trial}")


def main() -> None:
    if len(sys.argv) > 1:
        of_campaign(Path(sys.argv[1]))
        return
    rng = np.random.default_rng(1)
    print("bytes a row, 100,000 rows of 20 samples")
    print(f"{'spread':>7} {'stalls':>7}" + "".join(f"{name:>9}" for name in (*ENCODINGS, "stored", "ideal")))
    for spread in (0.05, 0.1, 0.2, 0.3):
        for stalls in (0.0, 0.01):
            table = timings(5000, 20, spread, stalls, rng)
            found = [bytes_per_row(table, choice) for choice in (*ENCODINGS.values(), None)]
            shown = "".join(f"{value:>9.2f}" for value in (*found, ideal_bytes(table)))
            print(f"{spread:>7.0%} {stalls:>7.0%}{shown}")
    print("\n rounds samples  append (us) flush (ms) merge (s) read (s) bytes/row")
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "trials").mkdir()
        for rounds, samples in ((5000, 20), (1000, 1000)):
            writing(Path(folder), rounds, samples, rng)


if __name__ == "__main__":
    main()
