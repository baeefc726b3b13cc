"""What choosing by the usual figures costs, and when these data do not show that it costs nothing."""

import math
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from built_trials import build_trial
from numpy.typing import NDArray
from scipy import stats

from orchestrator.analysis.groups import grouped
from orchestrator.configuration.analysis import AnalysisConfig
from orchestrator.storage.records import CampaignRecord
from orchestrator.study.claims import read_criteria
from orchestrator.study.material import Material
from orchestrator.study.quality import choice_claims, choices
from orchestrator.study.tables import Claim


def material_of(times_ms: Mapping[str, list[NDArray[np.float64]]], turns: bool = True) -> Material:
    """Return systems by name, each with the times of its repeats; they take ``turns`` in visits of two rounds, or come one by one."""
    trials = []
    for place, (name, of) in enumerate(times_ms.items()):
        for repeat, times in enumerate(of):
            visits = (np.arange(len(times)) // 2).astype(np.int32)
            began_s = (visits * 100 if turns else place * 10**6 + visits) + place
            started = datetime(2026, 2, 3, tzinfo=UTC) + timedelta(hours=repeat if turns else 10 * place + repeat)
            data = build_trial(name, times, repeat=repeat, visits=visits, placement={"boot_id": "b"}, started_at=started)
            trials.append(replace(data, evidence={"started_monotonic_ns": 1e9 * (3600 * repeat + began_s) + np.arange(len(times))}))
    analysis, records = AnalysisConfig(), tuple(data.record for data in trials)
    return Material(CampaignRecord(code_version="1", name="c"), records, grouped(trials, analysis), analysis, read_criteria())


def by_latency(material: Material) -> list[Claim]:
    return choice_claims(material, choices(material))[:2]


def drawn(seed: int, rounds: int, samples: int) -> NDArray[np.float64]:
    return np.random.default_rng(seed).lognormal(2, 0.2, (rounds, samples))


@pytest.mark.parametrize(
    ("repeats", "rounds", "samples", "most", "verdict"),
    [(1, 15, 4, math.inf, "not shown"), (3, 15, 4, math.inf, "not shown"), (1, 2000, 40, 0.01, "fails")],
)
def test_a_tie_shows_that_the_choice_costs_nothing_after_many_visits_alone(
    repeats: int, rounds: int, samples: int, most: float, verdict: str
) -> None:
    same = [drawn(seed, rounds, samples) for seed in range(repeats)]
    material = material_of({"one": same, "other": same})
    found = choices(material)
    assert {one.cost for one in found} == {0.0}
    assert all(0 < one.high <= most for one in found)
    assert {claim.verdict for claim in by_latency(material)} == {verdict}


def test_systems_that_were_measured_one_after_the_other_show_nothing() -> None:
    times = {"one": [drawn(0, 200, 40)], "slow": [drawn(9, 200, 40) * 1.2]}
    apart, together = (choices(material_of(times, turns=turns)) for turns in (False, True))
    assert all(one.outcome == "open" for one in apart)
    assert any(one.outcome == "costs nothing" for one in together)
    assert [one.cost for one in apart] == [one.cost for one in together]


def test_limits_are_those_of_a_paired_t_over_repeats() -> None:
    """The fast system has stalls, which the mean shows and the median does not; Bonferroni over two views and all thresholds."""
    random = np.random.default_rng(4)
    steady = [random.lognormal(2.3, 0.05, (60, 40)) for _ in range(4)]
    stalls = [random.lognormal(2.0, 0.05, (60, 40)) * np.where(random.random((60, 40)) < 0.1 + 0.01 * k, 2.0, 1.0) for k in range(4)]
    found = choices(material_of({"stalls": stalls, "steady": steady}))
    common = len({one.threshold.ns for one in found})
    [one] = [one for one in found if one.view == "mean latency" and one.outcome == "costs"][:1]
    bound = one.threshold.ns / 1e6
    each = np.array([(its <= bound).mean() - (mine <= bound).mean() for mine, its in zip(stalls, steady, strict=True)])
    half = stats.t.ppf(1 - 0.05 / (2 * 2 * common), 3) * each.std(ddof=1) / 2
    assert (one.cost, one.low) == pytest.approx((each.mean(), each.mean() - half))


def test_the_upper_limit_is_that_of_the_rival_that_is_known_least() -> None:
    """Beside a rival that is plainly worse there is one that could be better: the chosen system is the best by estimate of all three."""
    times = {"one": [drawn(0, 2000, 40)], "slow": [drawn(1, 2000, 40) * 3], "few": [drawn(2, 12, 40) * 1.01]}
    alone = material_of({name: times[name] for name in ("one", "slow")})
    beside = material_of(times)
    assert any(one.high >= 0.01 for one in choices(beside) if one.cost == 0)
    assert all(one.low == 0 for one in choices(alone) if one.cost == 0)
    assert "fails" not in {claim.verdict for claim in by_latency(beside)}
