import math

import pyarrow as pa
import pytest
from sample_tables import samples_of

from orchestrator.storage import schema, stored_form
from orchestrator.storage.stored_form import conform, conform_samples


def timings(**columns: object) -> pa.Table:
    plain = {
        "round": [0, 0],
        "sample": [0, 1],
        "outcome": ["lost", "ok"],
        "start_gap_ns": [None, 5],
        "preprocess_ns": [None, 1],
        "inference_ns": [None, 2],
        "postprocess_ns": [None, 3],
        "cuda_inference_ns": [None, None],
        "arrival_ns": [7, 9],
        "queue_ns": [None, 4],
        "ramp": [False, False],
        **{name: [None, None] for name in schema.ANSWER},
    }
    return pa.table({name: value for name, value in {**plain, **columns}.items() if value is not None})


def test_only_a_finite_number_is_stored() -> None:
    assert [stored_form.finite(value) for value in (1.5, None, math.inf, math.nan)] == [1.5, None, None, None]


def test_types_and_order_are_those_of_the_schema() -> None:
    shuffled = timings(note=["x", "y"]).select(["note", *reversed(schema.TIMINGS.names)])
    table = conform(shuffled, schema.TIMINGS)
    assert table.schema.equals(schema.TIMINGS)
    assert table.to_pylist() == timings().to_pylist()


def test_outcomes_have_one_dictionary_whatever_they_came_with() -> None:
    chunks = [pa.array(["lost", "error"]).dictionary_encode(), pa.array(["timeout", "ok"]).dictionary_encode()]
    four = pa.concat_tables([timings(), timings()]).drop_columns("outcome").append_column("outcome", pa.chunked_array(chunks))
    outcome = conform(four, schema.TIMINGS).column("outcome")
    assert outcome.to_pylist() == ["lost", "error", "timeout", "ok"]
    codes = [code for chunk in outcome.chunks for code in chunk.indices.to_pylist()]
    assert [schema.OUTCOMES[code] for code in codes] == ["lost", "error", "timeout", "ok"]


@pytest.mark.parametrize(
    ("columns", "complaint"),
    [
        ({"outcome": ["ok", "late"]}, "outcome 'late' is none of ok, error, timeout, lost"),
        ({"outcome": ["ok", None]}, "'outcome' holds nulls"),
        ({"sample": [0, None]}, "'sample' holds nulls"),
        ({"sample": [0, 2**40]}, "not in range|overflow|out of bounds"),
        ({"inference_ns": [1.5, 2.0]}, "truncated"),
        ({"inference_ns": None}, "'inference_ns' is missing"),
        ({"round": None}, "'round' is missing"),
    ],
)
def test_what_does_not_fit_is_refused(columns: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        conform(timings(**columns), schema.TIMINGS)


def test_evidence_that_an_older_file_lacks_is_null() -> None:
    table = conform(timings(cuda_inference_ns=None), schema.TIMINGS)
    assert table.column("cuda_inference_ns").null_count == 2


@pytest.mark.parametrize(
    ("name", "fit", "beyond"),
    [
        *((name, [0, 2**31 - 1], [-1, 2**31]) for name in ("sample", "process", "visit", "lead_in", "tokens")),
        *((name, [0, 2**53 - 1], [-1, 2**53]) for name in ("start_gap_ns", "preprocess_ns", "postprocess_ns", "arrival_ns", "queue_ns")),
        ("inference_ns", [1, 2**53 - 1], [0, 2**53]),
        ("duration_ns", [0, 2**63 - 1], [-1]),
        ("token_gaps_ns", [[], [0, 5], [2**53 - 1]], [[5, -1], [5, None], [2**53]]),
    ],
)
def test_a_column_has_a_range(name: str, fit: list[object], beyond: list[object]) -> None:
    schema.refuse_out_of_range(pa.table({name: [None, *fit]}))
    for value in beyond:
        with pytest.raises(ValueError, match=f"its {name} .* must be from"):
            schema.refuse_out_of_range(pa.table({name: [value]}))


def test_samples_come_by_number_and_in_their_types() -> None:
    samples = samples_of(3, sample=[2, 0, 1], score_top1=[1, 0, 1])
    found = conform_samples(samples, "image_classification")
    assert found.schema.types == [pa.int32(), pa.string(), pa.int32(), pa.list_(pa.int32()), pa.int64(), pa.float64()]
    assert found.column("name").to_pylist() == ["number-1", "number-2", "number-0"]
    assert conform_samples(samples, "other").schema.field("reference").type == pa.int64()


@pytest.mark.parametrize("columns", [{"sample": [0, 2, 3]}, {"sample": [0, 1, 1]}, {"name": ["a", None, "b"]}, {"input_size": ["a"] * 3}])
def test_samples_that_are_none_are_refused(columns: dict[str, list[object]]) -> None:
    with pytest.raises(ValueError, match=r"counted from 0|holds nulls|parse"):
        conform_samples(samples_of(3, **columns), "other")
