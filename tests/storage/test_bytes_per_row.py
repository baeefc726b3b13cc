from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

from orchestrator.storage.reader import open_campaign
from orchestrator.storage.writer import CampaignWriter

pytestmark = pytest.mark.slow
ROWS = 100_000
LIMIT = 9.5
Times = dict[str, npt.NDArray[np.int64]]


def calm(rng: np.random.Generator) -> Times:
    """10 ms of inference, 5 ms of preprocessing and 50 us of postprocessing, each +- 10 %, and a gap of 300 ns +- 20 %."""
    medians = {"start_gap_ns": 300, "preprocess_ns": 5e6, "inference_ns": 10e6, "postprocess_ns": 5e4}
    spread = {name: 0.2 if name == "start_gap_ns" else 0.1 for name in medians}
    return {name: rng.lognormal(np.log(median), spread[name], ROWS).astype(np.int64) for name, median in medians.items()}


def with_stalls(rng: np.random.Generator) -> Times:
    """1 % of all stages three times as slow, with a long tail."""
    times = calm(rng)
    return {
        name: np.where(rng.random(ROWS) < 0.01, (values * rng.lognormal(1, 0.5, ROWS)).astype(np.int64), values)
        for name, values in times.items()
    }


def test_a_row_of_timings_stays_within_its_bytes(
    campaign: CampaignWriter, trial_id: str, new_round: Callable[..., tuple[pa.RecordBatch, pa.RecordBatch]]
) -> None:
    samples, times = 1000, with_stalls(np.random.default_rng(7))
    writer = campaign.trial(trial_id)
    for number in range(ROWS // samples):
        part = slice(number * samples, (number + 1) * samples)
        writer.append(*new_round(number, samples, times={name: values[part] for name, values in times.items()}))
        if number % (ROWS // samples // 10) == 0:
            writer.flush()
    writer.finish()

    (path,) = (campaign.directory / "trials" / trial_id / "timings").iterdir()
    assert path.stat().st_size / ROWS <= LIMIT
    table = open_campaign(campaign.directory).timings(trial_id)
    for name, values in times.items():
        assert table.column(name).to_numpy().tolist() == values.tolist()
