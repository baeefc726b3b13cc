"""A stored campaign whose times are drawn from a model with known effects, written through the project's own storage."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from sample_tables import samples_of

from orchestrator.configuration.analysis import AnalysisConfig
from orchestrator.configuration.config import CampaignConfig, Trial, parse_trial
from orchestrator.storage import schema
from orchestrator.storage.records import CampaignRecord, PlannedTrial, Process, TrialRecord
from orchestrator.storage.writer import CampaignWriter

STARTED = datetime(2026, 2, 3, 4, 5, tzinfo=UTC)
BASE_NS = 1e7
PER_VISIT = 2
STAGES = {"preprocess_ns": 0.1, "inference_ns": 0.85, "postprocess_ns": 0.05}


@dataclass(frozen=True)
class Effects:
    """What log time is made of. Fixed effects by level; standard deviations of random ones.

    bursts
        by system the share of inferences that take longer, and how many times as long.
    drift
        by system what is added to log time from the first round to the last, with the CPU time of other programs rising alike.
    right
        by model the share of samples that are answered rightly.
    slope
        of log time on the logarithm of input size.
    """

    model: Mapping[str, float] = field(default_factory=lambda: {"small": 0.0, "large": 0.5})
    runtime: Mapping[str, float] = field(default_factory=lambda: {"torch": 0.0, "onnxruntime": -0.2})
    system: Mapping[str, float] = field(default_factory=lambda: {"two_cores": 0.0, "half_core": 0.6})
    sample_sd: float = 0.15
    process_sd: float = 0.02
    round_sd: float = 0.03
    rest_sd: float = 0.08
    bursts: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    drift: Mapping[str, float] = field(default_factory=dict)
    right: Mapping[str, float] = field(default_factory=lambda: {"small": 0.8, "large": 0.9})
    slope: float = 0.0


def synthetic_campaign(
    directory: Path, effects: Effects, *, repeats: int = 3, rounds: int = 100, samples: int = 20, seed: int = 0, task: str = "numbers"
) -> Path:
    """Write a campaign of every model, runtime and system; return its directory."""
    random = np.random.default_rng(seed)
    of_sample = random.normal(0, effects.sample_sd, samples)
    sizes = 2 ** (np.arange(samples) % 4)
    planned, times = [], {}
    for model in effects.model:
        for system in effects.system:
            for runtime in effects.runtime:
                key = f"{model}-{task}-{system}-{runtime}"
                for repeat in range(repeats):
                    trial = _trial(model, task, system, runtime, rounds, repeat, repeats)
                    one = PlannedTrial(trial_id=f"{key}-r{repeat}", match_key=key, trial=trial)
                    planned.append(one)
                    log_times = _log_times(random, effects, (model, runtime, system), of_sample + effects.slope * np.log(sizes), rounds)
                    times[one.trial_id] = BASE_NS * np.exp(log_times)
    record = CampaignRecord(
        code_version="test", name="synthetic", command=("+sweep=synthetic",), created_at=STARTED, trials=tuple(planned),
        config=CampaignConfig(analysis=AnalysisConfig(seed=1)),
    )  # fmt: skip
    with CampaignWriter.create(directory, record) as writer:
        for place, one in enumerate(planned):
            _store(writer, one, times[one.trial_id], effects, sizes, place)
    return directory


def _trial(model: str, task: str, system: str, runtime: str, rounds: int, repeat: int, repeats: int) -> Trial:
    kind = {"kind": "image_classification"}
    document: dict[str, Any] = {
        "model": {"name": model, "target": "x:X", "runtimes": ["torch", "onnxruntime"], **kind},
        "task": {"name": task, "target": "x:Y", **kind},
        "system": {"name": system, "cores": 1},
        "runtime": {"name": runtime},
        "measurement": {"rule": "rounds", "min_rounds": rounds, "max_rounds": rounds, "visit_rounds": PER_VISIT, "repeat": repeats},
    }
    return parse_trial(document).model_copy(update={"repeat": repeat})


def _log_times(
    random: np.random.Generator, effects: Effects, who: tuple[str, str, str], of_sample: NDArray[np.float64], rounds: int
) -> NDArray[np.float64]:
    model, runtime, system = who
    shape = (rounds, of_sample.size)
    fixed = effects.model[model] + effects.runtime[runtime] + effects.system[system] + random.normal(0, effects.process_sd)
    table = fixed + of_sample + random.normal(0, effects.round_sd, (rounds, 1)) + random.normal(0, effects.rest_sd, shape)
    share, factor = effects.bursts.get(system, (0.0, 1.0))
    drift = effects.drift.get(system, 0.0) * np.linspace(0, 1, rounds)[:, None]
    return np.asarray(table + drift + np.log(factor) * (random.random(shape) < share))


def _store(
    writer: CampaignWriter, one: PlannedTrial, times: NDArray[np.float64], effects: Effects, sizes: NDArray[np.int64], place: int
) -> None:
    rounds, samples = times.shape
    trial = writer.trial(one.trial_id)
    record = TrialRecord.from_plan(one).model_copy(
        update={
            "state": "done",
            "metrics": ("top1",),
            "digests": {"data": "d"},
            "placement": {"host": f"lab-{one.trial.system.name}", "boot_id": "one-boot", "pinned": True, "cores": [0]},
            "environment": {"host": f"lab-{one.trial.system.name}", "boot_id": "one-boot", "processor": "synthetic"},
            "cold_start": {"load_ns": 10**9, "first_inference_ns": 10**8, "warmup_rounds_ns": [10**9, 10**9]},
            "processes": (Process(process=0, pid=place + 1, host=f"lab-{one.trial.system.name}", started_at=STARTED, boot_id="one-boot"),),
            "started_at": STARTED,
            "ended_at": STARTED,
        }
    )
    right = round(samples * effects.right[one.trial.model.name])
    predictions = [[number] if number < right else [number + 1] for number in range(samples)]
    trial.write_samples(samples_of(samples, prediction=predictions, reference=list(range(samples)), input_size=sizes.astype(np.int64)))
    for number, row in enumerate(times):
        trial.append(*_round(number, row, place, effects.drift.get(one.trial.system.name, 0.0) * number / rounds))
    trial.finish()
    trial.write_record(record)
    writer.set_state(one.trial_id, "done")


def _round(number: int, times: NDArray[np.float64], place: int, foreign: float) -> tuple[pa.RecordBatch, pa.RecordBatch]:
    samples = times.size
    columns: dict[str, Any] = {
        **{field.name: pa.nulls(samples, field.type) for field in schema.TIMINGS},
        "round": pa.array([number] * samples, pa.int32()),
        "sample": pa.array(range(samples), pa.int32()),
        "outcome": pa.array(["ok"] * samples).dictionary_encode().cast(pa.dictionary(pa.int8(), pa.string())),
        "start_gap_ns": pa.array([100] * samples, pa.int64()),
        **{name: pa.array((share * times).astype(np.int64)) for name, share in STAGES.items()},
    }
    empty = {name: pa.nulls(1, kind.type) for name, kind in zip(schema.ROUNDS.names, schema.ROUNDS, strict=True)}
    duration = int(times.sum() * 1.01) + 10**6
    visit = number // PER_VISIT
    began_s = 3600 * visit + 60 * (number % PER_VISIT) + place
    told = {
        "round": pa.array([number], pa.int32()),
        "started_at": pa.array([STARTED + timedelta(seconds=began_s)], pa.timestamp("us", tz="UTC")),
        "started_monotonic_ns": pa.array([10**9 * (1 + began_s)]),
        "duration_ns": pa.array([duration]),
        "process": pa.array([0], pa.int32()),
        "visit": pa.array([visit], pa.int32()),
        "incomplete": pa.array([False]),
        "different_answers": pa.array([0], pa.int32()),
        "foreign_cpu_ns": pa.array([int(duration * (0.01 + foreign + 0.001 * (number % 7)))]),
        "program_cpu_ns": pa.array([0]),
    }
    return pa.RecordBatch.from_pydict(columns, schema=schema.TIMINGS), pa.RecordBatch.from_pydict({**empty, **told}, schema=schema.ROUNDS)
