"""How often is a requirement falsely called met, and how often is a true one found at the planned size?

    python benchmarks/requirements.py                           # every kind, 1,000 campaigns each
    python benchmarks/requirements.py --kinds deadline "latency, p99" --repetitions 100

For every kind of requirement, campaigns of one trial are drawn whose truth is known. *Outside*: the bound is broken 1.02 times as often
as it may be; at most 5 % of campaigns may be called met. *Inside*: it is broken a quarter as often as it may be, which a plan is for; at
least 80 % must be called met at the size that `plan --requirements` names, where rounds are independent. Both in visits of two rounds
among those of seven other trials. Of several processes one is outside alone.

Outside also where times are no independent ones: in *bursts*; in *bad visits*, of which all answers are late or, of a mean, every second
one, and no answer elsewhere; and in bursts in *one stretch* of rounds that follow one another, 34, 60, 120 and as many as a plan for such
a trial has. Each of these has bad visits or spells so rarely that the truth lies just outside: many campaigns have none of them. First
inferences after a pause, of half and of nine tenths of visits, and some others, also where bad visits come in *spells*.

Results are kept in a file, and a run that was stopped goes on from there: they are found again while no line of the code has changed.

The bound of each requirement is set on a long series of rounds of the same law, so that its share of breaks is what was asked for.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.studies.scenarios import BURSTS, IDEAL, LOGNORMAL, MEDIAN_NS, Scenario, generator
from orchestrator.analysis.groups import Group, ThresholdSet
from orchestrator.analysis.trial_data import TrialData
from orchestrator.assessment.assess import JUDGES
from orchestrator.assessment.case import Case
from orchestrator.assessment.impossible import Outlook
from orchestrator.assessment.pauses import visits_keep
from orchestrator.assessment.requirements import Requirements
from orchestrator.assessment.sizing import sizes_of
from orchestrator.assessment.subjects import Measured, Session, Subject
from orchestrator.assessment.verdicts import Finding
from orchestrator.configuration.analysis import AnalysisConfig
from orchestrator.configuration.config import parse_trial
from orchestrator.stats.requirements import MARGIN, planned_units, starts_keep
from orchestrator.storage.records import CampaignRecord, PlannedTrial, Stopping, TrialRecord

SAMPLES = 20
VISIT_ROUNDS = 2
STRETCHES = (34, 60, 120)
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
WARM = {"first inference after a pause": 0.5, "the same in 90 % of visits": 0.9}
"""Kinds whose units are visits, and the share of them."""
CHANGES = "answers between rounds"
ALL = (*KINDS, *STARTS, *WARM)
MEANS = ("tail quality, 95 %", "tail quality, 99 %", "tail quality of a slice", "latency, p95", "latency, p99", "capacity")
IN_BAD_VISITS = {"all late": 1.0, "half late": 0.5}
"""Share of the answers of a bad visit that are late."""
SPELLS = {"spells, 0.3": 0.3, "spells, 0.5": 0.5, "spells, 0.8": 0.8}
"""Probability with which a visit is like the one before it, be that one good or bad; else it is drawn anew."""
IN_SPELLS = (*WARM, "tail quality, 95 %", "deadline")
"""Kinds that are also drawn where bad visits come in spells."""


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


def planned_trial(kind: str, rounds: int, repeat: int = 0, one_stretch: bool = False) -> PlannedTrial:
    key = (kind, rounds, one_stretch)
    if key not in _TRIALS:
        order = {"schedule": "sequential"} if one_stretch else {"visit_rounds": VISIT_ROUNDS}
        measured = {"rule": "rounds", "min_rounds": rounds, "max_rounds": rounds, **order}
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


_TRIALS: dict[tuple[str, int, bool], Any] = {}
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


def size_of(kind: str, one_stretch: bool = False) -> int:
    """Return the rounds that a plan asks for."""
    planned = [planned_trial(kind, 60, number, one_stretch) for number in range(Draw(kind, LOGNORMAL).processes)]
    [size] = sizes_of(at(kind, MEDIAN_NS), Outlook(planned, {"drawn": SAMPLES}))
    rounds = size.need.rounds
    return rounds + rounds % VISIT_ROUNDS


def drawn(kind: str, scenario: Scenario, target: float, repetitions: int, seed: int) -> tuple[int, float]:
    """Return rounds (or processes) of a campaign, and the share of campaigns that are called met."""
    random = generator(seed, "requirements", kind, scenario.name, target)
    if kind in STARTS:
        return of_starts(STARTS[kind], scenario, target, repetitions, random)
    if kind in WARM:
        return of_pauses(kind, scenario, target, repetitions, random)
    draw, rounds = Draw(kind, scenario), size_of(kind)
    changes = kind == CHANGES
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


def of_pauses(kind: str, scenario: Scenario, target: float, repetitions: int, random: np.random.Generator) -> tuple[int, float]:
    """First inferences of visits: one per visit, slower in a burst."""
    allowed, units = round(1 - WARM[kind], 12), visits_of(kind)
    bound = scenario.threshold_ns(1 - target * allowed)
    met = 0
    for _ in range(repetitions):
        times, _ = scenario.trial(random, units * VISIT_ROUNDS, 1, VISIT_ROUNDS)
        met += visits_keep(times[::VISIT_ROUNDS, 0], bound, late_share=allowed, error=0.05).verdict == "met"
    return units, met / repetitions


def in_spells(kind: str, alike: float, repetitions: int, seed: int) -> tuple[int, float]:
    """Return visits, and the share of campaigns called met whose slow first inferences come in spells that outlast visits."""
    random = generator(seed, "requirements in spells", kind, alike)
    allowed, units = round(1 - WARM[kind], 12), visits_of(kind)
    met = 0
    for _ in range(repetitions):
        slow = bad_ones(random, units, OUTSIDE * allowed, alike)
        times = MEDIAN_NS * np.exp(random.normal(0, 0.1, units)) * np.where(slow, 10, 1)
        met += visits_keep(times, 3 * MEDIAN_NS, late_share=allowed, error=0.05).verdict == "met"
    return units, met / repetitions


def bad_ones(random: np.random.Generator, visits: int, share: float, alike: float) -> NDArray[np.bool_]:
    """Return which visits are bad, [V]: a share of them, each like the one before it with a probability and else drawn anew."""
    drawn = random.random(visits) < share
    if not alike:
        return drawn
    fresh = (random.random(visits) >= alike) | (np.arange(visits) == 0)
    return np.asarray(drawn[np.maximum.accumulate(np.where(fresh, np.arange(visits), 0))])


def visits_of(kind: str) -> int:
    """Return the visits after a pause that a plan asks for."""
    asked = {"id": "R", "text": "drawn", "first_inference": {"within": "1 s", "state": "warm", "share_of_starts": WARM[kind]}}
    [size] = sizes_of(Requirements.model_validate({"requirements": [asked]}), Outlook([planned_trial(kind, 60)], {"drawn": SAMPLES}))
    return size.need.rounds // VISIT_ROUNDS - 1


def in_one_stretch(kind: str, rounds: int | None, repetitions: int, seed: int) -> tuple[int, float]:
    """Return rounds, of a plan where none are given, and the share of campaigns in one stretch with bursts that are falsely called met."""
    random = generator(seed, "requirements in one stretch", kind, rounds or 0)
    changes, draw = kind == CHANGES, Draw(kind, BURSTS)
    place = (place_of_changes if changes else place_of)(draw, OUTSIDE, random)
    requirements, met = at(kind, place), 0
    rounds = size_of(kind, one_stretch=True) if rounds is None else rounds
    for _ in range(repetitions):
        times, _ = BURSTS.trial(random, rounds, SAMPLES, rounds)
        made = replace(trial_data(np.ceil(times), np.zeros(rounds, dtype=np.int32), kind, 0), visits=None)
        met += found_of(requirements, with_changes([made], place) if changes else [made]).verdict == "met"
    return rounds, met / repetitions


def with_bad_visits(kind: str, within: float, repetitions: int, seed: int, alike: float = 0.0) -> tuple[int, float]:
    """Return rounds, and the share of campaigns with rare bad visits in one process, of which so large a share is late, called met."""
    random = generator(seed, "requirements with bad visits", kind, within, *([alike] if alike else []))
    place, rounds = 3 * MEDIAN_NS, size_of(kind)
    requirements, changes = at(kind, place), kind == CHANGES
    visits, bad = np.arange(rounds, dtype=np.int32) // VISIT_ROUNDS, OUTSIDE * may_break(requirements) / within
    met = 0
    for _ in range(repetitions):
        trials = []
        for number in range(Draw(kind, LOGNORMAL).processes):
            times = MEDIAN_NS * np.exp(random.normal(0, 0.1, (rounds, SAMPLES)))
            slow = bad_ones(random, int(visits[-1]) + 1, bad, alike)[visits][:, None] & (random.random(times.shape) < within)
            trials.append(trial_data(np.ceil(np.where(slow & (number == 0), 10 * times, times)), visits, kind, number))
        met += found_of(requirements, with_changes(trials, place) if changes else trials).verdict == "met"
    return rounds, met / repetitions


def may_break(requirements: Requirements) -> float:
    """Return the share that may break a requirement: of quality, of answers or of rounds."""
    asked: Any = requirements.requirements[0].asked
    if requirements.requirements[0].kind == "latency":
        return 1 - float(asked.percentile) / 100
    if requirements.requirements[0].kind == "capacity":
        return 1 - float(asked.keep)
    return 1 - float(getattr(asked, "share_of_rounds", None) or asked.at_least)


def _normal_quantile(share: float) -> float:
    from scipy import stats

    return float(stats.norm.ppf(share))


@dataclass(frozen=True)
class Question:
    """One row of the table: a kind of requirement, how its times come, and whether the truth lies outside."""

    kind: str
    times: str
    truth: str = "outside"

    def answer(self, repetitions: int, seed: int) -> tuple[int, float]:
        """Return rounds (or starts), and the share of campaigns that are called met."""
        if self.times in IN_BAD_VISITS:
            return with_bad_visits(self.kind, IN_BAD_VISITS[self.times], repetitions, seed)
        if self.times.startswith(STRETCH):
            words = self.times.removeprefix(STRETCH)
            return in_one_stretch(self.kind, int(words) if words else None, repetitions, seed)
        if self.times in SPELLS and self.kind in KINDS:
            return with_bad_visits(self.kind, 1.0, repetitions, seed, SPELLS[self.times])
        if self.times in SPELLS:
            return in_spells(self.kind, SPELLS[self.times], repetitions, seed)
        scenario = {one.name: one for one in (LOGNORMAL, BURSTS)}[self.times]
        return drawn(self.kind, scenario, OUTSIDE if self.truth == "outside" else MARGIN, repetitions, seed)

    def bar(self, share: float) -> str:
        holds = 100 * share <= BAR_FALSE if self.truth == "outside" else 100 * share >= BAR_FOUND
        return "holds" if holds else "missed"


STRETCH = "one stretch, bursts"


def questions(kinds: Sequence[str]) -> Iterator[Question]:
    for kind in kinds:
        yield Question(kind, LOGNORMAL.name)
        yield Question(kind, LOGNORMAL.name, "inside")
        yield Question(kind, BURSTS.name)
        if kind in IN_SPELLS:
            yield from (Question(kind, spells) for spells in SPELLS)
        if kind in KINDS:
            yield Question(kind, "all late")
        if kind in MEANS:
            yield Question(kind, "half late")
        if kind in KINDS and kind != "capacity" and Draw(kind, BURSTS).processes == 1:
            yield Question(kind, STRETCH)
            yield from (Question(kind, f"{STRETCH} {rounds}") for rounds in STRETCHES)


def code_digest() -> str:
    """Return a digest of all code that verdicts and draws depend on."""
    root = Path(__file__).parents[1]
    rooms = [root / "orchestrator" / name for name in ("stats", "metrics", "analysis", "assessment")]
    files = sorted(path for room in (*rooms, root / "benchmarks" / "studies") for path in room.rglob("*.py"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in (*files, Path(__file__)))).hexdigest()


def answers(wanted: Sequence[Question], repetitions: int, seed: int, processes: int, kept: Path) -> dict[Question, tuple[int, float]]:
    """Return an answer to each question: those that are kept in a file, and the others, which are added to it one by one."""
    digest = code_digest()
    kept.parent.mkdir(parents=True, exist_ok=True)
    lines = [json.loads(line) for line in kept.read_text("utf-8").splitlines()] if kept.exists() else []
    alike = [one for one in lines if (one["code"], one["repetitions"], one["seed"]) == (digest, repetitions, seed)]
    found = {Question(*one["question"]): (int(one["units"]), float(one["met"])) for one in alike}
    with ProcessPoolExecutor(processes) as pool, kept.open("a", encoding="utf-8") as file:
        pending = {pool.submit(one.answer, repetitions, seed): one for one in wanted if one not in found}
        for future in as_completed(pending):
            one, (units, met) = pending[future], future.result()
            found[one] = (units, met)
            row = {"question": [one.kind, one.times, one.truth], "units": units, "met": met}
            file.write(f"{json.dumps({**row, 'repetitions': repetitions, 'seed': seed, 'code': digest})}\n")
            file.flush()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinds", nargs="+", choices=ALL, default=ALL, metavar="KIND", help=", ".join(ALL))
    parser.add_argument("--repetitions", type=int, default=1000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kept", type=Path, default=Path("build/benchmarks/requirements.jsonl"), help="file of results that are kept")
    arguments = parser.parse_args()
    begun = time.perf_counter()
    wanted = list(questions(arguments.kinds))
    found = answers(wanted, arguments.repetitions, arguments.seed, arguments.processes, arguments.kept)
    print("| kind | times | units | truth | called met (%) | bar |\n| :-- | :-- | --: | :-- | --: | :-- |")
    for one in wanted:
        units, met = found[one]
        print(f"| {one.kind} | {one.times} | {units} | {one.truth} | {100 * met:.1f} | {one.bar(met)} |")
    print(f"\n{arguments.repetitions:,} campaigns each, seed {arguments.seed}; {time.perf_counter() - begun:.0f} s")


if __name__ == "__main__":
    main()
