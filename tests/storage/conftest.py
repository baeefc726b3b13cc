from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from null_trials import named
from virtual_clock import VirtualClock

from orchestrator.storage import schema
from orchestrator.storage.records import CampaignRecord
from orchestrator.storage.writer import CampaignWriter

Round = tuple[pa.RecordBatch, pa.RecordBatch]
TRIAL_ID = "net-digits-cpu_1core-torch-0a1b2c3d-r0"
BLOCKS: dict[str, dict[str, Any]] = {
    "model": {"name": "net", "kind": "image", "target": "tasks.models.net:Net", "width": 3},
    "task": {"name": "digits", "kind": "image", "root": "data"},
    "system": {"name": "cpu_1core", "cores": 1},
    "measurement": {"batch": 2, "repeat": 3},
}


def make_record(trials: int = 1) -> CampaignRecord:
    key = TRIAL_ID.removesuffix("-r0")
    planned = tuple(named(f"{key}-r{repeat}", **BLOCKS) for repeat in range(trials))
    return CampaignRecord(code_version="1.2.3", name="vision", command=("+sweep=vision",), trials=planned)


def times_of(number: int, samples: int) -> dict[str, list[int]]:
    """Durations that tell from which round and sample they come."""
    base = [1_000_000 + 1000 * number + sample for sample in range(samples)]
    return {
        "start_gap_ns": [300 + sample for sample in range(samples)],
        "preprocess_ns": [2 * value for value in base],
        "inference_ns": [3 * value for value in base],
        "postprocess_ns": base,
    }


def make_round(
    number: int,
    samples: int = 3,
    outcomes: Sequence[str] | None = None,
    process: int = 0,
    incomplete: bool = False,
    times: Mapping[str, Any] | None = None,
) -> Round:
    outcomes = outcomes or ["ok"] * samples
    failed = np.array([outcome != "ok" for outcome in outcomes])
    durations = {**times_of(number, samples), **(times or {})}
    columns: dict[str, Any] = {
        "round": pa.array([number] * samples, pa.int32()),
        "sample": pa.array(range(samples), pa.int32()),
        "outcome": pa.array(outcomes).dictionary_encode().cast(pa.dictionary(pa.int8(), pa.string())),
        "cuda_inference_ns": pa.nulls(samples, pa.int64()),
        **{name: pa.nulls(samples, schema.TIMINGS.field(name).type) for name in ("arrival_ns", "queue_ns", "ramp", *schema.ANSWER)},
        **{name: pa.array(np.array(values, np.int64), mask=failed) for name, values in durations.items()},
    }
    timings = pa.RecordBatch.from_pydict(columns, schema=schema.TIMINGS)
    # The tables may hold times that are refused: no more than fits is what the round took.
    parts_ns = min(2**62, sum(int(value) for values in durations.values() for value in np.array(values, object)[~failed]))
    evidence = {name: pa.nulls(1, field.type) for name, field in zip(schema.ROUNDS.names, schema.ROUNDS, strict=True)}
    told = {
        "round": pa.array([number], pa.int32()),
        "started_at": pa.array([datetime(2030, 1, 2, 3, 4, 5, number, tzinfo=UTC)], pa.timestamp("us", tz="UTC")),
        "started_monotonic_ns": pa.array([10**12 * number]),
        "duration_ns": pa.array([max(6_000_000 * samples, parts_ns)], pa.int64()),
        "process": pa.array([process], pa.int32()),
        "incomplete": pa.array([incomplete]),
        "prediction_digest": pa.array([f"digest-{number}"]),
        "load_1m": pa.array([0.5]),
    }
    return timings, pa.RecordBatch.from_pydict({**evidence, **told}, schema=schema.ROUNDS)


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(())


@pytest.fixture
def trial_id() -> str:
    return TRIAL_ID


@pytest.fixture(scope="session")
def new_round() -> Callable[..., Round]:
    return make_round


@pytest.fixture(scope="session")
def new_record() -> Callable[..., CampaignRecord]:
    return make_record


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "results" / "vision" / "20300102T030405Z"


@pytest.fixture
def campaign(directory: Path, clock: VirtualClock) -> Iterator[CampaignWriter]:
    with CampaignWriter.create(directory, make_record(trials=2), clock=clock) as writer:
        yield writer
