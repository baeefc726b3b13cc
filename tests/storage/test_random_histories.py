import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from effort import EFFORT
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.stats.times import Clock
from orchestrator.storage import schema
from orchestrator.storage.reader import open_campaign
from orchestrator.storage.records import CampaignRecord
from orchestrator.storage.writer import CampaignWriter

sample = st.tuples(st.sampled_from(schema.OUTCOMES), st.integers(1, 2**52))
action = st.sampled_from(["append", "append", "append", "wait", "flush", "finish", "reopen"])


def times(values: list[tuple[str, int]]) -> dict[str, list[int]]:
    return {"inference_ns": [value for _, value in values], "preprocess_ns": [value // 2 for _, value in values]}


@settings(max_examples=12 * EFFORT, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=st.lists(st.tuples(action, st.lists(sample, min_size=1)), max_size=12))
def test_what_was_appended_is_what_is_read(
    history: list[tuple[str, list[tuple[str, int]]]],
    clock: Any,
    new_round: Callable[..., tuple[pa.RecordBatch, pa.RecordBatch]],
    new_record: Callable[..., CampaignRecord],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder) / "results"
        writer = CampaignWriter.create(directory, new_record(), clock=clock)
        trial_id = writer.record.trials[0].trial_id
        expected: dict[int, list[tuple[str, int]]] = {}
        for action, values in history:
            trial = writer.trial(trial_id)
            if action == "append":
                number = len(expected)
                outcomes = [outcome for outcome, _ in values]
                trial.append(*new_round(number, len(values), outcomes, process=number, times=times(values)))  # whatever times: none overlap
                expected[number] = values
            elif action == "wait":
                clock.now += 1
            elif action == "reopen":
                writer.close()
                writer = CampaignWriter.reopen(directory, clock=clock)
            else:
                getattr(trial, action)()
        writer.close()

        reader = open_campaign(directory)
        rows = reader.timings(trial_id).to_pylist()
        assert [(row["round"], row["sample"], row["outcome"], row["inference_ns"]) for row in rows] == [
            (number, index, outcome, value if outcome == "ok" else None)
            for number, values in expected.items()
            for index, (outcome, value) in enumerate(values)
        ]
        matrix = reader.matrix(trial_id)
        assert matrix.rounds.tolist() == list(expected)
        for row_of_matrix, values in zip(matrix.times[Clock.INFERENCE], expected.values(), strict=True):
            given_times = [value if outcome == "ok" else np.inf for outcome, value in values]
            assert row_of_matrix.tolist() == given_times + [np.inf] * (len(row_of_matrix) - len(values))
