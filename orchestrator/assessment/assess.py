"""Hold requirements against stored campaigns: one verdict for each, from timings alone."""

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import replace
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Any

from orchestrator.analysis.loading import copies_among, copies_in_words
from orchestrator.analysis.units import FEW, ONE_STRETCH
from orchestrator.assessment import quality, rounds, starts, systems
from orchestrator.assessment.axes import unmatched
from orchestrator.assessment.case import Case, NotShown
from orchestrator.assessment.machines import machines_in_words
from orchestrator.assessment.rates import by_rate
from orchestrator.assessment.requirements import AnswersAsked, Requirement, Requirements
from orchestrator.assessment.subjects import Session, subjects_of
from orchestrator.assessment.verdicts import Assessed, Assessment, Basis, Finding, many, worst
from orchestrator.contracts import InputError
from orchestrator.metrics import UnknownMetric, find_metric, known_metrics


def _answers(case: Case, asked: AnswersAsked) -> Finding:
    judge = rounds.answers_between_rounds if asked.between == "rounds" else systems.answers_between_systems
    return judge(case, asked)


JUDGES: Mapping[str, Callable[[Case, Any], Finding]] = {
    "tail_quality": quality.tail_quality,
    "latency": quality.latency,
    "deadline": rounds.deadline,
    "late_answers": rounds.late_answers,
    "first_inference": starts.first_inference,
    "cold_start": starts.cold_start,
    "memory": starts.memory,
    "answers": _answers,
    "capacity": systems.capacity,
}
"""What judges a requirement of each kind."""


def assess(requirements: Requirements, sessions: Sequence[Session]) -> Assessment:
    """Return the verdict on every requirement; equal files and settings give equal assessments.

    A requirement is *met* where every system that it is for is shown to meet it, *not met* where any is shown not to, else *not shown*.
    Each may risk the error that `Requirements.error_of` gives; a *met* needs all its systems, so that these need no share of it. A trial
    that is a copy of another one counts once, however many campaigns have it.

    Parameters
    ----------
    requirements
        as `requirements.read_requirements` returns them.
    sessions
        campaigns as `subjects.read_session` returns them.

    Raises
    ------
    InputError
        for a metric that is known neither here nor to any of these trials.
    """
    for requirement in requirements.requirements:
        _check_metric(requirement, sessions)
    copies = copies_among([session.with_rounds for session in sessions])
    again = {(copy.campaign, copy.trial_id) for copy in copies}
    return Assessment(
        requirements,
        tuple(_assessed(requirement, requirements.error_of(requirement), sessions, again) for requirement in requirements.requirements),
        tuple(_campaign(session) for session in sessions),
        (*copies_in_words(copies), *machines_in_words([record for session in sessions for record in session.records])),
    )


def _check_metric(requirement: Requirement, sessions: Sequence[Session]) -> None:
    """Raise InputError for a metric that nobody knows: a name that is mistyped. Stored scores may be of a metric that is not here."""
    metric = getattr(requirement.asked, "metric", None)
    stored = {name for session in sessions for data in session.with_rounds for name in data.scores}
    if metric is None or metric in stored:
        return
    try:
        find_metric(metric)
    except UnknownMetric as error:
        known = sorted({*known_metrics(), *stored})
        nearest = get_close_matches(metric, known, n=1)
        meant = f" (did you mean {nearest[0]}?)" if nearest else ""
        raise InputError(
            f"requirement {requirement.id}: {requirement.kind}.metric={metric}: there is none of that name{meant}; "
            f"choose one of {', '.join(known)}"
        ) from error


def _assessed(requirement: Requirement, error: float, sessions: Sequence[Session], again: Set[tuple[int, str]]) -> Assessed:
    subjects = subjects_of(requirement, sessions, again)
    if requirement.capacity is not None:
        subjects = by_rate(subjects)
    every = [texts for session in sessions for texts in session.texts]
    findings = (
        *(_finding(Case(requirement, subject, error)) for subject in subjects),
        *(Finding("not shown", "no figure", why) for why in unmatched(requirement, every)),
    )
    return Assessed(requirement, worst(one.verdict for one in findings), error, findings)


def _finding(case: Case) -> Finding:
    """Return what one system shows of a requirement, a *met* only on the evidence that is asked for."""
    requirement, subject = case.requirement, case.subject
    if not subject.with_rounds:
        return Finding("not shown", "no figure", "; ".join(subject.without_rounds), subject.match_key, subject.who)
    try:
        found = JUDGES[requirement.kind](case, requirement.asked)
    except (NotShown, InputError) as why:  # a metric that cannot judge the answers of this system hides no other one
        found = case.not_shown(str(why))
    basis = subject.basis
    lacking = _lacking(case, found, basis)
    if found.verdict == "met" and lacking:
        found = replace(found, verdict="not shown", missing="; ".join(lacking), more_rounds=_more_rounds(requirement, basis))
    elif found.verdict == "not shown" and lacking:
        found = replace(found, missing="; ".join(filter(None, [found.missing, *lacking])))
    flags = tuple(dict.fromkeys((*(() if requirement.capacity is not None else subject.flags), *found.flags)))
    return replace(found, match_key=subject.match_key, who=subject.who, basis=basis, flags=flags)


def _lacking(case: Case, found: Finding, basis: Basis) -> list[str]:
    """Return in words what stands in the way of *met*. Of a rate that is kept, its own trial counts: higher ones may be overloaded."""
    requirement, subject = case.requirement, case.subject
    if requirement.capacity is not None:
        return [*_too_little(requirement, basis), *_unaccepted(requirement, found.flags)]
    return [*subject.without_rounds, *_too_little(requirement, basis), *_unaccepted(requirement, subject.flags)]


def _too_little(requirement: Requirement, basis: Basis) -> list[str]:
    """Return what is missing of the least evidence, in words."""
    least = requirement.evidence
    counts = (
        ("round", least.rounds, basis.rounds),
        ("visit", least.visits, basis.visits),
        ("process", least.processes, basis.processes),
        ("session", least.sessions, basis.sessions),
    )
    ends = {"session": " on other days"}
    return [
        f"{wanted - has} more {name if wanted - has == 1 else many(name)}{ends.get(name, '')} of the {wanted} asked for"
        for name, wanted, has in counts
        if has < wanted
    ]


def _more_rounds(requirement: Requirement, basis: Basis) -> int | None:
    return max(requirement.evidence.rounds - basis.rounds, 0) or None


def _unaccepted(requirement: Requirement, flags: Sequence[str]) -> list[str]:
    """Return in words the flags that stand in the way of *met*."""
    accepted = (*requirement.evidence.accept_flags, ONE_STRETCH, FEW)  # each judge counts units by itself
    found = [flag for flag in flags if not any(fnmatchcase(flag, pattern) for pattern in accepted)]
    return [f"flagged: {', '.join(found)}"] if found else []


def _campaign(session: Session) -> Mapping[str, Any]:
    """Return what identifies a campaign to a reader of the assessment."""
    record = session.campaign
    return {
        "name": record.name,
        "created_at": record.created_at.isoformat(),
        "code_version": record.code_version,
        "code_digest": record.code_digest,
        "trials": len(record.trials),
    }
