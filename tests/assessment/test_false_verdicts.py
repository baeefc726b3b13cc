"""A small version of benchmarks/requirements.py: with the truth just outside, few campaigns are called met; well inside, most are."""

from __future__ import annotations

import pytest

from benchmarks import requirements
from benchmarks.requirements import ALL, STRETCH, Question, size_of

SOME = ("tail quality, 95 %", "latency, p95", "deadline", "first inference, cold start, memory")


@pytest.fixture(autouse=True)
def _short_series(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a bound be set on fewer rounds: it is then off by a little, and the test takes a fifth of the time."""
    monkeypatch.setattr(requirements, "LONG", 4000)


@pytest.mark.parametrize(
    ("kind", "times"),
    [
        (SOME[0], "bursts"),
        (SOME[1], "all late"),
        (SOME[2], "bursts"),
        (SOME[2], "all late"),
        (SOME[1], f"{STRETCH} 34"),
        (SOME[3], "bursts"),
        ("the same in 90 % of visits", "spells, 0.8"),
    ],
)
def test_a_truth_just_outside_is_seldom_called_met(kind: str, times: str) -> None:
    """Of 60 campaigns 8 or more have a probability below 1 % where each has one of 5 %."""
    _, share = Question(kind, times).answer(60, seed=1)
    assert share <= 7 / 60


@pytest.mark.parametrize("kind", SOME)
def test_a_truth_well_inside_is_found_at_the_planned_size(kind: str) -> None:
    _, share = Question(kind, "lognormal", "inside").answer(40, seed=1)
    assert share >= 0.7


@pytest.mark.slow
@pytest.mark.parametrize("kind", ALL)
def test_every_kind_is_drawn(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requirements, "LONG", 200)
    units, share = Question(kind, "bursts").answer(2, seed=2)
    assert units > 0
    assert 0 <= share <= 1


def test_five_processes_are_sized_for_all_five() -> None:
    assert size_of("deadline, 1 of 5 processes") > size_of("deadline")
