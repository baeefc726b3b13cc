"""The third of the five answers: is it shown, for which samples and processes, and which flags touch it."""

from __future__ import annotations

from orchestrator.analysis.tail_quality import IN_SAMPLE
from orchestrator.report.answer_parts import Case, Said, plain
from orchestrator.report.standing_words import listed
from orchestrator.report.standings import UNSTEADY, Order
from orchestrator.report.tied_systems import LATE_FOR_OTHERS, RESERVE, compared, full_name, how_far_apart, leading


def is_it_shown(case: Case) -> Said:
    """Say for samples and processes whether the data show what the first answer says, and which flags touch that."""
    question = "Is it shown"
    if not case.tested:
        return Said(question, "Not tested at this deadline", case.needed)
    processes = sorted({one.processes for one in case.found})
    fresh = processes[0] > 1
    count = str(processes[0]) if len(processes) == 1 else f"{processes[0]} to {processes[-1]}"
    tie = case.models[0] if len(case.models) == 1 else None
    order = f"Less than {case.name(tie.best)}; no order within the tie." if tie and tie.tied and tie.behind else ""
    whether = _whether(case, fresh)
    told = " ".join(filter(None, (order, _fresh_processes(whether, count if fresh else ""), _other_samples(case))))
    return Said(question, whether, (*((plain(told),) if told else ()), plain(_flags_said(case)), *case.needed))


def _fresh_processes(whether: str, count: str) -> str:
    """Say for fresh processes what the short answer leaves out: ``count`` of each system ran, empty where only one did."""
    if "fresh processes" in whether:
        return f"Each system ran as {count} processes." if count else ""
    if not count:
        return "Fresh processes: not known."
    return f"{'Also' if whether.startswith('Yes') else 'Nor is one'} shown for fresh processes ({count} of each system)."


def _other_samples(case: Case) -> str:
    """Say what is known of other samples than these, and how to get more of them."""
    if len(case.models) > 1 and case.compares_models and case.ranked.models_apart:
        return ""
    alone = len(case.models) > 1 and case.compares_models and len(leading(case)) == 1
    limit = case.ranked.group.trials[0].record.trial.task.limit
    more = f"the task has only these {case.samples}" if limit is None else f"task.limit above {limit} adds some"
    return f"Other samples: {'not shown' if alone else 'not known'}; {more}."


def _reserve(case: Case) -> str:
    """Say that what is compared here has flags: the best, what ties with it, and what is next behind."""
    return RESERVE if any(one.flags for one in compared(case)) else ""


def _flags_said(case: Case) -> str:
    """Say which flags the compared systems have and what that does to the answer, or that they have none; and what is unsteady."""
    found, heads = compared(case), case.ranked.heads
    flags = dict.fromkeys(flag for one in found for flag in one.flags)
    whose = {flag: [one for one in found if flag in one.flags] for flag in flags}
    of_all = [flag for flag, ones in whose.items() if len(ones) == len(found)]
    told = [f"{'Both carry' if len(found) == 2 else 'All of these carry'}: {', '.join(of_all)}."] if of_all else []
    of_some = [flag for flag in flags if flag not in of_all]
    if len(of_some) > 1:
        told += [f"Some are flagged, see below: {', '.join(of_some)}."]
    elif of_some:
        told += [f"Flagged: {listed([full_name(case, one) for one in whose[of_some[0]]])} ({of_some[0]})."]
    if any(flag in LATE_FOR_OTHERS for flag in flags):
        told += ["Times may be longer than alone; whether the order would be the same alone is not known."]
    elif set(flags) == {IN_SAMPLE}:
        told[-1] = f"{told[-1][:-1]}, which may hide a difference but makes none up."
    elif flags and len(case.models) > 1 and not any(one.flags for one in heads):
        told += ["The best systems, which are compared, have no flag."]
    elif flags:
        told += ["Whether that changes the order is not known."]
    else:
        told += ["No flag touches these systems."]
    unsteady = [full_name(case, one) for one in (heads if len(case.models) > 1 else found) if UNSTEADY in one.marks]
    told += [f"Unsteady: {listed(unsteady)}."] if unsteady and len(unsteady) < len(found) else []
    return " ".join(told)


def _whether(case: Case, fresh: bool) -> str:
    ranked, models, these = case.ranked, case.models, f"these {case.samples} samples"
    reserve = _reserve(case)
    if len(models) > 1 and not case.compares_models:
        return "Models were not tested against each other"
    if len(models) > 1:
        best, *others = ranked.heads
        heads = leading(case)
        if len(heads) > 1:
            return _no_difference(Order(best, tuple(heads[1:]), ()), best.model, reserve, these)
        here = f"For {these}{' and fresh processes' if fresh else ''}"
        if ranked.here_alone(best, others):
            yes = f"{here}{reserve}" if reserve else f"{here} yes"
            return f"{yes}; other samples no{'' if fresh else '; fresh processes not yet'}"
        return f"Yes{reserve}, for samples like these {case.samples}{' and fresh processes' if fresh else '; fresh processes not yet'}"
    order = models[0]
    if not order.behind:
        if order.best.keeps_all and all(one.keeps_all for one in order.tied):
            return "No difference: all keep all there is"
        return _no_difference(order, case.name(order.best), reserve, these)
    if order.tied:
        others_keep = f"{len(order.behind)} others keep" if len(order.behind) > 1 else "the other keeps"
        return f"Yes{reserve}: {others_keep} less on {these}"
    return f"Yes{reserve}{',' if reserve else ''} for {these}{' and fresh processes' if fresh else '; fresh processes not yet'}"


def _no_difference(order: Order, name: str, reserve: str, these: str) -> str:
    """Say that nothing is told apart, and how far apart that may be."""
    return f"No difference shown{reserve}: {how_far_apart(order, name, '' if reserve else ' apart')} for {these}"
