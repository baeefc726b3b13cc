from __future__ import annotations

import numpy as np
import pytest
from paper_sets import columns, expected, inference_times, needs_paper_sets

from orchestrator.study.program import effects

MS = 1e-3


def effects_of(times_ms: np.ndarray, scores: np.ndarray | None = None) -> dict[str, tuple[float, float]]:
    return {name: both for name, *both in effects(times_ms * MS, times_ms * MS, scores)}


def drifting(rounds: int = 100, samples: int = 4) -> np.ndarray:
    times = np.random.default_rng(0).lognormal(np.log(30), 0.2, (rounds, samples))
    return times * (1 + np.arange(rounds)[:, None] / rounds)


@needs_paper_sets
def test_every_difference_is_as_recorded() -> None:
    predictions = columns("predictions_a.csv.gz")
    found = effects_of(inference_times("a", 20) / 1e6, (predictions[:, 1] == predictions[:, 2]).astype(float))
    runs = {run["order"]: run["by_function"] for run in expected("a")["statistics"]["runs"] if run["combine_type"] == "i"}
    recorded = runs["numeric"]
    distance = recorded["mean_jsd_train_test"]
    assert found["run order"] == pytest.approx([runs["iterdir"]["mean_jsd_train_test"], distance], abs=1e-12)
    assert np.round(found["run order"], 3).tolist() == [0.060, 0.265]
    assert found["bandwidth floor"][0] == pytest.approx(distance, abs=1e-12)
    assert found["bandwidth floor"][1] > 1.5 * distance
    assert found["divisor of train JSD"][0] == pytest.approx(recorded["mean_train_jsd"], abs=1e-12)
    assert found["divisor of train JSD"][1] == pytest.approx(6 * found["divisor of train JSD"][0])
    largest = max(one["difference"]["mean"] for one in recorded["quality"].values())
    assert found["recomputed percentile"][0] == pytest.approx(largest, abs=1e-12)
    assert np.round(found["recomputed percentile"], 3).tolist() == [0.011, 0.436]


@needs_paper_sets
def test_least_rounds_are_70_whatever_was_found_as_recorded() -> None:
    recorded = expected("a_x10")["statistics"]["runs"][0]["by_function"]
    theirs, mended = effects_of(inference_times("a", 20) / 1e5)["least rounds"]
    assert theirs == np.mean(recorded["least_rounds_after_adding_init"]) == 70
    assert mended == np.mean(recorded["least_rounds"])


def test_the_floor_hides_a_shift_below_it() -> None:
    times = np.random.default_rng(1).lognormal(0, 0.05, (100, 3))
    times[70:] *= 2
    floor, suited = effects_of(times)["bandwidth floor"]
    assert floor < 0.1
    assert suited > 0.8  # sqrt(ln 2) = 0.833 where densities share nothing


def test_the_order_of_files_hides_drift() -> None:
    as_listed, in_true_order = effects_of(drifting())["run order"]
    assert as_listed < in_true_order


def test_a_frozen_threshold_shows_what_a_percentile_of_ones_own_hides() -> None:
    times, scores = drifting(), np.array([1.0, 0.0, 0.5, 1.0])
    frozen = []
    for percentile in (99, 95, 90, 60):
        qualities = ((times < np.percentile(times[:70], percentile)) * scores).mean(axis=1)
        frozen.append(abs(qualities[:70].mean() - qualities[70:].mean()))
    own, found = effects_of(times, scores)["recomputed percentile"]
    assert found == pytest.approx(max(frozen))
    assert own < found


def test_of_few_rounds_there_is_nothing_to_show() -> None:
    assert effects_of(np.ones((19, 3))) == {}
