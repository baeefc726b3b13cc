"""Groups of samples and of boxes are judged alone, with intervals of their own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from built_trials import rows_made

from orchestrator.analysis.groups import check_names
from orchestrator.analysis.tables.tail_quality import FEW_SAMPLES, FEWEST
from orchestrator.analysis.trial_data import TrialData
from orchestrator.configuration.analysis import AnalysisConfig
from orchestrator.contracts import InputError

FIGURES = (
    "mean", "worst", "sd", "ideal", "interval_low", "interval_high", "interval_method", "rounds", "samples",
)  # fmt: skip


def rows_of(data: TrialData, *slices: str, **settings: Any) -> list[Any]:
    analysis = AnalysisConfig(slices=slices, thresholds_ms=(10, 12), **settings)
    check_names([data], analysis)
    return rows_made("slices", [data], analysis)


def whole_of(data: TrialData) -> list[Any]:
    analysis = AnalysisConfig(thresholds_ms=(10, 12))
    return rows_made("tail_quality", [data], analysis, ())


def at(rows: list[Any], **wanted: Any) -> dict[str, Any]:
    [row] = [row for row in rows if all(row[name] == value for name, value in wanted.items())]
    return row


def test_a_group_has_the_figures_of_a_trial_of_its_samples_alone(build: Any, noise: Any) -> None:
    """Rounds lose so seldom that no interval is drawn: the same numbers come out twice, and not only nearly."""
    total = np.minimum(noise(40, 60, 9), 9.9)
    total[[3, 9, 20], 1] = 11  # a sample of the odd ones
    data = build("a", total, right=50, slices={"parity": ["even", "odd"] * 30})
    rows = rows_of(data, "parity")
    assert {(row["name"], row["group"], row["unit"], row["members"], row["slice"]) for row in rows} == {
        ("parity", "even", "samples", 30, "parity=even"), ("parity", "odd", "samples", 30, "parity=odd"),
    }  # fmt: skip
    for place, group in enumerate(("even", "odd")):
        alone = replace(
            data,
            times={clock: times[:, place::2] for clock, times in data.times.items()},
            inferences={clock: times[:, place::2] for clock, times in data.inferences.items()},
            references=data.references[place::2], predictions=data.predictions[place::2], slices={},
            input_sizes=data.input_sizes[place::2], _judged={},
        )  # fmt: skip
        for clock in ("total", "inference"):
            for threshold in ("10 ms", "12 ms"):
                found = at(rows, clock=clock, threshold=threshold, group=group)
                expected = at(whole_of(alone), clock=clock, threshold=threshold)
                assert {name: found[name] for name in FIGURES} == {name: expected[name] for name in FIGURES}
    odd, even = (at(rows, clock="total", threshold="10 ms", group=group) for group in ("odd", "even"))
    assert even["mean"] == pytest.approx(even["ideal"])
    assert odd["mean"] < odd["ideal"] - 1e-3
    assert odd["interval_low"] < odd["mean"] < odd["interval_high"]


@pytest.mark.parametrize(("members", "flagged"), [(FEWEST - 1, True), (FEWEST, False)])
def test_a_small_group_is_flagged_and_a_sample_may_be_in_none(build: Any, noise: Any, members: int, flagged: bool) -> None:
    groups: list[Any] = ["rain"] * members + [None] * (50 - members)
    rows = rows_of(build("a", noise(12, 50, 10), slices={"weather": groups}), "weather")
    assert {row["group"] for row in rows} == {"rain"}
    assert {row["members"] for row in rows} == {members}
    assert all((FEW_SAMPLES in row["flags"]) == flagged for row in rows)


def test_own_percentiles_compare_no_groups(build: Any, noise: Any) -> None:
    rows = rows_of(build("a", noise(30, 40, 10), slices={"half": ["x", "y"] * 20}), "half")
    assert {row["threshold_origin"] for row in rows} == {"absolute", "reference"}
    assert {row["first_round"] for row in rows} == {0}


def test_pictures_of_any_task_have_a_size(build: Any, noise: Any) -> None:
    data = build("a", noise(10, 8, 10))
    data = replace(data, input_sizes=np.array([200 * 300] * 3 + [16 * 16] + [500 * 375] * 4))
    assert list(dict.fromkeys(row["group"] for row in rows_of(data, "size"))) == ["9-16", "129-256", "257-512"]
    own = replace(data, slices={"size": ["a", "b"] * 4})
    assert {row["group"] for row in rows_of(own, "size")} == {"a", "b"}


def boxes(size: float, label: int, found: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    box = [10.0, 10.0, size, size]
    return {"boxes": [box], "labels": [label]}, {
        "boxes": [box] if found else [],
        "labels": [label] if found else [],
        "scores": [0.9] if found else [],
    }


def with_boxes(build: Any, total: Any, metrics: tuple[str, ...]) -> TrialData:
    """Small boxes of class 1 in every other picture, large ones of class 2 in the rest; two large ones are missed."""
    pairs = [boxes(20, 1, True) if number % 2 else boxes(200, 2, number > 3) for number in range(total.shape[1])]
    data = build("a", total, metrics=metrics)
    return replace(data, references=[right for right, _ in pairs], predictions=[found for _, found in pairs])


def test_boxes_by_area_are_what_coco_calls_small_and_large(build: Any, noise: Any) -> None:
    data = with_boxes(build, noise(20, 24, 10), ("map", "map_small", "map_large"))
    rows, whole = rows_of(data, "area"), whole_of(data)
    assert {(row["metric"], row["group"], row["unit"], row["members"]) for row in rows} == {
        ("map", "small", "boxes", 12), ("map", "large", "boxes", 12),
    }  # fmt: skip
    for group in ("small", "large"):
        for clock in ("total", "inference"):
            found = at(rows, group=group, clock=clock, threshold="10 ms")
            expected = at(whole, metric=f"map_{group}", clock=clock, threshold="10 ms")
            assert {name: found[name] for name in FIGURES} == {name: expected[name] for name in FIGURES}
            assert FEW_SAMPLES in found["flags"]
    assert (
        at(rows, group="small", clock="inference", threshold="12 ms")["ideal"]
        > at(rows, group="large", clock="inference", threshold="12 ms")["ideal"]
    )


def test_boxes_by_class_average_to_the_whole(build: Any, noise: Any) -> None:
    data = with_boxes(build, noise(20, 24, 10), ("map",))
    rows = rows_of(data, "class")
    assert {row["group"] for row in rows} == {"1", "2"}
    for threshold in ("10 ms", "12 ms"):
        of_classes = [at(rows, group=group, clock="total", threshold=threshold)["mean"] for group in ("1", "2")]
        assert np.mean(of_classes) == pytest.approx(at(whole_of(data), clock="total", threshold=threshold)["mean"])


def test_samples_that_have_the_slice_go_before_boxes(build: Any, noise: Any) -> None:
    data = replace(with_boxes(build, noise(10, 24, 10), ("map",)), slices={"class": ["street"] * 24})
    assert {(row["group"], row["unit"]) for row in rows_of(data, "class")} == {("street", "samples")}


def test_a_slice_that_nobody_has_and_one_of_too_many_groups_are_refused(build: Any) -> None:
    data = build("a", np.full((3, 1001), 5.0), slices={"id": [str(number) for number in range(1001)]})
    with pytest.raises(InputError, match=r"analysis\.slices=area: no sample has this slice; there is id, size"):
        rows_of(data, "area")
    with pytest.raises(InputError, match=r"analysis\.slices=id: net-a-r0 has 1,001 groups of it, more than 1,000"):
        rows_of(data, "id")
