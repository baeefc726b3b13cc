from __future__ import annotations

import numpy as np
import pytest
from paper_sets import columns, expected, inference_times, needs_paper_sets

from orchestrator.contracts import InputError
from orchestrator.study.program.faults import Faults

MS = 10**6


def drifting(rounds: int = 100, samples: int = 4) -> np.ndarray:
    times = np.random.default_rng(0).lognormal(np.log(30 * MS), 0.2, (rounds, samples))
    return times * (1 + np.arange(rounds)[:, None] / rounds)


@needs_paper_sets
def test_the_order_of_files_hides_drift_as_recorded() -> None:
    effect = Faults(inference_times("a", 20)).run_order()
    runs = {run["order"]: run["by_function"] for run in expected("a")["statistics"]["runs"] if run["combine_type"] == "i"}
    assert effect.as_in_paper_program == pytest.approx(runs["iterdir"]["mean_jsd_train_test"], abs=1e-12)
    assert effect.mended == pytest.approx(runs["numeric"]["mean_jsd_train_test"], abs=1e-12)
    assert (round(effect.as_in_paper_program, 3), round(effect.mended, 3)) == (0.060, 0.265)


@needs_paper_sets
def test_least_rounds_are_70_whatever_was_found_as_recorded() -> None:
    theirs, mended = Faults(10 * inference_times("a", 20)).least_rounds()
    recorded = expected("a_x10")["statistics"]["runs"][0]["by_function"]
    assert theirs == recorded["least_rounds_after_adding_init"] == [70] * 20
    assert mended == recorded["least_rounds"]
    assert set(mended) == {60, 65, 70}


@needs_paper_sets
def test_recomputed_percentiles_hide_misses_as_recorded() -> None:
    predictions = columns("predictions_a.csv.gz")
    theirs, mended = Faults(inference_times("a", 20)).recomputed_percentile(predictions[:, 1] == predictions[:, 2])
    recorded = expected("a")["statistics"]["runs"][0]["by_function"]["quality"]
    for percentile, figures in theirs.items():
        assert figures == pytest.approx(recorded[f"p{percentile}"]["difference"], abs=1e-12)
    assert round(max(figures["mean"] for figures in theirs.values()), 3) == 0.011
    misses = [figures["mean"] for figures in mended.values()]
    assert (round(min(misses), 2), round(max(misses), 3)) == (0.24, 0.436)


@needs_paper_sets
def test_the_mean_train_distance_is_a_sixth_where_all_settle_at_once_as_recorded() -> None:
    effect = Faults(inference_times("a", 20)).train_divisor()
    assert effect.as_in_paper_program == pytest.approx(expected("a")["statistics"]["runs"][0]["by_function"]["mean_train_jsd"], abs=1e-12)
    assert effect.mended == pytest.approx(6 * effect.as_in_paper_program)


@needs_paper_sets
def test_the_floor_makes_densities_seem_alike() -> None:
    effect = Faults(inference_times("a", 20)).bandwidth_floor()
    assert effect.as_in_paper_program == pytest.approx(
        expected("a")["statistics"]["runs"][0]["by_function"]["mean_jsd_train_test"], abs=1e-12
    )
    assert effect.mended > 1.5 * effect.as_in_paper_program


def test_the_floor_hides_a_shift_below_it() -> None:
    times = np.random.default_rng(1).lognormal(np.log(MS), 0.05, (100, 3))
    times[70:] *= 2
    effect = Faults(times).bandwidth_floor()
    assert effect.as_in_paper_program < 0.1
    assert effect.mended > 0.8  # sqrt(ln 2) = 0.833 where densities share nothing


def test_the_true_order_given_as_the_order_read_has_no_effect() -> None:
    effect = Faults(drifting()).run_order(np.arange(100))
    assert effect.as_in_paper_program == effect.mended
    assert Faults(drifting()).run_order().mended == effect.mended
    assert Faults(drifting()).run_order().as_in_paper_program < effect.mended


def test_scores_may_differ_from_round_to_round() -> None:
    times, scores = drifting(), np.array([1.0, 0.0, 0.5, 1.0])
    once = Faults(times).recomputed_percentile(scores)
    assert once == Faults(times).recomputed_percentile(np.tile(scores, (100, 1)))
    bound = np.percentile(times[:70], 90)
    qualities = ((times < bound) * scores).mean(axis=1)
    assert once[1][90]["mean"] == pytest.approx(abs(qualities[:70].mean() - qualities[70:].mean()))


@pytest.mark.parametrize("times", [np.ones((19, 3)), np.full((30, 2), np.inf), np.zeros((30, 2))])
def test_what_the_program_could_not_read_is_refused(times: np.ndarray) -> None:
    with pytest.raises(InputError):
        Faults(times)


def test_scores_of_another_shape_are_refused() -> None:
    with pytest.raises(InputError, match=r"scores of shape \(3,\)"):
        Faults(drifting()).recomputed_percentile(np.ones(3))
