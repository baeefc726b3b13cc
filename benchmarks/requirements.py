"""How often is a requirement falsely called met, and how often is a true one found at the planned size?

    python benchmarks/requirements.py                           # every kind, 1,000 campaigns each
    python benchmarks/requirements.py --kinds deadline "latency, p99" --repetitions 100
    python benchmarks/requirements.py --kinds deadline "latency, p99" --stretch 34 60 120
    python benchmarks/requirements.py --bad-visits 1.0 0.5

For every kind of requirement, campaigns of one trial are drawn whose truth is known. *Outside*: the bound is broken 1.02 times as often
as it may be; at most 5 % of campaigns may be called met. *Inside*: it is broken a quarter as often as it may be, which a plan is for; at
least 80 % must be called met at the size that `plan --requirements` names, where rounds are independent. Both in visits of two rounds
among those of seven other trials; outside also with times that come in *bursts*. Of several processes one is outside alone.

With `--stretch` the rounds follow one another in one stretch, so many of them, whatever a plan says, with bursts and outside: no bar holds
there, and this is why `assess` says so of a *met* that rests on one.

The bound of each requirement is set on a long series of rounds of the same law, so that its share of breaks is what was asked for.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.studies.scenarios import BURSTS, IDEAL, LOGNORMAL, MEDIAN_NS, Scenario, generator
from orchestrator.analysis.groups import Group, ThresholdSet
from orchestrator.analysis.trial_data import TrialData
from orchestrator.assessment.assess import JUDGES
from orchestrator.assessment.case import Case
from orchestrator.assessment.requirements import LatencyAsked, Requirements, TailQualityAsked
from orchestrator.assessment.sizing import sizes_of
from orchestrator.assessment.subjects import Measured, Session, Subject
from orchestrator.assessment.verdicts import Finding
from orchestrator.configuration.config import AnalysisConfig, parse_trial
from orchestrator.stats.requirements import MARGIN, planned_units, rounds_keep, starts_keep
from orchestrator.storage.records import CampaignRecord, PlannedTrial, Stopping, TrialRecord

SAMPLES = 20
VISIT_ROUNDS = 2
OUTSIDE = 1.02
RESAMPLES = 999
LONG = 20_000
"""Rounds of the series that sets a bound."""
HALVINGS = 14
PROCESSES = 5
BAR_FALSE, BAR_FOUND = 5.0, 80.0

Floats = NDArray[np.float64]


def entry(kind: str, **asked: Any) -> Callable[[str], dict[str, Any]]:
    """Return what makes an entry of a file: PLACE stands for the time that is moved until the truth is what it should be."""
    return lambda place: {"id": "R", "text": "drawn", kind: {key: place if value == PLACE else value for key, value in asked.items()}}


PLACE = "PLACE"
KINDS: Mapping[str, Callable[[str], dict[str, Any]]] = {
    "tail quality, 95 %": entry("tail_quality", threshold=PLACE, at_least=0.95),
    "tail quality, 99 %": entry("tail_quality", threshold=PLACE, at_least=0.99),
    "tail quality of a slice": entry("tail_quality", threshold=PLACE, at_least=0.95, slice="half=a"),
    "tail quality, 1 of 5 processes": entry("tail_quality", threshold=PLACE, at_least=0.95),
    "tail quality in 90 % of rounds": entry("tail_quality", threshold=PLACE, at_least=0.9, share_of_rounds=0.9),
    "latency, p95": entry("latency", percentile=95, within=PLACE),
    "latency, p99": entry("latency", percentile=99, within=PLACE),
    "deadline": entry("deadline", within=PLACE, keep=0.99),
    "deadline, 1 of 5 processes": entry("deadline", within=PLACE, keep=0.99),
    "longest streak": entry("late_answers", threshold=PLACE, longest_streak=1),
    "2 of 10": entry("late_answers", threshold=PLACE, at_most=2, out_of=10),
    "warnings": entry("late_answers", threshold=PLACE, warnings=2),
    "errors": entry("late_answers", threshold=PLACE, errors=0, error_after="25 ms"),
    "answers between rounds": entry("answers", between="rounds", at_most=1),
    "capacity": entry("capacity", at_least_per_s=30, threshold=PLACE, keep=0.95),
}
STARTS = {"first inference, cold start, memory": 0.5, "the same in 90 % of starts": 0.9}
"""Kinds whose units are fresh processes, and the share of them."""
WARM = "first inference after a pause"
ALL = (*KINDS, *STARTS, WARM)


@dataclass(frozen=True)
class Draw:
    """Trials of one kind and law."""

    name: str
    scenario: Scenario

    @property
    def processes(self) -> int:
        return PROCESSES if self.name.endswith("processes") else 1

    def trials(self, random: np.random.Generator, rounds: int, faster: float = 1.0) -> list[TrialData]:
        """Draw the trials of one campaign: one, or one per process, of which all but the first are so many times as fast."""
        found = []
        for number in range(self.processes):
            times, visits = self.scenario.trial(random, rounds, SAMPLES, VISIT_ROUNDS)
            assert visits is not None
            found.append(trial_data(np.ceil(times / (faster if number else 1)), np.asarray(visits, dtype=np.int32), self.name, number))
        return found


def trial_data(times: Floats, visits: NDArray[np.int32], kind: str, repeat: int) -> TrialData:
    """Return a measured trial of these total times, [R, S] in ns."""
    rounds = len(times)
    record = records(kind, rounds, repeat)
    is_open = record.trial.load.is_open
    clocks = ("inference", "total", "response") if is_open else ("inference", "total")
    right = round(IDEAL * SAMPLES)
    return TrialData(
        record=record,
        times=dict.fromkeys(clocks, times),
        inferences=dict.fromkeys(clocks, times),
        references=[1] * SAMPLES,
        predictions=[[1]] * right + [[0]] * (SAMPLES - right),
        slices={"half": ["a" if number % 2 else "b" for number in range(SAMPLES)]},
        input_sizes=np.ones(SAMPLES, dtype=np.int64),
        different_answers=0,
        incomplete=np.zeros(rounds, dtype=bool),
        visits=visits,
        streams=visits if is_open else None,
        arrivals=np.zeros(times.shape) if is_open else None,
        outcome=np.zeros(times.shape, dtype=np.int8),
        evidence={"visit": visits.astype(np.float64), "process": np.zeros(rounds), "round": np.arange(rounds, dtype=np.float64)},
    )


def records(kind: str, rounds: int, repeat: int) -> TrialRecord:
    planned = planned_trial(kind, rounds, repeat)
    return TrialRecord.from_plan(planned).model_copy(
        update={"metrics": ("top1",), "digests": {"data": "d"}, "stopping": Stopping(rule="rounds", reason="max_rounds")}
    )


def planned_trial(kind: str, rounds: int, repeat: int = 0) -> PlannedTrial:
    key = (kind, rounds)
    if key not in _TRIALS:
        measured = {"rule": "rounds", "min_rounds": rounds, "max_rounds": rounds, "visit_rounds": VISIT_ROUNDS}
        document: dict[str, Any] = {
            "model": {"name": "drawn", "kind": "image_classification", "target": "x:X", "runtimes": ["torch"], "classes": 9},
            "task": {"name": "numbers", "kind": "image_classification", "target": "x:Y"},
            "system": {"name": "one", "cores": 1},
            "runtime": {"name": "torch"},
            "measurement": measured,
        }
        if kind == "capacity":
            document["load"] = {"name": "periodic", "rate_per_s": 30.0}
        _TRIALS[key] = parse_trial(document)
    trial = _TRIALS[key].model_copy(update={"repeat": repeat})
    return PlannedTrial(trial_id=f"drawn-r{repeat}", match_key="drawn", trial=trial, state="done")


_TRIALS: dict[tuple[str, int], Any] = {}
CAMPAIGN = CampaignRecord(code_version="drawn", name="drawn")
NOWHERE = ThresholdSet(None, {}, (), None)


def found_of(requirements: Requirements, trials: Sequence[TrialData]) -> Finding:
    """Return what a campaign of these trials shows of the one requirement."""
    session = Session(CAMPAIGN, (), (), AnalysisConfig())
    group = Group("numbers", "d", tuple(trials), NOWHERE, {data.trial_id: () for data in trials}, (), {})
    subject = Subject("drawn", tuple(Measured(session, data.record, data, group) for data in trials))
    [requirement] = requirements.requirements
    return JUDGES[requirement.kind](Case(requirement, subject, requirements.error_of(requirement), RESAMPLES), requirement.asked)


def at(kind: str, place_ns: float) -> Requirements:
    return Requirements.model_validate({"requirements": [KINDS[kind](f"{place_ns / 1e6:.6f} ms")]})


def breaking(finding: Finding, kind: str) -> tuple[float, float]:
    """Return how often a bound is broken, and how often it may be, as shares."""
    assert finding.figure is not None
    assert finding.asked is not None
    if finding.unit != "quality":
        return finding.figure, finding.asked
    ideal = 1.0 if kind.startswith("latency") else IDEAL
    return 1 - finding.figure / ideal, 1 - finding.asked / ideal


def place_of(draw: Draw, target: float, random: np.random.Generator) -> float:
    """Return the time in ns at which a long series breaks the bound ``target`` times as often as it may."""
    series = draw.trials(random, LONG)[:1]
    low, high = np.log(MEDIAN_NS) - 1.0, np.log(MEDIAN_NS) + 3.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        broke, may = breaking(found_of(at(draw.name, float(np.exp(middle))), series), draw.name)
        low, high = (middle, high) if broke > target * may else (low, middle)
    return float(np.exp(high))


def with_changes(trials: Sequence[TrialData], place_ns: float) -> list[TrialData]:
    """Return trials whose answers change on samples that take longer than a time."""
    changed = [(data.times["total"] > place_ns).sum(axis=1).astype(np.float64) for data in trials]
    return [replace(data, evidence={**data.evidence, "different_answers": of}) for data, of in zip(trials, changed, strict=True)]


def place_of_changes(draw: Draw, target: float, random: np.random.Generator) -> float:
    """Return the time beyond which answers change, so that more than one changes in this share of rounds."""
    [series] = draw.trials(random, LONG)
    second = np.sort(series.times["total"], axis=1)[:, -2]
    return float(np.quantile(second, 1 - target * 0.1))


def size_of(kind: str) -> int:
    """Return the rounds that a plan asks for."""
    planned = [planned_trial(kind, 60, number) for number in range(Draw(kind, LOGNORMAL).processes)]
    [size] = sizes_of(at(kind, MEDIAN_NS), planned, {"drawn": SAMPLES})
    rounds = size.need.rounds
    return rounds + rounds % VISIT_ROUNDS


def drawn(kind: str, scenario: Scenario, target: float, repetitions: int, seed: int) -> tuple[int, float]:
    """Return rounds (or processes) of a campaign, and the share of campaigns that are called met."""
    random = generator(seed, "requirements", kind, scenario.name, target)
    if kind in STARTS:
        return of_starts(STARTS[kind], scenario, target, repetitions, random)
    if kind == WARM:
        return of_pauses(scenario, target, repetitions, random)
    draw, rounds = Draw(kind, scenario), size_of(kind)
    changes = kind == "answers between rounds"
    place = (place_of_changes if changes else place_of)(draw, target, random)
    requirements = at(kind, place)
    met = 0
    for _ in range(repetitions):
        trials = draw.trials(random, rounds, 2.0 if target == OUTSIDE else 1.0)
        met += found_of(requirements, with_changes(trials, place) if changes else trials).verdict == "met"
    return rounds, met / repetitions


def of_starts(share: float, scenario: Scenario, target: float, repetitions: int, random: np.random.Generator) -> tuple[int, float]:
    """Fresh processes are independent of each other, whatever their rounds do."""
    allowed = round(1 - share, 12)
    units = planned_units(allowed, 0.025)
    assert units is not None
    values = np.exp(random.normal(0, 0.2, (repetitions, units)))
    bound = float(np.exp(0.2 * _normal_quantile(1 - target * allowed)))
    met = sum(starts_keep(row, bound, late_share=allowed, error=0.05).verdict == "met" for row in values)
    return units, met / repetitions


def of_pauses(scenario: Scenario, target: float, repetitions: int, random: np.random.Generator) -> tuple[int, float]:
    """First inferences of visits: one per visit, slower in a burst."""
    allowed = 0.5
    units = planned_units(allowed, 0.025)
    assert units is not None
    bound = scenario.threshold_ns(1 - target * allowed)
    met = 0
    for _ in range(repetitions):
        times, _ = scenario.trial(random, units * VISIT_ROUNDS, 1, VISIT_ROUNDS)
        firsts = times[::VISIT_ROUNDS, 0]
        met += rounds_keep(firsts, bound, late_share=allowed, error=0.05, looks=(units,)).verdict == "met"
    return units, met / repetitions


def in_one_stretch(kind: str, rounds: int, repetitions: int, seed: int) -> float:
    """Return the share of campaigns, of so many rounds in one stretch with bursts, that are called met although the truth lies outside."""
    random = generator(seed, "requirements in one stretch", kind, rounds)
    requirements = at(kind, place_of(Draw(kind, BURSTS), OUTSIDE, random))
    met = 0
    for _ in range(repetitions):
        times, _ = BURSTS.trial(random, rounds, SAMPLES, rounds)
        made = trial_data(np.ceil(times), np.zeros(rounds, dtype=np.int32), kind, 0)
        met += found_of(requirements, [replace(made, visits=None)]).verdict == "met"
    return met / repetitions


def with_bad_visits(kind: str, within: float, repetitions: int, seed: int) -> tuple[int, float, float, float]:
    """Return visits, the share of visits that is bad, how probably a campaign has none, and the share of campaigns that are called met."""
    random = generator(seed, "requirements with bad visits", kind, within)
    requirements, rounds = at(kind, 3 * MEDIAN_NS), size_of(kind)
    asked = requirements.requirements[0].asked
    assert isinstance(asked, TailQualityAsked | LatencyAsked)
    may = 1 - (asked.at_least if isinstance(asked, TailQualityAsked) else asked.percentile / 100)
    visits, bad = np.arange(rounds, dtype=np.int32) // VISIT_ROUNDS, OUTSIDE * may / within
    number, met = int(visits[-1]) + 1, 0
    for _ in range(repetitions):
        times = MEDIAN_NS * np.exp(random.normal(0, 0.1, (rounds, SAMPLES)))
        slow = (random.random(number) < bad)[visits][:, None] & (random.random(times.shape) < within)
        met += found_of(requirements, [trial_data(np.ceil(np.where(slow, 10 * times, times)), visits, kind, 0)]).verdict == "met"
    return number, bad, (1 - bad) ** number, met / repetitions


def _normal_quantile(share: float) -> float:
    from scipy import stats

    return float(stats.norm.ppf(share))


def cases(kinds: Sequence[str]) -> Iterator[tuple[str, Scenario, float]]:
    for kind in kinds:
        for scenario in (LOGNORMAL, BURSTS):
            yield from ((kind, scenario, target) for target in ((OUTSIDE, MARGIN) if scenario is LOGNORMAL else (OUTSIDE,)))


def bar(target: float, share: float) -> str:
    if target == OUTSIDE:
        return "holds" if 100 * share <= BAR_FALSE else "missed"
    return "holds" if 100 * share >= BAR_FOUND else "missed"


def _print_stretches(kinds: Sequence[str], rounds: Sequence[int], repetitions: int, seed: int) -> None:
    counts = " | ".join(f"{number} rounds" for number in rounds)
    print(f"| kind, in one stretch with bursts, outside | {counts} |\n| :-- |{' --: |' * len(rounds)}")
    for kind in kinds:
        shares = " | ".join(f"{100 * in_one_stretch(kind, number, repetitions, seed):.1f}" for number in rounds)
        print(f"| {kind} | {shares} |", flush=True)


MEANS = ("tail quality, 95 %", "tail quality, 99 %", "latency, p95", "latency, p99")


def _print_bad_visits(shares: Sequence[float], repetitions: int, seed: int) -> None:
    print("| kind | late in a bad visit (%) | visits | bad (%) | none bad (%) | called met (%) |\n| :-- | --: | --: | --: | --: | --: |")
    for kind in MEANS:
        for within in shares:
            number, bad, none, met = with_bad_visits(kind, within, repetitions, seed)
            print(f"| {kind} | {100 * within:g} | {number} | {100 * bad:.1f} | {100 * none:.1f} | {100 * met:.1f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinds", nargs="+", choices=ALL, default=ALL, metavar="KIND", help=", ".join(ALL))
    parser.add_argument("--repetitions", type=int, default=1000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--stretch", type=int, nargs="+", metavar="ROUNDS", help="in one stretch of so many rounds")
    parser.add_argument("--bad-visits", type=float, nargs="+", metavar="SHARE", help="with visits in which so large a share is late")
    arguments = parser.parse_args()
    begun = time.perf_counter()
    if arguments.stretch:
        _print_stretches(arguments.kinds, arguments.stretch, arguments.repetitions, arguments.seed)
        return
    if arguments.bad_visits:
        _print_bad_visits(arguments.bad_visits, arguments.repetitions, arguments.seed)
        return
    print("| kind | times | units | truth | called met (%) | bar |\n| :-- | :-- | --: | :-- | --: | :-- |")
    wanted = list(cases(arguments.kinds))
    with ProcessPoolExecutor(arguments.processes) as pool:
        pending = [pool.submit(drawn, *one, arguments.repetitions, arguments.seed) for one in wanted]
        for (kind, scenario, target), future in zip(wanted, pending, strict=True):
            units, share = future.result()
            truth = "outside" if target == OUTSIDE else "inside"
            print(f"| {kind} | {scenario.name} | {units} | {truth} | {100 * share:.1f} | {bar(target, share)} |", flush=True)
    print(f"\n{arguments.repetitions:,} campaigns each, seed {arguments.seed}; {time.perf_counter() - begun:.0f} s")


if __name__ == "__main__":
    main()
