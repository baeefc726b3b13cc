from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from built_trials import rows_made

from orchestrator.analysis.table import tables


def test_rows_tell_what_the_last_rounds_showed_of_the_first_rounds_prediction(build: Any, noise: Any) -> None:
    times = noise(60, 50, 20)
    found = rows_made("prediction", [build("a", times, right=45)], flags=())
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


def test_slow_rounds_show_in_the_variance_ratio(build: Any, noise: Any) -> None:
    calm = noise(60, 50, 20)
    stormy = calm * np.where(np.arange(60) % 3 == 0, 1.3, 1.0)[:, None]
    ratio = {}
    for name, times in (("calm", calm), ("stormy", stormy)):
        rows = rows_made("prediction", [build(name, times)], flags=())
        [ratio[name]] = {row["variance_ratio"] for row in rows if (row["clock"], row["threshold"]) == ("total", "p60")}
    assert ratio["calm"] < 3 < 10 < ratio["stormy"]


def test_too_few_rounds_predict_nothing(build: Any, noise: Any) -> None:
    assert rows_made("prediction", [build("a", noise(19, 20, 20))], flags=()) == []


def test_a_metric_that_is_no_mean_has_the_block_bootstrap_alone(build: Any, noise: Any) -> None:
    found = rows_made("prediction", [build("a", noise(40, 20, 20), metrics=("f1_macro",))], flags=())
    assert {row["method"] for row in found} == {"block-bootstrap"}
    assert {row["variance_ratio"] for row in found} == {None}


def test_rows_tell_whether_the_prediction_was_right(build: Any, noise: Any) -> None:
    calm = noise(60, 50, 20)
    slower_at_the_end = calm * np.where(np.arange(60) < 30, 1.0, 1.5)[:, None]
    for times, right in ((calm, True), (slower_at_the_end, False)):
        found = [row for row in rows_made("prediction", [build("a", times, right=45)], flags=()) if row["method"] == "block-bootstrap"]
        assert {row["inside"] for row in found} == {right}
        assert all((row["predicted_low"] <= row["observed_mean"] <= row["predicted_high"]) == right for row in found)
        assert all(row["flags"] == ["one stretch"] for row in found)


def test_a_fractional_score_has_its_contrast_without_a_draw(build: Any, noise: Any) -> None:
    """Of batches of four a round adds 0, 3 or 4 right answers of one batch; the worst of n rounds has no draw to come from."""
    times = np.repeat(noise(60, 5, 20), 4, axis=1)
    once, again = (rows_made("prediction", [build("a", times, right=18, measurement={"batch": 4})], flags=()) for _ in range(2))
    assert once == again
    found = [row for row in once if (row["clock"], row["threshold"]) == ("total", "p90")]
    assert [row["method"] for row in found] == ["block-bootstrap", "poisson-binomial"]
    assert found[0]["predicted_mean"] == pytest.approx(found[1]["predicted_mean"])
    assert found[1]["predicted_minimum"] * 20 == pytest.approx(round(found[1]["predicted_minimum"] * 20))


@pytest.mark.parametrize(("visits", "flags"), [(60, []), (30, ["few units"]), (20, ["one stretch"])])
def test_limits_say_of_how_few_units_they_are(build: Any, noise: Any, visits: int, flags: list[str]) -> None:
    """Half of the visits predict the other half."""
    data = build("a", noise(60, 50, 20), visits=np.arange(60) * visits // 60)
    found = {row["method"]: row["flags"] for row in rows_made("prediction", [data], flags=("unpinned",))}
    assert found == {"block-bootstrap": ["unpinned", *flags], "poisson-binomial": ["unpinned"]}
