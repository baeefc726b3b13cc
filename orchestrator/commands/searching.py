"""The search of ``capacity`` for rates that are kept, which ``resume`` goes on with.

Which rates are next follows from what is stored alone, so that a search goes on wherever it was interrupted.
"""

import math
import time
import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from orchestrator.analysis.capacity import (
    REPORT_S,
    Next,
    Search,
    all_seconds,
    answers_within,
    length_of,
    minutes,
    searches_of,
    seconds_of,
    seconds_to_come,
    words_without_rate,
)
from orchestrator.analysis.loading import load_trials
from orchestrator.commands.measuring import More
from orchestrator.commands.planning import look_at
from orchestrator.commands.progress import Progress
from orchestrator.configuration.config import Trial
from orchestrator.contracts import InputError
from orchestrator.running.executor import Site
from orchestrator.running.plan import make_plan_of
from orchestrator.stats.capacity import rounded_rate
from orchestrator.stats.stopping.rules import Capacity
from orchestrator.stats.thresholds import Threshold, primary_threshold
from orchestrator.storage.reader import open_campaign
from orchestrator.storage.records import CapacityQuestion, PlannedTrial
from orchestrator.storage.writer import CampaignWriter
from orchestrator.subject.schedule import Length

# Exit code where no rate of a trial is certified
NOTHING_KEPT = 3


def time_of(text: str, option: str = "--deadline") -> Threshold:
    """Return a threshold that is a time. Raises InputError for anything else."""
    with suppress(InputError):  # it would take a percentile, too
        if found := primary_threshold(text, None):
            return found
    raise InputError(
        f"{option} {text[:40]}: must be a time, such as '50 ms'; a percentile would follow the system that it judges",
        "invalid",
        option,
        text,
    )


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


def exploring(question: CapacityQuestion, site: Site, writer: CampaignWriter, began_s: float) -> More:
    """Return what plans the next rates of every search of a campaign, from what is stored of it; none where all searches are over.

    ``began_s`` is when the command began, by `time.monotonic`, less what earlier commands have spent of the budget.
    """
    looked_at = look_at(site, [(trial, "") for trial in question.trials])

    def more(progress: Progress) -> Sequence[PlannedTrial]:
        searches = searches_in(writer.directory, question)
        spent_s = time.monotonic() - began_s - progress.waited_s
        left_s = math.inf if question.minutes is None else 60 * question.minutes - spent_s - REPORT_S
        answers = answers_within(searches, question, left_s)
        begun, alone = any(search.rates for search in searches), len(searches) == 1
        for line in [] if begun else forecast(searches, answers, spent_s + REPORT_S):
            progress.say(line)
        next_s = sum(seconds_of(search, search.next_rates(), number, alone) for search, number in zip(searches, answers, strict=True))
        takes_s = next_s if begun else all_seconds(searches, answers)
        if takes_s > left_s:
            needed = minutes(spent_s + takes_s + REPORT_S)
            what = "the next rates" if begun else f"streams of {max(answers)} answers, the shortest"
            progress.say(f"--minutes {question.minutes:g} is too short for {what}: about {needed:g} min are needed")
            return []
        chosen = []
        for candidate, search, number in zip(looked_at, searches, answers, strict=True):
            samples, wanted = candidate.inspection.samples, search.next_rates()
            chosen += [
                replace(candidate, trial=at_rate(candidate.trial, rate, wanted, question, length_of(search, number), samples))
                for rate in wanted.rates
            ]
        known = {one.trial_id for one in writer.record.trials}
        if planned := tuple(one for one in make_plan_of(chosen).trials if one.trial_id not in known):
            writer.add(planned)
            progress.add(planned, {one.trial_id: _name(one.trial, one.trial.load.words) for one in planned})
        return [one for one in planned if one.state == "planned"]

    return more


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


def exit_code(code: int, directory: Path, question: CapacityQuestion) -> int:
    """Return the exit code of a campaign whose measurement ended with ``code``: 3 where that was well and a trial has no certified rate."""
    return code or (NOTHING_KEPT if any(search.certified is None for search in searches_in(directory, question)) else 0)
