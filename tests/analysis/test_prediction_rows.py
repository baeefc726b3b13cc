"""Rows of prediction: the first rounds beside the last, at thresholds that the first have set."""

import math
from functools import partial
from typing import Any

import numpy as np
import pytest
from built_trials import build_trial, rows_made
from scipy import stats

from orchestrator.analysis.table import tables
from orchestrator.analysis.tables.prediction import Halves
from orchestrator.stats.prediction import Prediction, predict_rounds
from orchestrator.stats.tail_quality import quality_curve
from orchestrator.stats.units import degrees_of, spread


def test_rows_tell_what_the_last_rounds_showed_of_the_first_rounds_prediction(noise: Any) -> None:
    times = noise(60, 50, 20)
    found = rows_made("prediction", [build_trial("a", times, right=45)], flags=())
    assert all(set(row) == set(tables()["prediction"].schema.names) for row in found)
    assert {row["method"] for row in found} == {"block-bootstrap", "poisson-binomial"}
    [row] = [row for row in found if (row["clock"], row["threshold"], row["method"]) == ("total", "p90", "block-bootstrap")]
    bound = np.sort(times[:30].ravel())[1349]
    quality = (times <= bound)[:, :45].sum(axis=1) / 50
    assert row["threshold_ns"] == pytest.approx(bound * 1e6, abs=1)
    assert (row["fit_rounds"], row["test_rounds"]) == (30, 30)
    assert row["predicted_mean"] == pytest.approx(quality[:30].mean())
    assert row["observed_mean"] == pytest.approx(quality[30:].mean())
    assert row["observed_minimum"] == pytest.approx(quality[30:].min())
    assert row["difference_mean"] == pytest.approx(abs(quality[:30].mean() - quality[30:].mean()))


def test_a_metric_that_is_no_mean_has_the_block_bootstrap_alone(noise: Any) -> None:
    found = rows_made("prediction", [build_trial("a", noise(40, 20, 20), metrics=("f1_macro",))], flags=())
    assert {row["method"] for row in found} == {"block-bootstrap"}
    assert {row["variance_ratio"] for row in found} == {None}


def test_rows_tell_whether_the_prediction_was_right(noise: Any) -> None:
    calm = noise(60, 50, 20)
    slower_at_the_end = calm * np.where(np.arange(60) < 30, 1.0, 1.5)[:, None]
    for times, right in ((calm, True), (slower_at_the_end, False)):
        found = [
            row for row in rows_made("prediction", [build_trial("a", times, right=45)], flags=()) if row["method"] == "block-bootstrap"
        ]
        assert {row["inside"] for row in found} == {right}
        assert all((row["predicted_low"] <= row["observed_mean"] <= row["predicted_high"]) == right for row in found)
        assert all(row["flags"] == ["one stretch"] for row in found)


def lognormal(rounds: int, samples: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).lognormal(16, 0.1, (rounds, samples))


def halves_of(scores, times, **more) -> Halves:
    return Halves(partial(quality_curve, scores), times, **more)


def whole_rounds(halves: Halves, ideal: float = 1.0) -> Prediction:
    return predict_rounds(halves.quality, len(halves.test), halves.units, (0.0, ideal))


def figures(scores, times, threshold) -> tuple[float, float, float]:
    quality = np.array([math.fsum(s for s, t in zip(scores, row, strict=True) if t <= threshold) / len(scores) for row in times])
    return quality.mean(), quality.var(ddof=1), quality.min()


def raw_figures(scores: np.ndarray, times: np.ndarray, percentile: float) -> tuple[float, float, float]:
    """Return what the paper's program takes of rounds: plain mean, variance and minimum, late at its own linear percentile or above."""
    qualities = ((times < np.percentile(times, percentile)) * scores).mean(axis=1)
    return float(qualities.mean()), float(qualities.var()), float(qualities.min())


@pytest.mark.parametrize(("rounds", "tests"), [(50, 25), (100, 30)])
def test_every_figure_by_hand(rounds: int, tests: int) -> None:
    scores, times = np.array([1.0, 0, 1, 1, 1]), lognormal(rounds, 5)
    fit, test = times[:-tests], times[rounds - tests :]
    found = halves_of(scores, times)
    assert found.bounds.tolist() == np.quantile(fit, found.percentiles / 100, method="inverted_cdf").tolist()
    assert found.recomputed.tolist() == np.quantile(test, found.percentiles / 100, method="inverted_cdf").tolist()
    for place, percentile in enumerate(found.percentiles):
        assert [one[place] for one in found.observed] == pytest.approx(figures(scores, test, found.bounds[place]))
        assert [one[place] for one in found.at_recomputed] == pytest.approx(figures(scores, test, found.recomputed[place]))
        raw = [raw_figures(scores, some, percentile) for some in (fit, test)]
        apart = [abs(a - b) for a, b in zip(*raw, strict=True)]
        assert [one[place] for one in found.difference_as_in_paper_program] == pytest.approx(apart)
        assert found.on_time[place].tolist() == (fit <= found.bounds[place]).mean(axis=0).tolist()
    predicted = whole_rounds(found).figures
    for one, other, both in zip(predicted, found.observed, predicted.difference(found.observed), strict=True):
        assert both.tolist() == np.abs(one - other).tolist()


def test_the_test_rounds_have_no_say_in_threshold_or_prediction() -> None:
    times = lognormal(60, 20)
    disturbed = times.copy()
    disturbed[30:] *= 3
    before, after = (halves_of(np.ones(20), t) for t in (times, disturbed))
    assert before.bounds.tolist() == after.bounds.tolist()
    assert before.quality.tolist() == after.quality.tolist()


def test_the_interval_of_the_later_mean_by_hand() -> None:
    """The variance of the mean of 50 rounds, and that of 30 more."""
    found = halves_of(np.ones(50), lognormal(80, 50))
    predicted = whole_rounds(found)
    known = spread(found.quality, np.arange(50))
    half = stats.t.ppf(0.975, known.degrees) * np.sqrt(known.variance * (1 + 50 / 30))
    assert predicted.low == pytest.approx(np.maximum(predicted.figures.mean - half, 0))
    assert predicted.high == pytest.approx(np.minimum(predicted.figures.mean + half, 1))
    assert predicted.degrees == 5


def test_with_visits_the_test_is_whole_visits_and_they_are_what_is_drawn() -> None:
    visits = np.repeat(np.arange(14), 7)
    times = lognormal(98, 40) * np.where(visits % 3 == 0, 1.2, 1.0)[:, None]
    few = halves_of(np.ones(40), times, units=visits, percentiles=[90])
    assert (len(few.fit), len(few.test), whole_rounds(few).degrees) == (70, 28, degrees_of(70))  # 10 visits are too few
    visits = np.repeat(np.arange(49), 2)
    times = lognormal(98, 40) * np.where(visits % 2 == 0, 1.2, 1.0)[:, None]
    found = halves_of(np.ones(40), times, units=visits, percentiles=[90])
    predicted = whole_rounds(found)
    assert (len(found.fit), predicted.degrees) == (68, degrees_of(34))
    worst = found.quality.reshape(34, 2).min(axis=1)
    assert predicted.figures.minimum.tolist() == [np.quantile(worst, 1 - 2 ** (-1 / 15), method="inverted_cdf")]
    means = found.quality.reshape(34, 2).mean(axis=1)
    half = stats.t.ppf(0.975, predicted.degrees) * means.std(ddof=1) * math.sqrt(1 / 34 + 1 / 15)
    assert predicted.low == pytest.approx([means.mean() - half])  # visits that alternate: the cluster variance is the larger
