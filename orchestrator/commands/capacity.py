"""``capacity``: search the highest rate that keeps its tail quality, over trials of one campaign.

Which rate is next follows from what is stored alone, so that a search goes on wherever it was interrupted.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from orchestrator.analysis.capacity import ANY_RATE, Search, at_any_rate, searches_of
from orchestrator.analysis.capacity_budget import Choice, Standing, choices, least_s, pace_of, seconds_left, seconds_spent, standing_of
from orchestrator.analysis.trial_data import load_trials
from orchestrator.commands.asked import CapacitySearch
from orchestrator.commands.planning import compose_campaign, look_at, open_site, plan_on
from orchestrator.commands.results_folder import looked_at
from orchestrator.commands.run import measure, record_of, results_directory
from orchestrator.configuration.config import Trial
from orchestrator.configuration.load import LoadConfig
from orchestrator.contracts import InputError
from orchestrator.execution.executor import Site
from orchestrator.execution.signals import heed_signals
from orchestrator.planning.plan import Candidate, make_plan_of
from orchestrator.report.progress import Progress
from orchestrator.stats.capacity_verdict import FAMILY_ERROR, FIRST_LOOK, MOST_PROBES
from orchestrator.stats.stopping.capacity import Capacity
from orchestrator.stats.thresholds import Threshold, primary_threshold
from orchestrator.storage.reader import open_campaign
from orchestrator.storage.records import CapacityQuestion, PlannedTrial
from orchestrator.storage.writer import CampaignWriter
from orchestrator.subject.schedule import Length, length_of_stream

NAME = "capacity"
"""Of the campaign, and of the folder below ``results`` where it lies."""
CLOSED = {"rule": "rounds", "min_rounds": 2, "max_rounds": 1000, "max_seconds": 3.0}
"""How the closed loop is measured whose throughput bounds the search: two rounds, and 3 s."""
SLACK = 1.1
"""So much longer than its search has left may a rate take: its last stream must not be cut by a hair."""
NOTHING_KEPT = 3
"""Exit code where a trial is certified at no rate."""


def execute(asked: CapacitySearch) -> int:
    """Search each trial that the command line describes. Returns the exit code."""
    began_s = time.monotonic()
    deadline, composing = time_of(asked.deadline), asked.composing
    own = (f"load.rate_per_s={ANY_RATE:g}", f'analysis.primary="{deadline.label}"')
    with Progress(0, None if composing.quiet else sys.stderr) as waiting:
        composed = compose_campaign(replace(composing, overrides=(*composing.overrides, *own)), waiting.say)
    composed = replace(composed, composition=replace(composed.composition, name=NAME))
    with open_site(composed.campaign, composed.trials) as site:
        plan = plan_on(site, composed, rates_are_known=False)
        if plan.infeasible:
            first = plan.infeasible[0]
            raise InputError(f"{first.trial.model.name} on {first.trial.system.name} cannot run here: {first.reason}; leave it out")
        question = CapacityQuestion(
            deadline=deadline.label,
            keep=asked.keep,
            max_seconds=asked.max_seconds,
            minutes=asked.minutes,
            trials=tuple(at_any_rate(planned.trial) for planned in plan.trials),
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


def in_closed_loop(trial: Trial) -> Trial:
    """Return a searched trial as it is measured in a closed loop."""
    return trial.model_copy(update={"load": LoadConfig(), "measurement": trial.measurement.model_copy(update=CLOSED)})


def at_rate(trial: Trial, chosen: Choice, question: CapacityQuestion, samples: int) -> Trial:
    """Return a searched trial, of so many samples, at a rate, with as many streams at most as were chosen."""
    load = trial.load.model_copy(update={"rate_per_s": chosen.rate_per_s})
    length = length_of_stream(load, chosen.rate_per_s, samples)
    rounds = length.rounds
    own = {
        "rule": Capacity.name,
        "rule_options": {
            "deadline_ms": time_of(question.deadline).ns / 1e6,
            "keep": question.keep,
            "most_streams": chosen.most_streams,
            "error": FAMILY_ERROR / MOST_PROBES,
        },
        "min_rounds": (FIRST_LOOK if chosen.most_s is None else 1) * rounds,  # seconds count from there on
        "max_rounds": 2 * chosen.most_streams * rounds,
        "max_seconds": None if chosen.most_s is None else _seconds_of_rounds(chosen, length, samples),
    }
    return trial.model_copy(update={"load": load, "measurement": trial.measurement.model_copy(update=own)})


def _seconds_of_rounds(chosen: Choice, length: Length, samples: int) -> float:
    """Return how long rounds may take beyond those of the first stream, in s; the seconds of a rule are without ramps."""
    assert chosen.most_s is not None
    of_rounds = length.rounds * samples / length.arrivals(samples)
    return max(1.0, round(SLACK * chosen.most_s * of_rounds - length.rounds * samples / chosen.rate_per_s, 1))


class Explorer:
    """Plans the next rate of every search of a campaign, from what is stored of it.

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
        self._first: tuple[float, float] | None = None
        self._known: list[Candidate] = []

    def __call__(self, progress: Progress) -> Sequence[PlannedTrial]:
        """Return the trials to measure next, which are trials of the campaign from here on; none where all searches are over."""
        standing = standing_in(self._writer.directory, self._question)
        left_s = self._left_s(standing, time.monotonic() - self._began_s - progress.waited_s)
        chosen = [
            replace(candidate, trial=at_rate(candidate.trial, choice, self._question, candidate.inspection.samples))
            for candidate, choice in zip(self._candidates(), choices(standing, self._question, left_s), strict=True)
            if choice is not None
        ]
        planned = make_plan_of(chosen).trials
        known = {one.trial_id for one in self._writer.record.trials}
        planned = tuple(one for one in planned if one.trial_id not in known)
        if planned:
            self._writer.add(planned)
            progress.add(planned, {one.trial_id: _name(one.trial) for one in planned})
        elif told := time_is_up(standing, self._question, left_s):
            progress.say(told)
        return [one for one in planned if one.state == "planned"]

    def _left_s(self, standing: Standing, spent_s: float) -> float | None:
        """Return how much may be measured yet, in s that are stored, by how these have passed since the first call."""
        stored_s = seconds_spent(standing.searches)
        first_spent_s, first_stored_s = self._first = self._first or (spent_s, stored_s)
        pace = pace_of(spent_s - first_spent_s, stored_s - first_stored_s)
        return seconds_left(self._question.minutes, spent_s, standing.report_s, pace)

    def _candidates(self) -> list[Candidate]:
        """Return what the searched trials work on and where, which is looked at once."""
        if not self._known:
            self._known = look_at(self._site, [(trial, "") for trial in self._question.trials])
        return self._known


def _name(trial: Trial) -> str:
    return f"{trial.model.name} {trial.system.name} {trial.runtime.name} {trial.load.words}"


def searches_in(directory: Path, question: CapacityQuestion) -> list[Search]:
    """Return the searches of a campaign, one for each trial that was asked about, in their order."""
    return searches_of(load_trials(open_campaign(directory)), question.trials)[: len(question.trials)]


def standing_in(directory: Path, question: CapacityQuestion) -> Standing:
    """Return how the searches of a campaign stand, by what is stored of it."""
    began_s, busy_s = time.monotonic(), time.process_time()
    searches = searches_in(directory, question)
    reading_s = time.monotonic() - began_s
    slowdown = max(1.0, reading_s / max(time.process_time() - busy_s, 1e-3))
    return standing_of(searches, question, time_of(question.deadline), reading_s, slowdown)


def goes_on(standing: Standing, question: CapacityQuestion) -> bool:
    """Return whether anything is left to measure, by what is stored."""
    left_s = seconds_left(question.minutes, seconds_spent(standing.searches), standing.report_s)
    return any(choices(standing, question, left_s))


def time_is_up(standing: Standing, question: CapacityQuestion, left_s: float | None = None) -> str:
    """Return that a budget has ended searches before their brackets are narrow, and why; nothing where it has not.

    ``left_s`` is what is left to measure of it; by what is stored, if not given.
    """
    if question.minutes is None or not standing.wide:
        return ""
    if left_s is None:
        left_s = seconds_left(question.minutes, seconds_spent(standing.searches), standing.report_s)
    left, takes = max(0.0, left_s or 0.0), least_s(standing, question)
    return (
        f"too little is left of {question.minutes:g} min for another rate: {left:.0f} s, of {takes} s that it takes at least, besides "
        f"{standing.report_s:.0f} s that are kept for the report; {standing.wide} of {len(question.trials)} brackets are wide"
    )


def exit_code(code: int, directory: Path, question: CapacityQuestion) -> int:
    """Return the exit code of a campaign whose measurement ended with ``code``: 3 where that was well and a trial keeps it at no rate."""
    if code:
        return code
    return NOTHING_KEPT if any(search.bracket.certified is None for search in searches_in(directory, question)) else 0
