"""Print what the commands that read a stored trial of very many rounds cost: seconds, processor time and peak memory of each.

    python benchmarks/long_trial.py [--rounds 1000000] [--visit 0] [--directory DIR] [COMMAND ...]

The trial is made up, by a seed, and stored as any other: one sample a round, lognormal times, and all the evidence that a machine with GPUs
can have beside them. ``--visit 100`` puts so many rounds into each visit, and pauses as long as visits between them. A directory that holds
such a campaign already is used as it is. COMMAND is one of report, explain, compare (of the trial with itself), replay, export and study;
without one all but study run, which fits a density after every round and is for trials of thousands. Each is a process of its own.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from multiprocessing import Process
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks.report import write
from orchestrator.storage import schema, stored_form
from orchestrator.storage.files import write_parquet
from orchestrator.storage.layout import TrialFolder, part_name, trial_folder
from orchestrator.storage.load import read_table
from orchestrator.storage.reader import open_campaign

COMMANDS = ("report", "explain", "compare", "replay", "export", "study")
MOST_MIB = 2048
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


def words(command: str, directory: Path, scratch: Path) -> list[str]:
    """Return the command line."""
    more = {
        "compare": [str(directory)],
        "replay": ["--rate", "100", "--to", str(scratch / "replay")],
        "export": ["--to", str(scratch / "figures"), "--format", "csv"],
        "study": ["--to", str(scratch / "study")],
    }
    return [sys.executable, "-m", "orchestrator", command, str(directory), *more.get(command, [])]


def measure(command: str, directory: Path, scratch: Path) -> None:
    began = time.perf_counter()
    with subprocess.Popen(words(command, directory, scratch), stdout=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    took, processors, peak = time.perf_counter() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 2**10
    print(
        f"{command}: exit code {process.returncode}, {took:.0f} s, {processors:.0f} s of processors, peak {peak:.0f} MiB (bar {MOST_MIB})",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("commands", nargs="*", metavar="COMMAND")
    parser.add_argument("--rounds", type=int, default=10**6)
    parser.add_argument("--visit", type=int, default=0, help="rounds in each visit")
    parser.add_argument("--directory", type=Path)
    asked = parser.parse_args()
    if unknown := set(asked.commands) - set(COMMANDS):
        parser.error(f"{min(unknown)} is none of {', '.join(COMMANDS)}")
    with tempfile.TemporaryDirectory() as scratch:
        directory = asked.directory or Path(scratch) / "campaign"
        if not (directory / "campaign.json").exists():
            writer = Process(target=store, args=(directory, asked.rounds, asked.visit))  # its memory would count as that of the commands
            writer.start()
            writer.join()
            print(f"{asked.rounds:,} rounds written, {f'in visits of {asked.visit}' if asked.visit else 'without visits'}", flush=True)
        for command in asked.commands or COMMANDS[:-1]:
            measure(command, directory, Path(scratch))


if __name__ == "__main__":
    main()
