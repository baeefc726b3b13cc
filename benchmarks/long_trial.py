"""What the commands take that read a stored trial of very many rounds, each in a process of its own.

The trial is made up, by a seed, and stored as any other: one sample a round, lognormal times, and all the evidence that a machine with GPUs
can have beside them.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks.common import Benchmark, Figure, apart, at_most, cost_of
from benchmarks.report import write
from orchestrator.storage import schema, stored_form
from orchestrator.storage.files import write_parquet
from orchestrator.storage.layout import TrialFolder, part_name, trial_folder
from orchestrator.storage.load import read_table
from orchestrator.storage.reader import open_campaign

ROUNDS = 10**6
COUNTED = (
    "voluntary_switches", "involuntary_switches", "minor_faults", "major_faults", "steal_ns", "foreign_cpu_ns", "run_delay_ns",
    "cpu_pressure_ns", "interrupts", "throttled_ns", "program_cpu_ns", "gpu_throttle_reasons", "resident_peak_bytes", "gpu_memory_bytes",
)  # fmt: skip
READ = ("frequency_mhz", "load_1m", "gpu_clock_mhz", "gpu_temperature_c", "gpu_power_w")


def store(directory: Path, rounds: int, visit: int) -> None:
    write(directory, 1, rounds, 1)
    [planned] = open_campaign(directory).record.trials
    with_all_evidence(trial_folder(directory, planned.trial_id), visit)


def with_all_evidence(folder: TrialFolder, visit: int) -> None:
    """Write the rounds again with a number in every column of evidence, in visits of so many rounds that lie apart."""
    path = folder.within("rounds") / part_name(0)
    table, random = read_table(path, schema.ROUNDS), np.random.default_rng(3)
    rounds = table.num_rows
    took = table.column("duration_ns").to_numpy()
    columns = {name: random.integers(1000, size=rounds) for name in COUNTED} | {name: random.lognormal(size=rounds) for name in READ}
    columns |= {"gpu_foreign_processes": random.integers(2, size=rounds), "prediction_digest": np.repeat("d" * 64, rounds)}
    columns["started_monotonic_ns"] = np.cumsum(took) - took
    if visit:
        columns["visit"] = np.arange(rounds) // visit
        columns["started_monotonic_ns"] += columns["visit"] * visit * int(took.mean())
    first = table.column("started_at").cast(pa.int64())[0].as_py()
    columns["started_at"] = first + columns["started_monotonic_ns"] // 1000  # by which rounds of processes without a boot's id are told
    for name, values in columns.items():
        at = schema.ROUNDS.names.index(name)
        table = table.set_column(at, schema.ROUNDS.field(at), pa.array(values).cast(schema.ROUNDS.field(at).type))
    write_parquet(path, table, **stored_form.PARQUET)


def measure(asked: argparse.Namespace) -> Iterator[Figure]:
    rounds = ROUNDS // 20 if asked.quick else ROUNDS
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(scratch) / "campaign"
        apart(store, directory, rounds, asked.visit)
        for verb, words in verbs(directory, Path(scratch)).items():
            yield Figure(f"{verb}, {rounds:,} rounds: peak memory", cost_of(verb, directory, *words).peak_mib, "MiB")


def verbs(directory: Path, scratch: Path) -> dict[str, list[object]]:
    """Return the verbs that read a campaign, each with its further words; `compare` holds it against itself."""
    return {
        "report": [],
        "explain": [],
        "compare": [directory],
        "replay": ["--rate", "100", "--to", scratch / "replay"],
        "export": ["--to", scratch / "figures", "--format", "csv"],
    }


BENCHMARK = Benchmark(
    "long_trial",
    "What the commands take that read a trial of very many rounds of one sample, with all evidence",
    measure,
    bars={f"{verb}, {ROUNDS:,} rounds: peak memory": at_most(2048) for verb in verbs(Path(), Path())},
    is_quick=False,
    options={"--visit": {"type": int, "default": 0, "help": "rounds in each visit; visits lie apart. By default there are none"}},
)

if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
