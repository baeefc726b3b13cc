"""``capacity``: estimate up to which rate tail quality is kept, then certify a rate near to that, over trials of one campaign.

Which rates are next follows from what is stored alone, so that a search goes on wherever it was interrupted.
"""

from __future__ import annotations

import math
import time
import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator.commands.line import COUNT, Number, config_dirs, full, overrides_alone, quiet, trust, typed, verb
from orchestrator.contracts import InputError

if TYPE_CHECKING:
    from orchestrator.analysis.capacity import Next, Search
    from orchestrator.commands.progress import Progress
    from orchestrator.configuration.config import Trial
    from orchestrator.running.executor import Site
    from orchestrator.running.plan import Candidate
    from orchestrator.stats.thresholds import Threshold
    from orchestrator.storage.records import CampaignRecord, CapacityQuestion, PlannedTrial
    from orchestrator.storage.writer import CampaignWriter
    from orchestrator.subject.schedule import Length

# Of the campaign, and of the folder below `results` where it lies
NAME = "capacity"
# Keys that this command gives itself
OURS = (
    "load.rate_per_s", "load.stream_s", "measurement.rule", "measurement.rule_options", "measurement.min_rounds", "measurement.max_rounds",
    "measurement.max_seconds", "measurement.repeat", "analysis.primary",
)  # fmt: skip
# Loads that have no rate
NO_RATE = ("closed", "trace")
# How the closed loop is measured that comes first: two rounds, and 3 s
CLOSED = {"rule": "rounds", "min_rounds": 2, "max_rounds": 1000, "max_seconds": 3.0}
# Exit code where no rate of a trial is certified
NOTHING_KEPT = 3


@verb(
    "capacity model=efficientnet_lite0 task=imagenet_samples load=poisson --deadline '50 ms'",
    "capacity model=scene_detector task=digit_scenes system=cpu_1core,cpu_all --deadline '20 ms' --minutes 10",
)
@overrides_alone()
@click.option("--deadline", required=True, metavar="TIME", help="from arrival to answer at most, such as '50 ms'")
@click.option(
    "--keep",
    type=Number(0, 1, min_open=True, max_open=True),
    default=0.99,
    metavar="SHARE",
    help="of ideal quality that the mean must keep (default 0.99)",
)
@click.option("--answers", type=COUNT, metavar="N", help="of a stream (default: 10 answers of it may be lost)")
@click.option(
    "--minutes",
    type=Number(1, 10**4),
    metavar="M",
    help="end within so many minutes, with a report; streams are shorter where that is little",
)
@config_dirs
@full
@quiet
@trust
def command(
    overrides: tuple[str, ...],
    deadline: str,
    keep: float,
    answers: int | None,
    minutes: float | None,
    config_dirs: tuple[Path, ...],
    full: bool,
    quiet: bool,
    trust: bool,
) -> int:
    """Find up to which rate of arrivals quality is kept in time.

    Estimate for each trial that the words describe up to which rate of arrivals it keeps its quality, then certify a rate
    near to that. `resume DIR` goes on with it. Exit code 3: no rate of a trial is certified. See docs/load.md.
    """
    from orchestrator.analysis.capacity import ANY_RATE
    from orchestrator.commands.measuring import begun, measure, record_of
    from orchestrator.commands.planning import compose_campaign, look_at, open_site, plan_on
    from orchestrator.configuration.load import LoadConfig
    from orchestrator.running.plan import make_plan_of
    from orchestrator.stats.capacity import answers_of_stream
    from orchestrator.stats.constants import FEWEST_LOST
    from orchestrator.storage.records import CapacityQuestion

    began_s = time.monotonic()
    _refuse_ours(overrides)
    label = time_of(deadline).label
    if answers is not None and answers < (fewest := answers_of_stream(keep, FEWEST_LOST)):
        raise InputError(f"--answers {answers}: a stream that keeps {keep:g} has {fewest} answers or more; raise it")
    law = () if any(word.startswith(("load=", "+sweep=")) for word in overrides) else ("load=poisson",)
    words = (*overrides, *law, f"load.rate_per_s={ANY_RATE:g}", f'analysis.primary="{label}"')
    composed = compose_campaign(words, multirun=True, config_dirs=config_dirs, quiet=quiet)
    composed = replace(composed, composition=replace(composed.composition, name=NAME))
    with open_site(composed.campaign, composed.trials) as site:
        site.begin()
        plan = plan_on(site, composed, rates_are_known=False)
        if plan.infeasible:
            first = plan.infeasible[0]
            raise InputError(f"{first.trial.model.name} on {first.trial.system.name} cannot run here: {first.reason}; leave it out")
        trials = tuple(planned.trial for planned in plan.trials)
        question = CapacityQuestion(deadline=label, keep=keep, answers=answers, minutes=minutes, trials=trials)
        closed = [
            trial.model_copy(update={"load": LoadConfig(), "measurement": trial.measurement.model_copy(update=CLOSED)}) for trial in trials
        ]
        first_of_all = replace(make_plan_of(look_at(site, [(trial, "") for trial in closed])), left_out=plan.left_out)
        with begun(record_of(typed(), composed, first_of_all, capacity=question), trust) as writer:
            more = Explorer(question, site, writer, began_s)
            return exit_code(measure(writer, first_of_all.trials, site, quiet, full, more=more), writer.directory, question)


def _refuse_ours(overrides: Sequence[str]) -> None:
    for word in overrides:
        key, _, value = word.lstrip("+~").partition("=")
        if key in OURS or key.startswith("measurement.rule_options."):
            raise InputError(f"{word}: capacity gives this key itself; leave it out")
        if key == "load" and value in NO_RATE:
            raise InputError(f"{word}: has no rate; capacity takes load=periodic, poisson or gamma")


def time_of(deadline: str) -> Threshold:
    """Return a deadline that is a time. Raises InputError for anything else."""
    from orchestrator.stats.thresholds import primary_threshold

    found = None
    with suppress(InputError):  # it would take a percentile, too
        found = primary_threshold(deadline, None)
    if found is None:
        raise InputError(
            f"--deadline {deadline[:40]}: must be a time, such as '50 ms'; a percentile would follow the system that it judges"
        )
    return found


def refuse_older(record: CampaignRecord) -> None:
    """Raise InputError for a search of an older version, which chose its rates in another way."""
    from orchestrator.analysis.capacity import is_older

    if any(is_older(planned.trial) for planned in record.trials):
        raise InputError(f"this search was begun by version {record.code_version} and can only be reported; begin a new one")


def at_rate(trial: Trial, rate_per_s: float, wanted: Next, question: CapacityQuestion, length: Length, samples: int) -> Trial:
    """Return a searched trial, of so many samples, at a rate, in streams of a length.

    Every rate has arrivals of its own, so that none repeats what another has shown.
    """
    from orchestrator.stats.capacity import rounded_rate
    from orchestrator.stats.stopping.rules import Capacity

    load, rounds = trial.load, wanted.streams * length.rounds
    ramp_s = rounded_rate(length.ramp / rate_per_s) if load.ramp_s is None else load.ramp_s
    arrivals = {
        "rate_per_s": rate_per_s,
        "seed": zlib.crc32(f"{load.seed} {rate_per_s} {wanted.certify}".encode()),
        "ramp_s": ramp_s,
        "stream_s": rounded_rate(ramp_s + (length.rounds - 0.5) * samples / rate_per_s),  # rounds are counted up
    }
    own = {
        "rule": Capacity.name,
        "rule_options": {"deadline_ms": time_of(question.deadline).ns / 1e6, "keep": question.keep, "certify": wanted.certify},
        "min_rounds": rounds,
        "max_rounds": rounds,
        "max_seconds": None,
    }
    return trial.model_copy(update={"load": load.model_copy(update=arrivals), "measurement": trial.measurement.model_copy(update=own)})


class Explorer:
    """Plans the next rates of every search of a campaign, from what is stored of it.

    ``began_s`` is when the command began, by `time.monotonic`, less what earlier commands have spent of the budget.
    """

    def __init__(self, question: CapacityQuestion, site: Site, writer: CampaignWriter, began_s: float) -> None:
        self._question = question
        self._site = site
        self._writer = writer
        self._began_s = began_s
        self._known: list[Candidate] = []

    def __call__(self, progress: Progress) -> Sequence[PlannedTrial]:
        """Return the trials to measure next, which are trials of the campaign from here on; none where all searches are over."""
        from orchestrator.analysis.capacity import REPORT_S, all_seconds, answers_within, minutes, seconds_of

        question = self._question
        searches = searches_in(self._writer.directory, question)
        spent_s = time.monotonic() - self._began_s - progress.waited_s
        left_s = math.inf if question.minutes is None else 60 * question.minutes - spent_s - REPORT_S
        answers = answers_within(searches, question, left_s)
        begun = any(search.rates for search in searches)
        for line in [] if begun else forecast(searches, answers, spent_s + REPORT_S):
            progress.say(line)
        alone = len(searches) == 1
        next_s = sum(seconds_of(search, search.next_rates(), number, alone) for search, number in zip(searches, answers, strict=True))
        takes_s = next_s if begun else all_seconds(searches, answers)
        if takes_s > left_s:
            needed = minutes(spent_s + takes_s + REPORT_S)
            what = "the next rates" if begun else f"streams of {max(answers)} answers, the shortest"
            progress.say(f"--minutes {question.minutes:g} is too short for {what}: about {needed:g} min are needed")
            return []
        planned = self._plan(searches, answers)
        if planned:
            self._writer.add(planned)
            progress.add(planned, {one.trial_id: _name(one.trial, one.trial.load.words) for one in planned})
        return [one for one in planned if one.state == "planned"]

    def _plan(self, searches: Sequence[Search], answers: Sequence[int]) -> tuple[PlannedTrial, ...]:
        from orchestrator.analysis.capacity import length_of
        from orchestrator.commands.planning import look_at
        from orchestrator.running.plan import make_plan_of

        self._known = self._known or look_at(self._site, [(trial, "") for trial in self._question.trials])
        chosen = []
        for candidate, search, number in zip(self._known, searches, answers, strict=True):
            samples, wanted = candidate.inspection.samples, search.next_rates()
            chosen += [
                replace(candidate, trial=at_rate(candidate.trial, rate, wanted, self._question, length_of(search, number), samples))
                for rate in wanted.rates
            ]
        known = {one.trial_id for one in self._writer.record.trials}
        return tuple(one for one in make_plan_of(chosen).trials if one.trial_id not in known)


def forecast(searches: Sequence[Search], answers: Sequence[int], other_s: float) -> list[str]:
    """Return what the search of a campaign will take, and where none is made, why; one line each."""
    from orchestrator.analysis.capacity import minutes, seconds_to_come, words_without_rate

    lines = [
        f"{_name(search.like, words_without_rate(search.like.load))}: no search, since {search.ending}"
        for search in searches
        if search.hopeless is not None
    ]
    parts = [seconds_to_come(search, number, len(searches) == 1) for search, number in zip(searches, answers, strict=True)]
    pilot_s, certify_s = (sum(of_part) for of_part in zip(*parts, strict=True))
    if pilot_s:
        lengths = " and ".join(f"{number}" for number in sorted(set(answers)))
        parts_s = f"{pilot_s / 60:.1f} for the pilot and at most {certify_s / 60:.1f} for certificates"
        lines.append(f"about {minutes(pilot_s + certify_s + other_s):g} min in all: {parts_s}, in streams of {lengths} answers")
    return lines


def _name(trial: Trial, load: str) -> str:
    return f"{trial.model.name} {trial.system.name} {trial.runtime.name} {load}"


def searches_in(directory: Path, question: CapacityQuestion) -> list[Search]:
    """Return the searches of a campaign, one for each trial that was asked about, in their order."""
    from orchestrator.analysis.capacity import searches_of
    from orchestrator.analysis.loading import load_trials
    from orchestrator.storage.reader import open_campaign

    return searches_of(load_trials(open_campaign(directory)), question)[: len(question.trials)]


def goes_on(searches: Sequence[Search]) -> bool:
    """Return whether anything is left to measure, by what is stored."""
    return any(search.next_rates().rates for search in searches)


def exit_code(code: int, directory: Path, question: CapacityQuestion) -> int:
    """Return the exit code of a campaign whose measurement ended with ``code``: 3 where that was well and a trial has no certified rate."""
    if code:
        return code
    return NOTHING_KEPT if any(search.certified is None for search in searches_in(directory, question)) else 0
