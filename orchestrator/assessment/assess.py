"""Hold requirements against stored campaigns: one verdict for each, from timings alone."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from orchestrator.analysis.loading import copies_among, copies_in_words
from orchestrator.analysis.trial_data import TrialData
from orchestrator.analysis.units import FLAGS_OF_UNITS
from orchestrator.assessment.kinds import COUNTED, Basis, Outcome, say, worst
from orchestrator.assessment.requirements import Evidence, Requirement, Requirements
from orchestrator.assessment.subjects import Measured, NotShown, Session, Subject, by_rate, is_for, unmatched
from orchestrator.contracts import InputError, by_key
from orchestrator.stats.requirements import Verdict
from orchestrator.storage.records import CampaignRecord, TrialRecord

# By the worst verdict of all.
EXIT_CODES: Mapping[Verdict, int] = {"not met": 1, "not shown": 3, "met": 0}


@dataclass(frozen=True)
class Assessed:
    """One requirement and what each system shows of it; ``allowed_error`` is the probability of a false verdict that it may risk."""

    requirement: Requirement
    verdict: Verdict
    allowed_error: float
    findings: tuple[Outcome, ...]


@dataclass(frozen=True)
class Assessment:
    """Every requirement of a file, held against campaigns; ``remarks`` say what of these was left out."""

    requirements: Requirements
    assessed: tuple[Assessed, ...]
    campaigns: tuple[CampaignRecord, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        return EXIT_CODES[worst([one.verdict for one in self.assessed])]


def assess(requirements: Requirements, sessions: Sequence[Session]) -> Assessment:
    """Return the verdict on every requirement; equal files and settings give equal assessments.

    A requirement is *met* where every system that it is for is shown to meet it, *not met* where any is shown not to, else *not shown*.
    Each may risk the error that `Requirements.error_of` gives; a *met* needs all its systems, so that these need no share of it. A trial
    that is a copy of another one counts once, however many campaigns have it.
    """
    copies = copies_among([session.with_rounds for session in sessions])
    again = {(copy.campaign, copy.trial_id) for copy in copies}
    assessed = []
    for requirement in requirements.requirements:
        error = requirements.error_of(requirement)
        every = [texts for session in sessions for texts in session.texts]
        findings = (
            *(_finding(requirement, subject, error) for subject in _subjects(requirement, sessions, again)),
            *(Outcome("not shown", missing=why) for why in unmatched(requirement.trials, every)),
        )
        assessed.append(Assessed(requirement, worst([one.verdict for one in findings]), error, findings))
    machines = _machines([record for session in sessions for record in session.records])
    campaigns = tuple(session.campaign for session in sessions)
    return Assessment(requirements, tuple(assessed), campaigns, (*copies_in_words(copies), *machines))


def _subjects(requirement: Requirement, sessions: Sequence[Session], again: Set[tuple[int, str]]) -> list[Subject]:
    """Return the systems that a requirement is for, in the order of the first campaign that has each.

    ``again`` are the trials that are copies of others, by the place of their campaign and their id: they are left out.
    """
    measured = (
        Measured(record, *session.measured.get(record.trial_id, (None, None)))
        for place, session in enumerate(sessions)
        for record, texts in zip(session.records, session.texts, strict=True)
        if (place, record.trial_id) not in again and is_for(requirement.trials, texts)
    )
    found = by_key(measured, lambda one: one.record.match_key)
    if requirement.asked.at_any_rate:
        return by_rate([each for trials in found.values() for each in trials])
    return [Subject(key, tuple(trials)) for key, trials in found.items()]


def _finding(requirement: Requirement, subject: Subject, error: float) -> Outcome:
    """Return what one system shows of a requirement, a *met* only on the evidence that is asked for."""
    if not subject.trials:
        return Outcome("not shown", missing="; ".join(subject.without_rounds), match_key=subject.match_key, who=subject.who)
    try:
        found = requirement.asked.judge(subject, error)
    except (NotShown, InputError) as why:  # a metric that cannot judge the answers of this system hides no other one
        found = Outcome("not shown", missing=str(why))
    basis, of_one_rate = _basis(subject.trials), requirement.asked.at_any_rate
    # Of a rate that is kept, its own trial counts: higher ones may be overloaded.
    flags = found.flags if of_one_rate else subject.flags
    lacking = [*([] if of_one_rate else subject.without_rounds), *_lacking(requirement.evidence, basis, flags)]
    if lacking and found.verdict != "not met":
        more = found.more_rounds if found.verdict == "not shown" else max(requirement.evidence.rounds - basis["rounds"], 0) or None
        found = replace(found, verdict="not shown", missing="; ".join(filter(None, [found.missing, *lacking])), more_rounds=more)
    return replace(found, match_key=subject.match_key, who=subject.who, basis=basis, flags=tuple(dict.fromkeys(flags)))


def _basis(trials: Sequence[TrialData]) -> Basis:
    days = {process.started_at.date() for data in trials for process in data.record.processes}
    days |= {data.record.started_at.date() for data in trials if data.record.started_at is not None and not data.record.processes}
    return {
        "rounds": sum(len(data.times[data.clock]) for data in trials),
        "visits": sum(data.visit_count for data in trials),
        "processes": sum(max(1, len(data.record.processes)) for data in trials),
        "sessions": max(1, len(days)),
    }


def _lacking(least: Evidence, basis: Basis, flags: Sequence[str]) -> list[str]:
    """Return in words what stands in the way of *met*: too little evidence, and flags that are not accepted."""
    accepted = (*least.accept_flags, *FLAGS_OF_UNITS)  # each kind counts units by itself
    unaccepted = [flag for flag in flags if not any(fnmatchcase(flag, pattern) for pattern in accepted)]
    return say("lacking", least=least, basis=basis, counted=COUNTED, unaccepted=unaccepted).splitlines()


def _machines(records: Sequence[TrialRecord]) -> Iterator[str]:
    """Yield one sentence per set of several hosts that trials of one match key ran on: their sessions are no sessions of one machine."""
    repeats = by_key(records, lambda record: record.match_key).values()
    hosts = [{process.host for record in of_one for process in record.processes} for of_one in repeats]
    for names, systems in Counter(tuple(sorted(of)) for of in hosts if len(of) > 1).items():
        yield say("machines", names=names, systems=systems)
