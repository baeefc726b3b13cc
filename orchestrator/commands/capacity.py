"""``capacity``: estimate up to which rate tail quality is kept, then certify a rate near to that, over trials of one campaign.

Which rates are next follows from what is stored alone, so that a search goes on wherever it was interrupted.
"""

import math
import sys
import time
import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from orchestrator.analysis.capacity import (
    ANY_RATE,
    REPORT_S,
    Next,
    Search,
    all_seconds,
    answers_within,
    is_older,
    length_of,
    minutes,
    searches_of,
    seconds_of,
    seconds_to_come,
    words_without_rate,
)
from orchestrator.analysis.loading import load_trials
from orchestrator.commands.asked import CapacitySearch
from orchestrator.commands.planning import compose_campaign, look_at, open_site, plan_on
from orchestrator.commands.progress import Progress
from orchestrator.commands.results_folder import looked_at
from orchestrator.commands.run import measure, record_of, results_directory
from orchestrator.configuration.config import Trial
from orchestrator.configuration.load import LoadConfig
from orchestrator.contracts import InputError
from orchestrator.running.executor import Site
from orchestrator.running.plan import Candidate, make_plan_of
from orchestrator.running.signals import heed_signals
from orchestrator.stats.capacity import answers_of_stream, rounded_rate
from orchestrator.stats.constants import FEWEST_LOST
from orchestrator.stats.stopping.rules import Capacity
from orchestrator.stats.thresholds import Threshold, primary_threshold
from orchestrator.storage.reader import open_campaign
from orchestrator.storage.records import CampaignRecord, CapacityQuestion, PlannedTrial
from orchestrator.storage.writer import CampaignWriter
from orchestrator.subject.schedule import Length

NAME = "capacity"
"""Of the campaign, and of the folder below ``results`` where it lies."""
CLOSED = {"rule": "rounds", "min_rounds": 2, "max_rounds": 1000, "max_seconds": 3.0}
"""How the closed loop is measured that comes first: two rounds, and 3 s."""
NOTHING_KEPT = 3
"""Exit code where no rate of a trial is certified."""


def execute(asked: CapacitySearch) -> int:
    """Search each trial that the command line describes. Returns the exit code."""
    began_s = time.monotonic()
    deadline, composing = time_of(asked.deadline), asked.composing
    if asked.answers is not None and asked.answers < (fewest := answers_of_stream(asked.keep, FEWEST_LOST)):
        raise InputError(f"--answers {asked.answers}: a stream that keeps {asked.keep:g} has {fewest} answers or more; raise it")
    own = (f"load.rate_per_s={ANY_RATE:g}", f'analysis.primary="{deadline.label}"')
    with Progress(0, None if composing.quiet else sys.stderr) as waiting:
        composed = compose_campaign(replace(composing, overrides=(*composing.overrides, *own)), waiting.say)
    composed = replace(composed, composition=replace(composed.composition, name=NAME))
    with open_site(composed.campaign, composed.trials) as site:
        site.begin()
        plan = plan_on(site, composed, rates_are_known=False)
        if plan.infeasible:
            first = plan.infeasible[0]
            raise InputError(f"{first.trial.model.name} on {first.trial.system.name} cannot run here: {first.reason}; leave it out")
        question = CapacityQuestion(
            deadline=deadline.label,
            keep=asked.keep,
            answers=asked.answers,
            minutes=asked.minutes,
            trials=tuple(planned.trial for planned in plan.trials),
        )
        closed = make_plan_of(look_at(site, [(in_closed_loop(trial), "") for trial in question.trials]))
        record = record_of(composing.command, composed, replace(closed, left_out=plan.left_out), capacity=question)
        directory = results_directory(composed.campaign, NAME)
        heed_signals()
        latest, look = composed.campaign.results_dir is None, looked_at(composing.trust)
        with CampaignWriter.create(directory, record, latest=latest, look=look) as writer:
            more = Explorer(question, site, writer, began_s)
            code = measure(writer, composed.campaign, list(closed.trials), composing.quiet, site, full=composing.full, more=more)
            return exit_code(code, directory, question)


def time_of(deadline: str) -> Threshold:
    """Return a deadline that is a time. Raises InputError for anything else."""
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
    if any(is_older(planned.trial) for planned in record.trials):
        raise InputError(f"this search was begun by version {record.code_version} and can only be reported; begin a new one")


def in_closed_loop(trial: Trial) -> Trial:
    """Return a searched trial as it is measured in a closed loop."""
    return trial.model_copy(update={"load": LoadConfig(), "measurement": trial.measurement.model_copy(update=CLOSED)})


def at_rate(trial: Trial, rate_per_s: float, wanted: Next, question: CapacityQuestion, length: Length, samples: int) -> Trial:
    """Return a searched trial, of so many samples, at a rate, in streams of a length.

    Every rate has arrivals of its own, so that none repeats what another has shown.
    """
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

    Parameters
    ----------
    began_s
        when the command began, by `time.monotonic`.
    spent_s
        what earlier commands have spent of the budget.
    """

    def __init__(self, question: CapacityQuestion, site: Site, writer: CampaignWriter, began_s: float, spent_s: float = 0.0) -> None:
        self._question = question
        self._site = site
        self._writer = writer
        self._began_s = began_s - spent_s
        self._known: list[Candidate] = []

    def __call__(self, progress: Progress) -> Sequence[PlannedTrial]:
        """Return the trials to measure next, which are trials of the campaign from here on; none where all searches are over."""
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
        chosen = []
        for candidate, search, number in zip(self._candidates(), searches, answers, strict=True):
            samples, wanted = candidate.inspection.samples, search.next_rates()
            chosen += [
                replace(candidate, trial=at_rate(candidate.trial, rate, wanted, self._question, length_of(search, number), samples))
                for rate in wanted.rates
            ]
        known = {one.trial_id for one in self._writer.record.trials}
        return tuple(one for one in make_plan_of(chosen).trials if one.trial_id not in known)

    def _candidates(self) -> list[Candidate]:
        """Return what the searched trials work on and where, which is looked at once."""
        if not self._known:
            self._known = look_at(self._site, [(trial, "") for trial in self._question.trials])
        return self._known


def forecast(searches: Sequence[Search], answers: Sequence[int], other_s: float) -> list[str]:
    """Return what the search of a campaign will take, and where none is made, why; one line each."""
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
    return searches_of(load_trials(open_campaign(directory)), question)[: len(question.trials)]


def goes_on(searches: Sequence[Search]) -> bool:
    """Return whether anything is left to measure, by what is stored."""
    return any(search.next_rates().rates for search in searches)


def exit_code(code: int, directory: Path, question: CapacityQuestion) -> int:
    """Return the exit code of a campaign whose measurement ended with ``code``: 3 where that was well and a trial has no certified rate."""
    if code:
        return code
    return NOTHING_KEPT if any(search.certified is None for search in searches_in(directory, question)) else 0
