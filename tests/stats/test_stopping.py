import json
import math
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from refusals import refused

from benchmarks.paper_program import course
from orchestrator.stats.certificate import samples_to_certify
from orchestrator.stats.interval import mean_intervals
from orchestrator.stats.stopping import CHECK_COLUMNS, RULES, Decision, RoundObservation, make_rule
from orchestrator.stats.stopping.rule import Bounded, Cadence, RuleSettings, StoppingRule, check_row
from orchestrator.stats.stopping.rules import units_for
from orchestrator.stats.times import Clock

SAMPLES = 200
MS = 1e6


def observation(number: int, total_ns: np.ndarray, ideal: float = 0.9, visit_rounds: int = 0, **more: Any) -> RoundObservation:
    """Return a round whose quality is the ideal one times the share of samples on time, in visits of so many rounds if any."""

    def quality(threshold_ns: float) -> float:
        return ideal * float(np.mean(total_ns <= threshold_ns))

    visit = number // visit_rounds if visit_rounds else None
    return RoundObservation(number, {Clock.INFERENCE: total_ns * 0.8, Clock.TOTAL: total_ns}, quality, ideal, visit, **more)


def steady(seed: int = 0, sigma: float = 0.1) -> Callable[[int], np.ndarray]:
    rng = np.random.default_rng(seed)
    return lambda number: rng.lognormal(np.log(10 * MS), sigma, SAMPLES)


def make(name: str, *, min_rounds: int = 30, max_rounds: int = 1000, **settings: Any) -> StoppingRule:
    return make_rule(name, min_rounds=min_rounds, max_rounds=max_rounds, **settings)


def run(
    rule: StoppingRule, times: Callable[[int], np.ndarray], clock_s: float = 2.0, limit: int = 2000, **more: Any
) -> tuple[int, list[Decision]]:
    """Feed rounds on a clock of ``clock_s`` seconds a round until the rule stops."""
    decisions = []
    for number in range(limit):
        decisions.append(rule.update(observation(number, times(number), **more), now_s=1000 + (number + 1) * clock_s))
        if decisions[-1].stop:
            return number + 1, decisions
    raise AssertionError("the rule never stopped")


def rows(decisions: list[Decision]) -> Iterator[dict[str, float | int | str | None]]:
    return (dict(decision.check) for decision in decisions if decision.check is not None)


def test_settled_stops_at_the_first_check_that_has_all_it_wants() -> None:
    rounds, decisions = run(make("settled"), steady())
    assert (rounds, decisions[-1].reason) == (30, "settled")
    seen = list(rows(decisions))
    assert [row["rounds"] for row in seen] == list(range(2, 32, 2))
    assert all(tuple(row) == tuple(CHECK_COLUMNS) for row in seen)
    assert json.loads(json.dumps(seen, allow_nan=False)) == seen
    assert seen[4]["rjsd_total"] is None
    last = seen[-1]
    assert last["rjsd_bound"] == 0.05
    for clock in ("inference", "total"):
        assert 0 < float(last[f"rjsd_{clock}"] or 1) <= 0.05
        assert last[f"rjsd_{clock}_as_in_paper_code"] is None
        assert last[f"bandwidth_{clock}_method"] == "isj"
    assert float(last["half_width"] or 1) <= float(last["half_width_bound"] or 0) == pytest.approx(0.018)


def half_width(qualities: np.ndarray, visit_rounds: int = 1, answers: float = SAMPLES, bounded: bool = True) -> float:
    """Return half of the width of the interval that the report prints."""
    units = np.arange(qualities.size) // visit_rounds
    [found] = mean_intervals(qualities[None], 0.9, answers, units, bounded=bounded)
    return (found.high - found.low) / 2


def test_own_threshold_is_frozen_from_the_first_ten_rounds_and_applied_to_the_others() -> None:
    times = np.random.default_rng(2).lognormal(16, 0.1, (40, SAMPLES))
    asked: list[tuple[int, float]] = []

    def observed(number: int) -> RoundObservation:
        def quality(threshold_ns: float) -> float:
            asked.append((number, threshold_ns))
            return 0.9 * float(np.mean(times[number] <= threshold_ns))

        return RoundObservation(number, dict.fromkeys(Clock, times[number]), quality, 0.9)

    rule = make("settled")
    decisions = [rule.update(observed(number), 2.0 * number) for number in range(30)]
    expected = np.ceil(np.quantile(times[:10], 0.95, method="inverted_cdf"))
    assert asked == [(number, expected) for number in range(10, 30)]
    last = list(rows(decisions))[-1]
    assert (last["primary_threshold"], last["primary_threshold_ns"], last["primary_threshold_origin"]) == ("p95", expected, "own")
    qualities = 0.9 * (times[10:30] <= expected).mean(axis=1)
    assert last["quality_mean"] == pytest.approx(qualities.mean())
    assert last["half_width"] == pytest.approx(half_width(qualities))
    first = next(rows(decisions))
    assert (first["primary_threshold"], first["quality_mean"], first["half_width"]) == (None, None, None)


def in_spells(number: int) -> np.ndarray:
    """Return times that are half as long again in two rounds of every ten."""
    return steady(number)(number) * (1.5 if number % 10 < 2 else 1.0)


@pytest.mark.parametrize(("visit_rounds", "more"), [(0, {}), (2, {"answers": 40.0}), (2, {"bounded": False})])
def test_settled_stops_at_the_first_look_whose_interval_is_narrow(visit_rounds: int, more: dict[str, Any]) -> None:
    qualities = np.array([0.9 * float(np.mean(in_spells(number) <= 12 * MS)) for number in range(960)])
    widths = {look: half_width(qualities[:look], visit_rounds or 1, **more) for look in (30, 60, 120, 240, 480, 960)}
    bound = (widths[120] + widths[240]) / 2
    assert bound < min(widths[30], widths[60])
    rule = make("settled", primary="12 ms", half_width=bound / 0.9)
    rounds, decisions = run(rule, in_spells, visit_rounds=visit_rounds, **more)
    assert (rounds, decisions[-1].reason) == (240, "settled")
    told = {row["rounds"]: row["half_width"] for row in rows(decisions)}
    assert {look: told[look] for look in (30, 60, 120, 240)} == pytest.approx({look: widths[look] for look in (30, 60, 120, 240)})


def test_a_trial_that_has_not_settled_says_how_many_minutes_it_lacks() -> None:
    qualities = np.array([0.9 * float(np.mean(in_spells(number) <= 12 * MS)) for number in range(100)])
    needed = 2 * units_for(half_width(qualities, 2), 0.02 * 0.9, 50)
    bounds = {"primary": "12 ms", "max_rounds": 100}
    ended = run(make("settled", **bounds), in_spells, visit_rounds=2, round_s=9.0)
    assert (ended[0], ended[1][-1].reason) == (100, f"not settled: about {math.ceil((needed - 100) * 9 / 60)} more minutes")
    ended = run(make("settled", **bounds), in_spells, visit_rounds=2)
    assert ended[1][-1].reason == f"not settled: about {math.ceil(needed - 100):,} more rounds"


@pytest.mark.parametrize("bound", [{"max_rounds": 70}, {"max_seconds": 60.0}])
def test_a_bound_that_ends_a_trial_is_a_look(bound: dict[str, Any]) -> None:
    qualities = np.array([0.9 * float(np.mean(in_spells(number) <= 12 * MS)) for number in range(70)])
    narrow = (half_width(qualities[:40], 2) + half_width(qualities, 2)) / 2 / 0.9
    rounds, decisions = run(make("settled", primary="12 ms", min_rounds=40, half_width=narrow, **bound), in_spells, visit_rounds=2)
    assert (rounds, decisions[-1].reason) == (70, "settled")


def test_fewer_than_twelve_visits_settle_nothing() -> None:
    own = {"half_width": 0.9, "min_rounds": 2}
    for most, lacking in ((10, "max_rounds"), (12, "about 22 more minutes"), (30, "about 4 more minutes"), (34, "settled")):
        rounds, decisions = run(make("settled", **own, max_rounds=most), steady(), visit_rounds=2, round_s=60.0)
        assert rounds == most
        assert (decisions[-1].reason or "").removeprefix("not settled: ") == lacking


def test_quality_that_never_moves_is_a_reason_of_its_own() -> None:
    rounds, decisions = run(make("settled", primary="100 ms"), steady())
    assert (rounds, decisions[-1].reason) == (30, "settled, quality constant")
    assert list(rows(decisions))[-1]["half_width"] == pytest.approx(half_width(np.full(30, 0.9)))
    assert run(make("settled", primary="100 ms", half_width=0.0001, max_rounds=50), steady())[0] == 50


def wide(seed: int = 0) -> Callable[[int], np.ndarray]:
    """Return times of seconds, spread evenly: such as the paper's program finds settled within some tens of rounds."""
    rng = np.random.default_rng(seed)
    return lambda number: 1e9 * (10 + 10 * (np.arange(SAMPLES) + rng.random(SAMPLES)) / SAMPLES)


def papers_figures(times: Callable[[int], np.ndarray], rounds: int, **options: int) -> list[tuple[int, float, float]]:
    """Return rounds and rJSD of both clocks at every comparison of the program's loop."""
    seen = np.array([times(number) for number in range(rounds)]) / 1e9
    inference, total = (course(one, **options).comparisons for one in (seen * 0.8, seen))
    return [(one.rounds, one.rjsd, other.rjsd) for one, other in zip(inference, total, strict=True)]


def test_paper_fits_compares_and_stops_when_the_program_does() -> None:
    options = {"warm": 2, "fit_every": 1}
    rounds, decisions = run(make("paper", min_rounds=1, options={**options, "threshold": 0.045}), wide())
    seen = list(rows(decisions))
    assert decisions[-1].reason == "converged"
    assert tuple(seen[-1]) == tuple(CHECK_COLUMNS)
    assert (seen[-1]["half_width"], seen[-1]["rjsd_bound"]) == (None, 0.045)
    names = ("rounds", "rjsd_inference_as_in_paper_code", "rjsd_total_as_in_paper_code")
    compared = [tuple(row[name] for name in names) for row in seen]
    assert compared == [pytest.approx(figures) for figures in papers_figures(wide(), rounds, **options)]
    assert [one[0] for one in compared[:2]] == [8, 13]
    within = [max(float(one[1] or 1), float(one[2] or 1)) <= 0.045 for one in compared]
    assert within == [False] * (len(within) - 1) + [True]
    assert len(within) >= 2


def test_paper_has_the_defaults_of_the_programs_scripts() -> None:
    rounds, decisions = run(make("paper", min_rounds=1, max_rounds=24), steady())
    assert (rounds, decisions[-1].reason) == (24, "max_rounds")
    compared = list(rows(decisions))
    assert [row["rounds"] for row in compared] == [13, 23]
    assert {row["rjsd_bound"] for row in compared} == {0.05}
    for row in compared:
        assert float(row["rjsd_total"] or 1) < 0.05 < float(row["rjsd_total_as_in_paper_code"] or 0)


def test_rounds_runs_to_max_rounds_whatever_the_times_say_and_keeps_the_trajectory() -> None:
    rounds, decisions = run(make("rounds", max_rounds=37), steady())
    assert (rounds, decisions[-1].reason) == (37, "max_rounds")
    assert [row["rounds"] for row in rows(decisions)] == list(range(2, 38, 2))
    assert all(tuple(row) == tuple(CHECK_COLUMNS) for row in rows(decisions))


def test_certify_needs_what_loadgen_needs() -> None:
    rounds, decisions = run(make("certify", min_rounds=1), steady())
    assert (rounds, decisions[-1].reason) == (15, "certified")
    last = list(rows(decisions))[-1]
    assert tuple(last) == tuple(CHECK_COLUMNS)
    assert (last["percentile"], last["overruns"], last["samples_needed"], last["samples_effective"]) == (99, 1, 662, 3000)
    assert next(rows(decisions))["design_effect"] is None


def test_certify_counts_samples_without_a_time_as_overruns() -> None:
    rng = np.random.default_rng(0)

    def times(number: int) -> np.ndarray:
        return np.where(rng.random(SAMPLES) < 0.005, np.inf, steady(number)(number))

    rounds, decisions = run(make("certify", min_rounds=1), times)
    seen = list(rows(decisions))
    assert rounds > 5
    for row in seen:
        assert row["samples_needed"] == samples_to_certify(99, 0.99, int(row["overruns"] or 0))
        assert (float(row["samples_effective"] or 0) >= int(row["samples_needed"] or 0)) == (row is seen[-1])


@pytest.mark.parametrize("slow", [2.0, np.inf])
def test_certify_wants_more_of_samples_that_are_alike_within_a_round(slow: float) -> None:
    def slow_rounds(number: int) -> np.ndarray:
        return steady(number)(number) * (slow if number % 20 == 12 else 1.0)

    rounds, decisions = run(make("certify", min_rounds=1, max_rounds=60), slow_rounds)
    assert (rounds, decisions[-1].reason) == (60, "max_rounds")
    last = list(rows(decisions))[-1]
    assert float(last["design_effect"] or 0) > 50
    assert last["samples_effective"] == pytest.approx(60 * SAMPLES / float(last["design_effect"] or 1))


def test_max_seconds_count_after_min_rounds() -> None:
    rounds, decisions = run(make("settled", primary="8 ms", half_width=1e-6, max_seconds=9), steady(), clock_s=2)
    assert rounds == 35
    assert (decisions[-1].reason or "").startswith("not settled: about ")


def test_checks_come_every_two_rounds_twice_a_second_and_with_history_grown_by_five_percent() -> None:
    slow, fast = Cadence(), Cadence()
    due = [rounds for rounds in range(1, 301) if slow.due(rounds, 2.0 * rounds)]
    assert due[:20] == list(range(2, 42, 2))
    assert all(later >= 1.05 * earlier for earlier, later in pairwise(due))
    assert all(later <= 1.05 * earlier + 1 for earlier, later in pairwise(due[20:]))
    assert [rounds for rounds in range(1, 400) if fast.due(rounds, 0.01 * rounds)] == [2, 52, 102, 152, 202, 252, 302, 352]


def test_an_unknown_rule_is_refused() -> None:
    with refused("unknown", "measurement.rule", "setled"):
        make("setled")


class Patient:
    """A rule with an option and a number of its own."""

    name = "patient"

    def __init__(self, settings: RuleSettings, *, patience: int = 3) -> None:
        self._left = patience

    def update(self, observation: RoundObservation, now_s: float) -> Decision:
        self._left -= 1
        return Decision(self._left <= 0, "patience", check_row({"rounds": observation.rounds, "left": self._left}))


def test_no_rule_stops_before_min_rounds() -> None:
    settings = RuleSettings(min_rounds=3, max_rounds=9)
    rounds, decisions = run(Bounded(Patient(settings, patience=1), settings), steady())
    assert (rounds, decisions[-1].reason) == (3, "patience")
    assert decisions[0] == Decision(False, None, check_row({"rounds": 1, "left": 0}))


def test_a_rule_has_options_and_numbers_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RULES, "patient", Patient)
    rule = make_rule("patient", min_rounds=1, max_rounds=9, options={"patience": 2})
    decisions = [rule.update(observation(number, steady()(number)), float(number)) for number in range(2)]
    assert [(decision.stop, (decision.check or {})["left"]) for decision in decisions] == [(False, 1), (True, 0)]
    for name, option, value, code in (
        ("patient", "patients", 2, "unknown"),
        ("patient", "patience", "long", "invalid"),
        ("rounds", "patience", 1, "unknown"),
    ):
        with refused(code, f"measurement.rule_options.{option}", value):
            make_rule(name, min_rounds=1, max_rounds=9, options={option: value})
    for wrong in ({"left": "none"}, {"window": 3}):
        with pytest.raises(TypeError, match=next(iter(wrong))):
            check_row(wrong)
