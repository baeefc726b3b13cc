"""Rows at a law of tolerance, at bounds on several clocks at once, and of slices."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from built_trials import build_trial, rows_made
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from refusals import refused

from orchestrator.analysis.groups import check_names
from orchestrator.analysis.tables.tail_quality import FEW_SAMPLES, latest
from orchestrator.analysis.trial_data import TrialData
from orchestrator.configuration.analysis import AnalysisConfig, ToleranceConfig
from orchestrator.contracts import InputError
from orchestrator.stats.tail_quality import quality_curve

Noise = Callable[[int, int, float], NDArray[np.float64]]
LAW = AnalysisConfig(tolerance=ToleranceConfig(points_ms=(9, 11), weights=(1, 3)))


def averaged(trials: list[Any], analysis: AnalysisConfig = LAW) -> list[Any]:
    return rows_made("tolerance", trials, analysis)


def test_one_trial_has_a_row_per_clock_with_its_interval(noise: Noise) -> None:
    total = noise(40, 30, 10)
    rows = {row["clock"]: row for row in averaged([build_trial("a", total, right=24)])}
    assert set(rows) == {"total", "inference"}
    scores = np.repeat([1.0, 0.0], [24, 6])
    expected = np.array([0.25, 0.75]) @ quality_curve(scores, total * 1e6, [9e6, 11e6])
    row = rows["total"]
    assert row["mean"] == pytest.approx(expected.mean())
    assert row["worst"] == pytest.approx(expected.min())
    assert row["sd"] == pytest.approx(expected.std(ddof=1))
    assert row["interval_low"] < row["mean"] < row["interval_high"]
    assert (row["processes"], row["rounds"], row["method"], row["tolerance"]) == (1, 40, "exact", "2 points from 9 to 11 ms")
    assert rows["inference"]["mean"] == pytest.approx(0.8)  # half as long: nothing is late for anybody


def test_repeats_have_one_row_with_the_interval_over_processes(noise: Noise) -> None:
    trials = [build_trial("a", noise(20, 30, 10 + repeat / 5), repeat=repeat) for repeat in range(3)]
    [row] = [row for row in averaged(trials) if row["clock"] == "total"]
    assert (row["processes"], row["rounds"], row["interval_unit"], row["trial"]) == (3, 60, "processes", "net-a-r0")
    alone = [next(row for row in averaged([trial]) if row["clock"] == "total")["mean"] for trial in trials]
    assert row["mean"] == pytest.approx(np.mean(alone))


def test_a_metric_that_is_no_mean_says_how_it_was_read(noise: Noise) -> None:
    analysis = AnalysisConfig(tolerance=ToleranceConfig(median_ms=10, p95_ms=20))
    rows = averaged([build_trial("a", noise(8, 12, 10), right=9, metrics=("f1_macro",))], analysis)
    assert {row["method"] for row in rows} == {"100 tolerances"}
    assert all(row["interval_low"] <= row["mean"] <= row["interval_high"] for row in rows)


TIMES = st.one_of(st.integers(1, 2**50).map(float), st.just(float("inf")))
BOUNDS = st.integers(1, 2**50)


@given(st.lists(st.tuples(TIMES, TIMES), min_size=1, max_size=20), BOUNDS, BOUNDS)
def test_an_answer_is_on_time_exactly_where_every_clock_is(pairs: list[tuple[float, float]], one: int, other: int) -> None:
    first, second = (np.array([[pair[place] for pair in pairs]]) for place in (0, 1))
    found = latest([first, second], [one, other])
    assert ((found <= one) == ((first <= one) & (second <= other))).all()
    assert (found > 0).all()
    assert (np.isinf(found) == (np.isinf(first) | np.isinf(second))).all()


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


def test_a_group_has_the_figures_of_a_trial_of_its_samples_alone(noise: Any) -> None:
    """Rounds lose so seldom that no interval is drawn: the same numbers come out twice, and not only nearly."""
    total = np.minimum(noise(40, 60, 9), 9.9)
    total[[3, 9, 20], 1] = 11  # a sample of the odd ones
    data = build_trial("a", total, right=50, slices={"parity": ["even", "odd"] * 30})
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


def test_pictures_of_any_task_have_a_size(noise: Any) -> None:
    data = build_trial("a", noise(10, 8, 10))
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


def with_boxes(total: Any, metrics: tuple[str, ...]) -> TrialData:
    """Small boxes of class 1 in every other picture, large ones of class 2 in the rest; two large ones are missed."""
    pairs = [boxes(20, 1, True) if number % 2 else boxes(200, 2, number > 3) for number in range(total.shape[1])]
    data = build_trial("a", total, metrics=metrics)
    return replace(data, references=[right for right, _ in pairs], predictions=[found for _, found in pairs])


def test_boxes_by_area_are_what_coco_calls_small_and_large(noise: Any) -> None:
    data = with_boxes(noise(20, 24, 10), ("map", "map_small", "map_large"))
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


def test_a_slice_that_nobody_has_and_one_of_too_many_groups_are_refused() -> None:
    data = build_trial("a", np.full((3, 1001), 5.0), slices={"id": [str(number) for number in range(1001)]})
    with pytest.raises(InputError):
        rows_of(data, "area")
    with refused("too_large", "analysis.slices", "id"):
        rows_of(data, "id")
