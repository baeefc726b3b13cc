"""Stamps that no clock can have given are one error with the folder, the round, the value and the rule."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from sample_tables import samples_of

from orchestrator.contracts import InputError
from orchestrator.storage.files import write_parquet
from orchestrator.storage.impossible import refuse_negative_gaps, refuse_overlapping_rounds
from orchestrator.storage.layout import TrialFolder
from orchestrator.storage.reader import open_campaign
from orchestrator.storage.writer import CampaignWriter

NewRound = Callable[..., tuple[pa.RecordBatch, pa.RecordBatch]]
FOLDER = TrialFolder(Path("trials/one"))
SECOND = 10**9


def rounds_of(starts_s: list[float], durations_s: list[float], processes: list[int] | None = None) -> pa.Table:
    count = len(starts_s)
    return pa.table(
        {
            "round": pa.array(range(count), pa.int32()),
            "started_monotonic_ns": [int(start * SECOND) for start in starts_s],
            "duration_ns": [int(duration * SECOND) for duration in durations_s],
            "process": pa.array(processes or [0] * count, pa.int32()),
        }
    )


@pytest.mark.parametrize(
    ("starts_s", "durations_s", "complaint"),
    [
        ([3, 2, 1], [0.5] * 3, "round 1 has started_monotonic_ns 2000000000, and round 0 of the same process"),
        ([1, 1, 1], [0.5] * 3, "round 1 has started_monotonic_ns 1000000000, and round 0 of the same process, which began at 1000000000"),
        ([1, 2, 3], [0.5, 5000, 0.5], "round 2 has started_monotonic_ns 3000000000, .* which began at 2000000000, took 5000000000000 ns"),
        ([1, 2, 3], [0.5, -0.5, 0.5], "round 1 has duration_ns -500000000, and a duration is not negative"),
    ],
)
def test_rounds_of_a_process_that_overlap_are_refused(starts_s: list[float], durations_s: list[float], complaint: str) -> None:
    with pytest.raises(InputError, match=f"^trials/one/rounds: {complaint}") as told:
        refuse_overlapping_rounds(FOLDER, rounds_of(starts_s, durations_s))
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("starts_s", "durations_s", "processes"),
    [
        ([], [], []),
        ([7], [2], [0]),
        ([1, 2, 4], [1, 2, 1], [0, 0, 0]),  # a stream's rounds follow each other without a gap
        ([1, 1, 1], [0, 0, 0], [0, 0, 0]),  # of a stream: all samples of two rounds were dropped
        ([100, 101, 5, 6], [1, 1, 1, 1], [0, 0, 1, 1]),  # the second process ran on another host
        ([1, 2, 2.5], [1, 10, 1], [0, 0, 1]),  # a round of a stream whose process died ends with its last arrival
        ([1, 5, 2, 6], [1, 1, 1, 1], [0, 1, 0, 1]),
    ],
)
def test_rounds_that_can_be_are_none(starts_s: list[float], durations_s: list[float], processes: list[int]) -> None:
    refuse_overlapping_rounds(FOLDER, rounds_of(starts_s, durations_s, processes))


def test_a_gap_below_0_is_refused(new_round: NewRound) -> None:
    timings = pa.Table.from_batches([new_round(0)[0], new_round(1, times={"start_gap_ns": [0, 300, -10_000_000]})[0]])
    with pytest.raises(InputError, match="trials/one/timings: round 1 has start_gap_ns -10000000 at sample 2, and a gap is not negative"):
        refuse_negative_gaps(FOLDER, timings)
    nothing = timings.set_column(3, "start_gap_ns", pa.nulls(timings.num_rows, pa.int64()))  # as where batches overlap on purpose
    for honest in (timings.slice(0, 5), timings.slice(0, 0), nothing):
        refuse_negative_gaps(FOLDER, honest)


@pytest.mark.parametrize(("name", "column"), [("rounds", "started_monotonic_ns"), ("timings", "start_gap_ns")])
def test_every_reader_refuses_them(campaign: CampaignWriter, trial_id: str, new_round: NewRound, name: str, column: str) -> None:
    writer = campaign.trial(trial_id)
    writer.write_samples(samples_of(3))
    for number in range(3):
        writer.append(*new_round(number))
    writer.finish()
    reader = open_campaign(campaign.directory)
    path = next((campaign.directory / "trials" / trial_id / name).glob("*.parquet"))
    honest = pq.read_table(path)
    place = honest.column_names.index(column)
    negated = pc.negate(honest.column(column))
    write_parquet(path, honest.set_column(place, honest.field(place), negated))
    for look in (reader.both, reader.timings, reader.matrix, *((reader.rounds,) if name == "rounds" else ())):
        with pytest.raises(InputError, match=rf"{name}: round \d has {column} -"):
            look(trial_id)
