import numpy as np
import pyarrow as pa
import pytest

from orchestrator.contracts import Sample
from orchestrator.measurement import round_tables
from orchestrator.measurement.failures import TrialFailed
from orchestrator.measurement.round_tables import Timed
from orchestrator.storage import schema

STAMPS = np.array([[100, 110, 130, 160], [170, 190, 220, 260]], dtype=np.int64)


def test_all_samples_of_a_batch_carry_its_times() -> None:
    batch = round_tables.timings_batch([Timed(3, STAMPS, [[2, 0], [1]], cuda_ns=[7, 9])])

    assert batch.schema.equals(schema.TIMINGS)
    assert batch.column("round").to_pylist() == [3, 3, 3]
    assert batch.column("sample").to_pylist() == [0, 1, 2]
    assert batch.column("preprocess_ns").to_pylist() == [10, 20, 10]
    assert batch.column("inference_ns").to_pylist() == [20, 30, 20]
    assert batch.column("postprocess_ns").to_pylist() == [30, 40, 30]
    assert batch.column("start_gap_ns").to_pylist() == [None, 10, None]
    assert batch.column("outcome").to_pylist() == ["ok"] * 3
    assert batch.column("cuda_inference_ns").to_pylist() == [7, 9, 7]


def test_a_sample_that_raised_has_no_durations() -> None:
    stamps = STAMPS.copy()
    stamps[0, :3] = 0

    batch = round_tables.timings_batch([Timed(0, stamps, [[0], [1]], {0: "ValueError"})])
    assert batch.column("cuda_inference_ns").null_count == 2
    assert batch.column("outcome").to_pylist() == ["error", "ok"]
    assert batch.column("inference_ns").to_pylist() == [None, 30]
    assert batch.column("start_gap_ns").to_pylist() == [None, 10]


def test_answers_are_spread_over_samples() -> None:
    spread = round_tables.spread([[2, 0], [1]], [np.array(["c", "a"]), None], {1: "boom"})
    assert spread == (["a", None, "c"], {1: "boom"})
    with pytest.raises(TrialFailed, match="1 answers for 2 samples"):
        round_tables.spread([[0, 1]], [["a"]], {})


def test_only_other_answers_are_kept() -> None:
    changed = round_tables.changed_answers("image_classification", [[1], [2], [3]], [[1], [5], None], {2: "boom"})
    assert changed is not None
    assert changed.to_pydict() == {"sample": [1], "prediction": [[5]]}
    assert round_tables.changed_answers("image_classification", [[1]], [[1]], {}) is None


def test_samples_carry_reference_answer_and_slices() -> None:
    samples = [
        Sample("a.jpg", 3, "3", {"class": "cat"}, payload=b"x"),
        Sample("b.jpg", 4, "4", {"size": "small"}, payload=b"y"),
    ]
    table = round_tables.samples_table("image_classification", samples, [[3, 1], None], [10, 20])
    assert table.column("prediction").type == pa.list_(pa.int32())
    assert table.to_pydict() == {
        "sample": [0, 1],
        "name": ["a.jpg", "b.jpg"],
        "reference": [3, 4],
        "prediction": [[3, 1], None],
        "input_size": [10, 20],
        "slice_class": ["cat", None],
        "slice_size": [None, "small"],
    }
