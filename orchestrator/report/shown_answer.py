"""The third of the five answers: is it shown, for which samples and processes, and with what reserve."""

from __future__ import annotations

from orchestrator.analysis.flags import UNSTEADY
from orchestrator.analysis.tables.tail_quality import IN_SAMPLE
from orchestrator.report.answer_parts import Case, Line, Said, plain
from orchestrator.report.scopes import Scopes, scopes_of, sentence, shown_for, told_of_processes, told_of_samples
from orchestrator.report.standing_words import listed
from orchestrator.report.text import ended
from orchestrator.report.tied_systems import LATE_FOR_OTHERS, compared, full_name, with_reserve


def is_it_shown(case: Case) -> Said:
    """Say for samples and processes whether the data show what the first answer says, and which flags touch that."""
    question = "Is it shown"
    if not case.tested:
        return Said(question, "Not tested at this deadline", case.needed)
    found = scopes_of(case.ranked)
    reserve = with_reserve(flag for one in compared(case) for flag in one.flags)
    return Said(question, _whether(case, found, reserve), (*_scopes_told(case, found), plain(_flags_said(case)), *case.needed))


def _whether(case: Case, found: Scopes, reserve: str) -> str:
    """Say whether a difference is shown and for whom, in a dozen words."""
    models = case.models
    if found.here == "not tested":
        return f"{'Models' if len(models) > 1 else 'Systems'} were not tested against each other"
    if found.here == "not shown":
        if len(models) == 1 and all(one.keeps_all for one in case.found):
            return "No difference: all keep all there is"
        return f"No difference shown{reserve}{',' if reserve else ''} for {_these(case)}"
    if len(models) == 1 and models[0].tied:
        count = len(models[0].worse)
        return f"Yes{reserve}: {count} {'others keep' if count > 1 else 'other keeps'} less on {_these(case)}"
    return f"Yes{reserve}, for {shown_for(found, case.samples)}"


def _these(case: Case) -> str:
    return f"these {case.samples} samples"


def _scopes_told(case: Case, found: Scopes) -> tuple[Line, ...]:
    """Say in which order systems are that do not all tie, and what is known of other samples and of fresh processes."""
    tie = case.models[0] if len(case.models) == 1 else None
    order = f"Less than {case.name(tie.best)}; no order within the tie." if tie and tie.tied and tie.worse else ""
    told = [order] if order else []
    if found.here != "not tested":
        each = told_of_samples(case.ranked.group, found.samples_like_these), told_of_processes(case.ranked, found.fresh_processes)
        told += map(sentence, each)
    return (plain(" ".join(told)),) if told else ()


def _flags_said(case: Case) -> str:
    """Say which flags the compared systems have and what that does to the answer, or that they have none; and what is unsteady."""
    found, heads = compared(case), case.ranked.heads
    flags = dict.fromkeys(flag for one in found for flag in one.flags)
    whose = {flag: [one for one in found if flag in one.flags] for flag in flags}
    of_all = [flag for flag, ones in whose.items() if len(ones) == len(found)]
    told = [ended(f"{'Both carry' if len(found) == 2 else 'All of these carry'}: {', '.join(of_all)}")] if of_all else []
    of_some = [flag for flag in flags if flag not in of_all]
    if len(of_some) > 1:
        told += [ended(f"Some are flagged, see below: {', '.join(of_some)}")]
    elif of_some:
        told += [f"Flagged: {listed([full_name(case, one) for one in whose[of_some[0]]])} ({of_some[0]})."]
    if any(flag in LATE_FOR_OTHERS for flag in flags):
        told += ["Times may be longer than alone; whether the order would be the same alone is not known."]
    elif set(flags) == {IN_SAMPLE}:
        told += ["That may hide a difference but makes none up."]
    elif flags and len(case.models) > 1 and not any(one.flags for one in heads):
        told += ["The best systems, which are compared, have no flag."]
    elif flags:
        told += ["Whether that changes the order is not known."]
    else:
        told += ["No flag touches these systems."]
    unsteady = [full_name(case, one) for one in (heads if len(case.models) > 1 else found) if UNSTEADY in one.marks]
    told += [f"Unsteady: {listed(unsteady)}."] if unsteady and len(unsteady) < len(found) else []
    return " ".join(told)
