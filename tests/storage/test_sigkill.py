from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from orchestrator.storage.reader import open_campaign
from orchestrator.storage.records import CampaignRecord
from orchestrator.storage.writer import CampaignWriter

pytestmark = pytest.mark.slow
DRIVER = """
import sys
import pyarrow as pa
from pathlib import Path
from orchestrator.storage.writer import CampaignWriter

directory, merges = Path(sys.argv[1]), sys.argv[2] == "merges"
template = [pa.ipc.open_file(path).get_batch(0) for path in (directory / "timings.arrow", directory / "round.arrow")]

def numbered(batch, number):
    batch = batch.set_column(0, batch.schema.field(0), pa.array([number] * batch.num_rows, pa.int32()))
    began = batch.schema.get_field_index("started_monotonic_ns")
    return batch if began < 0 else batch.set_column(began, batch.schema.field(began), pa.array([number * 10**9]))

with CampaignWriter.reopen(directory) as campaign:
    trial = campaign.trial(campaign.record.trials[0].trial_id)
    for number in range(10_000):
        trial.append(*(numbered(batch, number) for batch in template))
        if number % 2:
            trial.flush()
            print(number, flush=True)
            if merges:
                trial.finish()
"""


def write_arrow(path: Path, batch: pa.RecordBatch) -> None:
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, batch.schema) as writer:
        writer.write_batch(batch)


@pytest.mark.parametrize(("kind", "lines"), [("appends", 1), ("merges", 20)])
def test_a_killed_driver_loses_no_flushed_round_and_leaves_no_partial_one(
    directory: Path,
    new_record: Callable[..., CampaignRecord],
    new_round: Callable[..., tuple[pa.RecordBatch, pa.RecordBatch]],
    kind: str,
    lines: int,
) -> None:
    record = new_record()
    trial_id = record.trials[0].trial_id
    CampaignWriter.create(directory, record).close()
    timings, row = new_round(0, samples=5)
    write_arrow(directory / "timings.arrow", timings)
    write_arrow(directory / "round.arrow", row)

    flushed = -1
    with subprocess.Popen([sys.executable, "-c", DRIVER, str(directory), kind], stdout=subprocess.PIPE, text=True) as driver:
        assert driver.stdout is not None
        for _ in range(lines):
            flushed = int(driver.stdout.readline())
        driver.kill()
        flushed = max([flushed, *(int(line) for line in driver.stdout if line.endswith("\n"))])
    assert flushed >= 2 * lines - 1

    def stored() -> list[int]:
        reader = open_campaign(directory)
        numbers: list[int] = reader.rounds(trial_id).column("round").to_pylist()
        table = reader.timings(trial_id)
        assert table.column("round").to_pylist() == [number for number in numbers for _ in range(5)]
        assert table.column("inference_ns").to_pylist() == timings.column("inference_ns").to_pylist() * len(numbers)
        return numbers

    survived = stored()
    assert survived == list(range(len(survived)))
    assert len(survived) > flushed
    with CampaignWriter.reopen(directory) as later:
        assert stored() == survived
        trial = later.trial(trial_id)
        survived = stored()  # with those that waited
        assert survived == list(range(trial.rounds))
        following = timings.set_column(0, timings.schema.field(0), pa.array([len(survived)] * 5, pa.int32()))
        trial.append(following, new_round(len(survived))[1])
        trial.finish()
    assert stored() == [*survived, len(survived)]
