"""What a report over a large campaign takes: seconds, memory and the size of ``report.html``.

The campaign is made up, by a seed, and stored as any other: lognormal times that differ by sample and by round, a few stalls, one drifting
trial, one sample without an answer.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks.common import Benchmark, Figure, apart, at_most, cost_of
from orchestrator.configuration.config import Trial, parse_trial
from orchestrator.storage import schema, stored_form
from orchestrator.storage.files import write_parquet
from orchestrator.storage.layout import TrialFolder, part_name, trial_folder
from orchestrator.storage.merge import FORMS
from orchestrator.storage.records import CampaignRecord, PlannedTrial, Process, Stopping, TrialRecord
from orchestrator.storage.stored_form import conform
from orchestrator.storage.writer import CampaignWriter

START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
TRIALS = 100
CLASSES = 10
MODELS, SYSTEMS, RUNTIMES = 5, 5, ("torch", "onnxruntime", "torch_compile", "torchscript")


def trials(count: int, rounds: int) -> Iterator[Trial]:
    for number in range(count):
        runtime = RUNTIMES[number % len(RUNTIMES)]
        system = number // len(RUNTIMES) % SYSTEMS
        model = number // (len(RUNTIMES) * SYSTEMS) % MODELS
        yield parse_trial(
            {
                "model": {"name": f"model_{model}", "kind": "image_classification", "target": "nothing:Model", "runtimes": list(RUNTIMES)},
                "task": {"name": "pictures", "kind": "image_classification", "target": "nothing:Task"},
                "system": {"name": f"system_{system}"},
                "runtime": {"name": runtime},
                "measurement": {"rule": "rounds", "min_rounds": rounds, "max_rounds": rounds},
                "repeat": number // (len(RUNTIMES) * SYSTEMS * MODELS),
            }
        )


def planned(trial: Trial) -> PlannedTrial:
    key = f"{trial.model.name}-{trial.system.name}-{trial.runtime.name}"
    return PlannedTrial(trial_id=f"{key}-r{trial.repeat}", match_key=key, trial=trial)


def times(number: int, rounds: int, samples: int, random: np.random.Generator) -> dict[str, np.ndarray]:
    """Stages in ns, [R, S]."""
    median = 4e6 * 1.02**number
    by_sample = random.lognormal(0, 0.15, samples)
    by_round = random.lognormal(0, 0.02, rounds) * (1 + (0.1 * np.arange(rounds) / rounds if number == 3 else 0))
    inference = (
        median
        * by_sample
        * by_round[:, None]
        * random.lognormal(
            0,
            0.05,
            (rounds, samples),
        )
    )
    stalled = random.random((rounds, samples)) < 0.002
    inference[stalled] *= random.lognormal(1, 0.5, int(stalled.sum()))
    return {
        "preprocess_ns": 1e6 * by_sample * random.lognormal(0, 0.03, (rounds, samples)),
        "inference_ns": inference,
        "postprocess_ns": np.full((rounds, samples), 3e4) * random.lognormal(0, 0.1, (rounds, samples)),
        "start_gap_ns": random.lognormal(np.log(350), 0.2, (rounds, samples)),
    }


def write(directory: Path, count: int, rounds: int, samples: int) -> None:
    plan = tuple(planned(trial) for trial in trials(count, rounds))
    record = CampaignRecord(created_at=START, code_version="benchmark", name="benchmark", trials=plan)
    with CampaignWriter.create(directory, record) as writer:
        for number, member in enumerate(plan):
            random = np.random.default_rng([7, number])
            write_trial(writer, member, number, times(number, rounds, samples, random), random)


def write_trial(
    writer: CampaignWriter, member: PlannedTrial, number: int, stages: dict[str, np.ndarray], random: np.random.Generator
) -> None:
    samples = stages["inference_ns"].shape[1]
    store_rounds(trial_folder(writer.directory, member.trial_id), stages, START + timedelta(minutes=number), random)
    trial = writer.trial(member.trial_id)
    answers = np.random.default_rng(11).integers(CLASSES, size=samples)
    wrong = random.random(samples) < 0.2
    trial.write_samples(
        pa.table(
            {
                "sample": pa.array(np.arange(samples), pa.int32()),
                "name": [f"sample-{index}" for index in range(samples)],
                "reference": pa.array(answers, pa.int32()),
                "prediction": pa.array(
                    [[int(answer)] for answer in np.where(wrong, (answers + 1) % CLASSES, answers)], pa.list_(pa.int32())
                ),
                "input_size": pa.array(np.random.default_rng(12).integers(100, 900, samples), pa.int64()),
                "score_top1": np.where(wrong, 0.0, 1.0),
            }
        )
    )
    started = START + timedelta(minutes=number)
    process = Process(process=0, pid=1, host="host", started_at=started)
    checks = tuple(
        {"rounds": 5 * (check + 1), "rjsd_bound": 0.05, "rjsd_total": 0.3 / (check + 1), "rjsd_inference": 0.25 / (check + 1)}
        for check in range(20)
    )
    trial.write_record(
        TrialRecord.model_validate(
            dict(member)
            | {
                "state": "done",
                "started_at": started,
                "ended_at": started + timedelta(minutes=1),
                "metrics": ("top1",),
                "digests": {"data": "d" * 64, "model": "m" * 64},
                "placement": {"host": "host", "pinned": True, "cores": [0], "threads": 1, "device": "cpu"},
                "stack": {"python": "3.11", "torch": "2.13"},
                "processes": (process,),
                "stopping": Stopping(rule="rounds", reason="rounds", checks=checks),
            }
        )
    )
    writer.set_state(member.trial_id, "done")


def store_rounds(folder: TrialFolder, stages: dict[str, np.ndarray], started: datetime, random: np.random.Generator) -> None:
    """Write all rounds as one part, as a finished trial has them; one by one a million rounds would take hours."""
    rounds, samples = stages["inference_ns"].shape
    outcome = np.zeros(rounds * samples, np.int8)
    outcome[-1] = schema.OUTCOMES.index("error")
    missing = outcome != 0
    timings = pa.table(
        {
            "round": pa.array(np.repeat(np.arange(rounds), samples), pa.int32()),
            "sample": pa.array(np.tile(np.arange(samples), rounds), pa.int32()),
            "outcome": pa.DictionaryArray.from_arrays(pa.array(outcome), list(schema.OUTCOMES)),
            **{name: pa.array(values.ravel().astype(np.int64), mask=missing) for name, values in stages.items()},
        }
    )
    durations = sum(values.astype(np.int64).sum(axis=1) for values in stages.values())  # gaps between samples included
    begun = int(started.timestamp() * 1e6) + (np.cumsum(durations) - durations) // 1000
    evidence = pa.table(
        {
            "round": pa.array(np.arange(rounds), pa.int32()),
            "started_at": pa.array(begun, pa.timestamp("us", "UTC")),
            "started_monotonic_ns": np.cumsum(durations) - durations,
            "duration_ns": durations,
            "process": pa.array(np.zeros(rounds), pa.int32()),
            "incomplete": np.zeros(rounds, dtype=bool),
            "different_answers": pa.array(np.zeros(rounds), pa.int32()),
            "load_1m": random.random(rounds),
            "minor_faults": random.integers(100, size=rounds),
            "steal_ns": np.zeros(rounds, dtype=np.int64),
        }
    )
    for name, table, options in (("timings", timings, stored_form.PARQUET_OF_TIMINGS), ("rounds", evidence, stored_form.PARQUET)):
        folder.within(name).mkdir(parents=True)
        write_parquet(folder.within(name) / part_name(0), conform(table, FORMS[name]), **options)


def measure(asked: argparse.Namespace) -> Iterator[Figure]:
    count, rounds, samples = (10, 100, 1000) if asked.quick else (TRIALS, 1000, 1000)
    name = f"{count} trials of {rounds * samples:,} times"
    with tempfile.TemporaryDirectory() as scratch:
        directory = asked.directory or Path(scratch) / "campaign"
        if not (directory / "campaign.json").exists():
            apart(write, directory, count, rounds, samples)
        yield from cost_of("report", directory).figures(name)
        yield Figure(f"{name}: page", (directory / "report.html").stat().st_size / 1e6, "MB")


BENCHMARK = Benchmark(
    "report",
    "What the command `report` takes over a large campaign",
    measure,
    bars={
        f"{TRIALS} trials of 1,000,000 times: {what}": at_most(limit) for what, limit in (("time", 90), ("peak memory", 3072), ("page", 15))
    },
    options={"--directory": {"type": Path, "help": "where the campaign is made up, and stays"}},
)

if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
