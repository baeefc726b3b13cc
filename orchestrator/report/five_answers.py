"""The answer of a task as five short ones: which wins, by how much, is it shown, is the deadline kept, and what is doubtful."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from orchestrator.analysis.flags import UNSTEADY
from orchestrator.analysis.ranking import Order, shared
from orchestrator.metrics.interface import PLAIN
from orchestrator.report.answer_parts import Case, FiveAnswers, Line, Piece, Said, kept_from_ns, plain
from orchestrator.report.deadline_answer import from_when, is_it_kept, only_from_when, promise
from orchestrator.report.scopes import scopes_of, sentence, told_of_processes, told_of_samples
from orchestrator.report.shown_answer import is_it_shown
from orchestrator.report.standing_words import NAMED, counted, listed, mean_kept
from orchestrator.report.tied_systems import (
    ends_of,
    full_name,
    how_alike,
    how_far_apart,
    leading,
    less_at_most,
    not_worse,
    of_ideal,
    on_shared_machine,
    together,
    written_less,
    written_more,
)

MANY_SYSTEMS, MANY_DOUBTS = 16, 3
"""Above both, what to do about doubts takes half of the first screen, and is left to the glossary, to which each is a link."""
MODELS = ("model", "best", "next behind", "last", "keeps its quality")
"""Headings of the table with a row per model."""


def five_answers(case: Case) -> FiveAnswers:
    """Return the answers of a task that has a deadline; of one system those that compare nothing."""
    compared = (_much(case), is_it_shown(case)) if len(case.found) > 1 else ()
    models = tuple(_model_row(case, order) for order in case.models) if len(case.models) > 1 else ()
    return FiveAnswers((_wins(case), *compared, is_it_kept(case), doubtful(case)), models)


def without_deadline(case: Case, why: Iterable[str]) -> FiveAnswers:
    """Return what can be answered of a task whose trials have no common deadline: which deadline is kept, and what is doubtful."""
    nothing = Said("Which wins", "There is no common deadline", tuple(map(plain, why)))
    first = min(case.found, key=kept_from_ns, default=None)
    if first is None:
        return FiveAnswers((nothing,))
    kept = Said("Which deadline is kept", f"{full_name(case, first)} keeps its quality {from_when(first)}", (plain(promise(case, first)),))
    return FiveAnswers((nothing, kept, doubtful(case)))


def _wins(case: Case) -> Said:
    """Say which model or system keeps most and what is not shown worse, and first whether none keeps its quality."""
    found, models = case.found, case.models
    first = models[0]
    if len(found) == 1:
        return Said(f"What is kept within {case.within}", f"{case.name(found[0])}: {of_ideal(found[0])}")
    question = f"Which wins within {case.within}"
    if first.best.level[0] <= 0:
        return Said(question, "Nothing: no system keeps anything within it")
    none = "" if any(map(case.keeps, found)) else f"{'Neither' if len(found) == 2 else 'None'} keeps its quality; "
    alone = (plain("On a shared machine, which makes answers late."),) if none and on_shared_machine(case) else ()
    if len(models) == 1:
        return Said(question, _best_alone(case, first, none), (*_alike(case, first), *_of_what(case), *alone))
    heads = leading(case)
    if len(heads) > 1:
        tie = f"{'' if none else 'No winner: '}{counted(len(heads), len(models), 'models')} tie, {ends_of(heads)}"
        where = "; ".join(f"{one.model} on {case.name(one)}" for one in heads[:3])
        return Said(question, none + tie, (plain(f"Their best systems: {where}."), *alone))
    leads = "" if none or case.compares_models else " is ahead"
    second = case.ranked.heads[1]
    further = first.best.scale == PLAIN and less_at_most(first) > first.best.mean - second.mean
    beats = f", and so need not beat {second.model}" if further else ""
    lines = (plain(f"{not_worse(case, first)}{beats}."),) if first.tied else ()
    return Said(
        question,
        f"{none}{'most: ' if none else ''}{full_name(case, first.best)}{leads}, {of_ideal(first.best, '')}",
        (*lines, *alone),
    )


def _best_alone(case: Case, order: Order, none: str) -> str:
    """Say which system of the one model keeps most, and how many are not shown worse."""
    name, size = case.name(order.best), len(case.found)
    if len(order.tied) == size - 1:
        return f"{none or 'No winner: '}{counted(size, size, 'systems')} tie, {ends_of([order.best, *order.tied])}"
    if order.tied and none:
        return f"{none}most: {name}, {of_ideal(order.best, '')}"
    if order.tied:
        return f"{name}, {of_ideal(order.best, '')}; {len(order.tied)} of {size - 1} others not shown worse"
    if not order.worse:
        return f"{none}{name} is ahead, {of_ideal(order.best, '')}; not tested"
    more = "more" if size == 2 else "most"
    return f"{none}{name} keeps {more}, {of_ideal(order.best, '')}" if none else f"{name}, {of_ideal(order.best)}"


def _alike(case: Case, order: Order) -> Iterator[Line]:
    """Name what ties with the best system, with what each keeps."""
    if order.tied:
        yield plain(f"{not_worse(case, order)}.")


def _of_what(case: Case) -> Iterator[Line]:
    """Name what all systems of one model share."""
    told = [name for name in shared(case.found) if name not in case.name(case.found[0]).split(" · ")]
    if told:
        yield plain(f"{'Both' if len(case.found) == 2 else f'All {len(case.found)} systems'} are of {' · '.join(told)}.")


def _much(case: Case) -> Said:
    """Say by how much the winner leads, or how far apart at most what ties is; then what is behind."""
    models, question, here = case.models, "By how much", f"For these {case.samples} samples"
    first = models[0]
    best, *others = case.ranked.heads
    if len(models) == 1:
        if len(first.tied) == len(case.found) - 1:
            return Said(question, f"A tie: {how_far_apart(first, case.name(best))}", (plain(f"{here}."),))
        if first.tied:
            return Said(question, _tie_in_short(case, first), (plain(f"{here}."), *_behind(case, first)))
        next_behind, last = case.found[1], case.found[-1]
        more = plain(f"{here}; {case.name(next_behind)} keeps {mean_kept(next_behind)}.")
        of_last = (plain(f"The last: {case.name(last)}, {mean_kept(last)}."),) if last is not next_behind else ()
        return Said(question, written_more(best, next_behind, case.name(next_behind)), (more, *of_last))
    heads = leading(case)
    if len(heads) > 1:
        return Said(question, f"A tie: {how_far_apart(case.ranked.models, best.model)}", (plain(f"{here}."),))
    second = others[0]
    as_much = best.level[0] == second.level[0]
    short = f"Nothing: as much as {second.model}" if as_much else written_more(best, second, second.model)
    return Said(question, short, (plain(f"{here}; that keeps {of_ideal(second, '')} on {case.name(second)}."),))


def _tie_in_short(case: Case, order: Order) -> str:
    """Say what is not shown worse than the best, and how much less that may be."""
    names = [case.name(one) for one in order.tied]
    who = together(names) if len(names) < NAMED else f"{len(names)} of {len(case.found) - 1} others"
    kind, much = how_alike(order)
    if kind == "exactly":
        return f"{who}: exactly as much"
    return f"{who} not shown worse: means up to {much} less" if kind == "means" else f"{who} not shown worse: at most {much} less"


def _behind(case: Case, order: Order) -> Iterator[Line]:
    """Say what is the first that is behind, by how much, and what is the last."""
    if order.behind:
        first, last = order.behind[0], order.behind[-1]
        yield plain(f"Next behind: {case.name(first)}, {mean_kept(first)}: {written_less(order.best, first, ' less')}.")
        if last is not first:
            yield plain(f"The last: {case.name(last)}, {mean_kept(last)}.")


def doubtful(case: Case) -> Said:
    """Say what is in doubt: the samples, flags, unsteady systems and deadlines that are not certified."""
    parts = ([f"{case.samples} samples"] if _rests_on_samples(case) else []) + list(_counts(case))
    alone = len(case.found) == 1  # of several systems the third answer says it
    lines = [_told_of_one(case)] if alone else []
    crowded = len(case.found) > MANY_SYSTEMS and len(case.doubts) > MANY_DOUBTS
    for doubt in case.doubts:
        kind = "aside" if doubt.term == UNSTEADY else "remedy"
        remedy = (Piece(f"; {doubt.remedy}", kind=kind),) if doubt.remedy and not crowded else ()
        lines.append((Piece(doubt.term, doubt.href), Piece(f": {doubt.whose}"), *remedy, Piece(".")))
    lines += [plain("What to do about each stands in the glossary.")] if crowded else []
    nothing = "not all trials are done" if case.unwell else "nothing: no flag, no unsteady system, every deadline certified"
    short = "; ".join(parts) or nothing
    return Said("What is doubtful", short[:1].upper() + short[1:], (*lines, *case.unwell))


def _told_of_one(case: Case) -> Line:
    """Say of a single system, which nothing is compared with, what its figures say nothing of."""
    [one] = case.found
    told = [told_of_samples(case.ranked.group, "not tested")]
    told += [] if one.processes > 1 else [told_of_processes(case.ranked, "not tested")]
    return plain(" ".join(sentence(part) for part in told))


def _counts(case: Case) -> Iterator[str]:
    """Count systems with flags, unsteady ones, and those whose deadline is not certified."""
    size = len(case.found)
    flagged, unsteady = sum(bool(one.flags) for one in case.found), sum(UNSTEADY in one.marks for one in case.found)
    told = [f"{count} {what}" for count, what in ((flagged, "flagged"), (unsteady, "unsteady")) if count]
    none = ", none certified" if case.uncertified == size else ""
    if told and {flagged, unsteady} <= {0, size}:
        whose = {1: "the system", 2: "both systems"}.get(size, f"all {size} systems")
        yield f"{whose} {' and '.join(one.split()[1] for one in told)}{none}"
    elif told:
        yield f"of {size} systems {', '.join(told)}{none}"
    if case.uncertified and not (told and none):
        yield "no deadline certified" if none else f"{case.uncertified} deadlines not certified"


def _rests_on_samples(case: Case) -> bool:
    """Return whether other samples might say otherwise: of models unless they were shown to say the same."""
    return not (case.tested and scopes_of(case.ranked).samples_like_these == "shown")


def _model_row(case: Case, order: Order) -> tuple[str, ...]:
    """Return the cells of one model: its best or its tie, what is next behind, the last, and which deadlines are kept."""
    first, last = (order.behind[0], order.behind[-1]) if order.behind else (None, None)
    late = [f"{case.name(one)} {only_from_when(case, one)}" for one in (order.best, *order.tied) if not case.keeps(one)]
    keeps = from_when(order.best) if case.keeps(order.best) else "no"
    alike = f"; {not_worse(case, order)}" if order.tied else ""
    return (
        order.best.model,
        f"{case.name(order.best)}, {of_ideal(order.best)}{alike}",
        f"{case.name(first)}, {mean_kept(first)}: {written_less(order.best, first, ' less')}"
        if first
        else "not tested"
        if order.untested
        else "none: all tie"
        if order.tied
        else "none",
        f"{case.name(last)}, {mean_kept(last)}" if last and last is not first else "",
        f"{keeps}{'; ' if case.keeps(order.best) else ': '}{listed(late)}" if late else keeps,
    )
