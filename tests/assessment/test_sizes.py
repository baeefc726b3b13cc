"""How large a campaign must be: against counts by hand, and whether a campaign of that size finds what it should."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import pytest
from null_trials import named

from orchestrator.assessment.requirements import Requirements
from orchestrator.assessment.sizing import Outlook, Size, advice, sizes_of
from orchestrator.stats.requirements import planned_units
from orchestrator.storage.records import PlannedTrial


def planned(
    system: str = "one", repeats: int = 1, load: dict[str, Any] | None = None, key: str = "", **measurement: Any
) -> list[PlannedTrial]:
    blocks = {"measurement": {"rule": "settled", "min_rounds": 30, "max_rounds": 1000, **measurement}, **({"load": load} if load else {})}
    return [named(f"{key or system}-r{number}", system={"name": system}, **blocks) for number in range(repeats)]


def size(campaign: list[PlannedTrial], samples: int = 100, known: Mapping[str, Any] = MappingProxyType({}), **entry: Any) -> Size:
    wanted = Requirements.model_validate({"requirements": [{"id": "R", "text": "x", **entry}]})
    [found] = sizes_of(wanted, Outlook(campaign, {one.match_key: samples for one in campaign}, **known))
    return found


def test_a_share_of_rounds_takes_rounds_that_are_fixed_beforehand() -> None:
    small = size(planned(min_rounds=34), deadline={"within": "50 ms", "share_of_rounds": 0.9})
    rounds = 2 * (planned_units("rounds", 0.1, 0.05, 2) or 0)
    assert (small.need.rounds, small.rounds, small.enough) == (rounds, 34, False) == (228, 34, False)
    assert "measurement.min_rounds=228 measurement.certify_rounds=228" in next(advice([small]))
    large = size(planned(min_rounds=228, certify_rounds=228), deadline={"within": "50 ms", "share_of_rounds": 0.9})
    assert large.enough


PICTURES = {"metrics": dict.fromkeys(("one", "two"), ("top1", "top5")), "slices": dict.fromkeys(("one", "two"), ("class", "size"))}


ANSWERS = {"answers": {"between": "systems"}}
AT_A_RATE = {"capacity": {"at_least_per_s": 30, "threshold": "50 ms"}}
RESPONSE = {"latency": {"percentile": 99, "within": "50 ms", "clock": "response"}}
NEARLY_ALL = {"deadline": {"within": "50 ms", "share_of_rounds": 0.999999}}
UNDER_LOAD = planned(load={"name": "periodic", "rate_per_s": 40.0})


@pytest.mark.parametrize(
    ("campaign", "entry", "can"),
    [
        (planned(), NEARLY_ALL, False),
        (planned(), AT_A_RATE, False),
        (UNDER_LOAD, AT_A_RATE, True),
        (planned(), RESPONSE, False),
        (UNDER_LOAD, RESPONSE, True),
        (planned(), ANSWERS, False),
        (planned() + planned("two"), ANSWERS, True),
        (planned(), {**NEARLY_ALL, "trials": {"model": "x"}}, False),
        ([one.with_state("infeasible", "no such device") for one in planned()], NEARLY_ALL, False),
    ],
)
def test_what_no_campaign_can_show_is_said(campaign: list[PlannedTrial], entry: dict[str, Any], can: bool) -> None:
    assert (not size(campaign, **entry).need.cannot) == can


@pytest.mark.parametrize(
    ("entry", "can"),
    [
        ({"late_answers": {"threshold": "50 ms", "warnings": 10}}, False),
        ({"late_answers": {"threshold": "50 ms", "warnings": 9, "share_of_rounds": 0.5}}, True),
        ({"late_answers": {"threshold": "50 ms", "longest_streak": 40}}, False),
        ({"late_answers": {"threshold": "50 ms", "longest_streak": 39, "share_of_rounds": 0.5}}, True),
        ({"tail_quality": {"threshold": "p95", "at_least": 0.5}}, False),
        ({"tail_quality": {"threshold": "50 ms", "at_least": 0.5, "metric": "map"}}, False),
        ({"tail_quality": {"threshold": "50 ms", "at_least": 0.5, "metric": "top5", "slice": "class=9999"}}, True),
        ({"deadline": {"within": "50 ms", "metric": "no_such"}}, False),
        ({"tail_quality": {"threshold": "50 ms", "at_least": 0.5, "slice": "weather=rain"}}, False),
        ({"memory": {"at_most": "2GiB", "of": "device"}}, False),
    ],
)
def test_what_assess_would_never_show_is_said_before(entry: dict[str, Any], can: bool) -> None:
    found = size(planned(visit_rounds=2), samples=20, known=PICTURES, **entry)
    assert (not found.need.cannot) == can
    assert can or not found.enough


def at_rate(rate: float, **measurement: Any) -> PlannedTrial:
    [one] = planned(key=f"at-{rate:g}", load={"name": "periodic", "rate_per_s": rate}, **measurement)
    return one


def test_of_several_rates_those_that_decide_take_rounds() -> None:
    """All share the error, and one must show it: the lowest from the asked one on."""
    rate = {"capacity": {"at_least_per_s": 30, "threshold": "50 ms", "keep": 0.95}}
    alone, six = (size([at_rate(of) for of in rates], **rate).need.rounds for rates in ((30,), (5, 10, 20, 30, 40, 50)))
    assert alone < six < 2 * alone
    assert size([at_rate(5), at_rate(30, min_rounds=six)], **rate).enough
    assert not size([at_rate(5, min_rounds=six), at_rate(30)], **rate).enough


def test_starts_take_fresh_processes_and_sessions_take_days() -> None:
    asked = {"cold_start": {"within": "20 s"}, "evidence": {"sessions": 3}}
    few = size(planned(), **asked)
    assert (few.need.processes, few.processes, few.need.days, few.enough) == (13, 1, 3, False)
    assert "measurement.repeat=5" in next(advice([few]))  # on each of the three days
    assert size(planned(repeats=5), **asked).enough


LATENCY = {"latency": {"percentile": 30, "within": "50 ms"}}
MEAN = {"tail_quality": {"threshold": "50 ms", "at_least": 0.95}}
STREAKS = {"threshold": "50 ms", "share_of_rounds": 0.9}
TOGETHER, ALONE = (2 * (planned_units("rounds", 0.1, 0.05, parts) or 0) for parts in (1, 2))
LAWS = {
    # A stream of 10 s at 40/s has a ramp of 1 s and 4 rounds of 100 samples; 20 of them have 80 rounds.
    "a visit under load is a stream": [
        (UNDER_LOAD, 100, LATENCY, 80),
        (UNDER_LOAD, 100, {**LATENCY, "evidence": {"visits": 40}}, 160),
    ],
    "the least evidence counts": [
        (planned(visit_rounds=5), 100, {**LATENCY, "evidence": {"visits": 20}}, 100),
        (planned(visit_rounds=10), 100, LATENCY, 200),
    ],
    # Visits of two rounds of very many samples lose a quarter of the 5 % each: (0.95/0.9875)^78 < 0.05 < (0.95/0.9875)^77.
    "a mean takes answers and visits that could have shown bad ones": [
        (planned(), 10**5, MEAN, 2 * 78),
        (planned(visit_rounds=1), 10**5, MEAN, 78),
        (planned(), 100, {"tail_quality": {"threshold": "50 ms", "at_least": 0.4}}, 40),
    ],
    # A streak of ten answers of rounds of ten reaches through two rounds: those of a visit count as one.
    "streaks that reach into the next round break both together": [
        (planned(), 10, {"late_answers": {**STREAKS, "longest_streak": 10}}, TOGETHER),
        (planned(), 10, {"late_answers": {**STREAKS, "warnings": 3}}, ALONE),
    ],
}


@pytest.mark.parametrize(
    ("campaign", "samples", "asked", "rounds"), [pytest.param(*case, id=law) for law, cases in LAWS.items() for case in cases]
)
def test_so_many_rounds_show_it(campaign: list[PlannedTrial], samples: int, asked: dict[str, Any], rounds: int) -> None:
    assert size(campaign, samples, **asked).need.rounds == rounds


def test_a_mean_of_few_answers_takes_more_rounds_and_one_stretch_cannot_show_it() -> None:
    assert size(planned(), samples=2, **MEAN).need.rounds > 300
    assert size(planned(schedule="sequential"), samples=10**5, **MEAN).need.cannot
    assert ALONE < TOGETHER


def test_every_process_must_show_it_and_all_do_with_the_same_probability() -> None:
    """Of five processes each is found to meet it with 0.9^(1/5), so that all five are with 0.9."""
    asked = {"deadline": {"within": "50 ms", "share_of_rounds": 0.9}}
    one, five = size(planned(visit_rounds=1), **asked), size(planned(repeats=5, visit_rounds=1), **asked)
    systems = size(planned(visit_rounds=1) + planned("two", visit_rounds=1), **asked)
    for found, held in ((one, 1), (systems, 2), (five, 5)):
        assert found.need.rounds == planned_units("rounds", 0.1, 0.05, power=0.9 ** (1 / held))
    assert one.need.rounds < systems.need.rounds < five.need.rounds
