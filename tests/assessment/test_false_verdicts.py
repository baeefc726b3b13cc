"""A small version of benchmarks/requirements.py: with the truth just outside, few campaigns are called met; well inside, most are."""

from __future__ import annotations

import pytest

from benchmarks import requirements
from benchmarks.requirements import ALL, BURSTS, LOGNORMAL, MARGIN, OUTSIDE, drawn, size_of, with_bad_visits

SOME = ("tail quality, 95 %", "latency, p95", "deadline", "first inference, cold start, memory")


@pytest.fixture(autouse=True)
def _short_series(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a bound be set on fewer rounds: it is then off by a little, and the test takes a fifth of the time."""
    monkeypatch.setattr(requirements, "LONG", 4000)


@pytest.mark.parametrize("kind", SOME)
def test_a_truth_just_outside_is_seldom_called_met(kind: str) -> None:
    """Of 60 campaigns 8 or more have a probability below 1 % where each has one of 5 %."""
    _, share = drawn(kind, BURSTS, OUTSIDE, 60, seed=1)
    assert share <= 7 / 60


@pytest.mark.parametrize("kind", SOME)
def test_a_truth_well_inside_is_found_at_the_planned_size(kind: str) -> None:
    _, share = drawn(kind, LOGNORMAL, MARGIN, 40, seed=1)
    assert share >= 0.7


@pytest.mark.slow
@pytest.mark.parametrize("kind", ALL)
def test_every_kind_is_drawn(kind: str) -> None:
    units, share = drawn(kind, BURSTS, OUTSIDE, 4, seed=2)
    assert units > 0
    assert 0 <= share <= 1


@pytest.mark.slow
def test_a_mean_whose_visits_are_all_good_is_called_met_wherever_the_truth_lies() -> None:
    """0.949^30 = 0.21: a campaign without a bad visit cannot tell, and says so."""
    visits, bad, none, met = with_bad_visits("tail quality, 95 %", 1.0, 60, seed=1)
    assert (visits, round(bad, 3), round(none, 3)) == (30, 0.051, 0.208)
    assert met <= 0.21 + 0.16  # three standard deviations


def test_five_processes_are_sized_for_all_five() -> None:
    assert size_of("deadline, 1 of 5 processes") > size_of("deadline")
