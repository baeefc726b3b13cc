"""The answer of a task as five short ones: which wins, by how much, is it shown, is the deadline kept, and what is doubtful."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

from orchestrator.analysis.from_the_best import EXACTLY
from orchestrator.analysis.tail_quality import IN_SAMPLE
from orchestrator.metrics.interface import PLAIN
from orchestrator.report.answer_parts import Case, FiveAnswers, Line, Piece, Said, kept_from_ns, plain
from orchestrator.report.standing_words import counted, difference, mean_kept, share_less
from orchestrator.report.standings import UNSTEADY, Order, Standing, shared
from orchestrator.report.text import milliseconds, quality, quality_at_most

NAMED = 4
"""Systems that are all named; of more the first three."""
RESERVE = ", with reserve"
MODELS = ("model", "best", "next behind", "last", "keeps its quality")
"""Headings of the table with a row per model."""


def five_answers(case: Case) -> FiveAnswers:
    """Return the answers of a task that has a deadline; of one system those that compare nothing."""
    compared = (_much(case), _shown(case)) if len(case.found) > 1 else ()
    models = tuple(_model_row(case, order) for order in case.models) if len(case.models) > 1 else ()
    lines = tuple(_model_lines(case)) if models else ()
    return FiveAnswers((_wins(case), *compared, _kept(case), doubtful(case)), models, lines)


def without_deadline(case: Case, why: Iterable[str]) -> FiveAnswers:
    """Return what can be answered of a task whose trials have no common deadline: which deadline is kept, and what is doubtful."""
    nothing = Said("Which wins", "There is no common deadline", tuple(map(plain, why)))
    first = min(case.found, key=kept_from_ns, default=None)
    if first is None:
        return FiveAnswers((nothing,))
    name = f"{f'{first.model} on ' if len(case.ranked.heads) > 1 else ''}{case.name(first)}"
    kept = Said("Which deadline is kept", f"{name} keeps its quality {_from(first)}", (plain(_promise(case, first)),))
    return FiveAnswers((nothing, kept, doubtful(case)))


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names[: NAMED - 1])} and {len(names) - NAMED + 1} more" if len(names) > NAMED else ", ".join(names)


def _of_ideal(one: Standing, its: str = "its ideal ") -> str:
    return f"{mean_kept(one)} of {its}{quality(one.ideal)}" if one.scale == PLAIN else f"{mean_kept(one)} of what there is to keep"


def _range(tied: Sequence[Standing]) -> str:
    """Write what tied systems keep, from the most to the least, and of how much."""
    first, last = tied[0], tied[-1]
    if first.scale == PLAIN and first.ideal != last.ideal:
        return " to ".join(dict.fromkeys(f"{mean_kept(one)} of {quality(one.ideal)}" for one in (first, last)))
    ends = " to ".join(dict.fromkeys(mean_kept(one) for one in (first, last)))
    return f"{ends} of their ideal {quality(first.ideal)}" if first.scale == PLAIN else f"{ends} of what there is to keep"


def _tied_models(case: Case) -> list[Standing]:
    best, *others = case.ranked.heads
    return [best, *(one for one in others if best.ties(one))]


def _wins(case: Case) -> Said:
    """Say which model or system keeps most, or what ties, and first whether none keeps its quality."""
    found, models = case.found, case.models
    first = models[0]
    if len(found) == 1:
        return Said(f"What is kept within {case.within}", f"{case.name(found[0])}: {_of_ideal(found[0])}")
    question = f"Which wins within {case.within}"
    if first.best.level[0] <= 0:
        return Said(question, "Nothing: no system keeps anything within it")
    none = "" if any(map(case.keeps, found)) else f"{'Neither' if len(found) == 2 else 'None'} keeps its quality; "
    if len(models) == 1:
        tied, of = [first.best, *first.tied], tuple(_of_what(case))
        if first.tied:
            which = (
                f"a tie of {'both' if len(found) == 2 else f'{len(tied)} of {len(found)}'} keeps most"
                if none
                else f"Tie of {counted(len(tied), len(found), 'systems')}"
            )
            names = plain(f"{_listed([case.name(one) for one in tied])}.")
            return Said(question, f"{none}{which}, {_range(tied)}", (names, *of, *_unsteady(case, tied)))
        name = case.name(first.best)
        said = f"{none}{name} keeps most, {_of_ideal(first.best, '')}" if none else f"{name}, {_of_ideal(first.best)}"
        return Said(question, said, of)
    tied_models = _tied_models(case)
    if case.compares_models and len(tied_models) > 1:
        tie = f"{'tie' if none else 'Tie'} of {counted(len(tied_models), len(models), 'models')}, {_range(tied_models)}"
        where = "; ".join(f"{one.model} on {case.name(one)}" for one in tied_models[:3])
        return Said(question, none + tie, (plain(f"Their best systems: {where}."),))
    leads = " keeps most" if none else "" if case.compares_models else " is ahead"
    with_it = f", {_in_a_tie(case, first)}: {_apart(first, 'it')}" if first.tied else ""
    lines = (plain(f"On {case.name(first.best)}{with_it}."), *_unsteady(case, [first.best, *first.tied]))
    return Said(question, f"{none}{first.best.model}{leads}, {_of_ideal(first.best, '' if none else 'its ideal ')}", lines)


def _in_a_tie(case: Case, order: Order) -> str:
    """Say with which systems the best of its model ties, and with how many where not all are named."""
    names, size = [case.name(one) for one in order.tied], len(order.tied) + len(order.behind)
    of_all = f"{counted(len(names), size, 'others')}: " if len(names) > NAMED else ""
    return f"which ties with {of_all}{_listed(names)}"


def _of_what(case: Case) -> Iterator[Line]:
    """Name what all systems of one model share."""
    told = [name for name in shared(case.found) if name not in case.name(case.found[0]).split(" · ")]
    if told:
        yield plain(f"{'Both' if len(case.found) == 2 else f'All {len(case.found)} systems'} are of {' · '.join(told)}.")


def _unsteady(case: Case, tied: Iterable[Standing]) -> Iterator[Line]:
    """Name what is unsteady among the systems that tie."""
    names = [case.name(one) for one in tied if UNSTEADY in one.marks]
    if names:
        yield plain(f"Unsteady among them: {_listed(names)}.")


def _much(case: Case) -> Said:
    """Say by how much the winner leads, or how far apart at most what ties is; then what is behind."""
    models, question, here = case.models, "By how much", f"For these {case.samples} samples"
    first = models[0]
    best, *others = case.ranked.heads
    if len(models) == 1:
        if first.tied:
            return Said(question, f"A tie: {_apart(first, case.name(best))}", (plain(f"{here}."), *_behind(case, first)))
        next_behind, last = first.behind[0], first.behind[-1]
        more = plain(f"{here}, more than {case.name(next_behind)} ({mean_kept(next_behind)}).")
        of_last = (plain(f"The last: {case.name(last)}, {mean_kept(last)}."),) if last is not next_behind else ()
        return Said(question, _less(best, next_behind), (more, *of_last))
    tied = tuple(one for one in others if best.ties(one))
    if case.compares_models and tied:
        return Said(question, f"A tie: {_apart(Order(best, tied, ()), best.model)}", (plain(f"{here}."),))
    second = others[0]
    where = "" if case.name(best) == case.name(second) else f" on {case.name(second)}"
    as_much = best.level[0] == second.level[0]
    short = "Nothing: as much as the next" if as_much else _sentence(_less(best, second))
    than = "as much as" if as_much else "more than"
    return Said(question, short, (plain(f"{here}, {than} {second.model}{where} ({_of_ideal(second)})."),))


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _behind(case: Case, order: Order) -> Iterator[Line]:
    """Say what is the first that is behind, by how much, and what is the last."""
    if order.behind:
        first, last = order.behind[0], order.behind[-1]
        yield plain(f"Next behind: {case.name(first)}, {mean_kept(first)}: {_less(order.best, first, ' less')}.")
        if last is not first:
            yield plain(f"The last: {case.name(last)}, {mean_kept(last)}.")


def _apart(order: Order, name: str) -> str:
    """Say how far what ties is from the best, of this name, at most: the limit of the interval that reaches farthest."""
    best, tied = order.best, order.tied
    limits = [one.less[best.trials[0]] for one in tied if one.is_compared(best) and best.trials[0] in one.less]
    if len(limits) < len(tied) or best.scale != PLAIN:
        if len({one.level for one in (best, *tied)}) == 1:
            return "exactly as much"
        share = f"{100 * share_less(best, tied[-1]):.1f} % of what there is to keep"
        between = quality(round(best.mean - tied[-1].mean, EXACTLY)) if best.scale == PLAIN else share
        return f"means up to {between} apart, no interval of that"
    most = quality_at_most(max(max(abs(one.low), abs(one.high)) for one in limits))
    return f"at most {most} {'apart' if len(tied) == 1 else f'from {name}'}"


def _less(best: Standing, other: Standing, less: str = "") -> str:
    """Write a difference with its limits and its share of ideal quality."""
    share, told = f"{100 * share_less(best, other):.1f} %", difference(best, other, less)
    if other.scale != PLAIN:
        return f"{share} of what there is to keep{less}"
    return "less than 0.001" if told == f"{quality(0)}{less}" else f"{told}, {share} of ideal quality"


def _shown(case: Case) -> Said:
    """Say for samples and processes whether the data show what the first answer says."""
    question, models = "Is it shown", case.models
    if not case.tested:
        return Said(question, "Not tested at this deadline", case.needed)
    processes = sorted({one.processes for one in case.found})
    fresh = processes[0] > 1
    count = str(processes[0]) if len(processes) == 1 else f"{processes[0]} to {processes[-1]}"
    whether = _whether(case, models, fresh)
    told = [f"Each system ran as {count} processes."] if fresh else []
    told += ["With reserve because of the flags below."] if RESERVE in whether else []
    detail = [plain(" ".join(told))] if told else []
    untold = "Which of the tied systems is best is not shown. " if len(models) > 1 and models[0].tied else ""
    more = _more_samples(case) if len(models) > 1 and case.compares_models and not case.ranked.models_apart else ""
    detail += [plain(f"{untold}{more}".strip())] if untold or more else []
    return Said(question, whether, (*detail, *case.needed))


def _more_samples(case: Case) -> str:
    """Say how to get more samples, which could tell models apart."""
    limit = case.ranked.group.trials[0].record.trial.task.limit
    return f"More samples: {'the task has no more' if limit is None else f'set task.limit above {limit}'}."


def _reserve(case: Case, models: Sequence[Order]) -> str:
    """Say that what is compared here has flags: the best, what ties with them, and what is next behind."""
    first = models[0]
    compared = [*case.ranked.heads, *first.tied, *(first.behind[:1] if len(models) == 1 else ())]
    return RESERVE if any(flag != IN_SAMPLE for one in compared for flag in one.flags) else ""


def _whether(case: Case, models: Sequence[Order], fresh: bool) -> str:
    ranked, these = case.ranked, f"these {case.samples} samples"
    started_anew = "fresh processes too" if fresh else "fresh processes not yet"
    reserve = _reserve(case, models)
    if len(models) > 1:
        best, *others = ranked.heads
        if not case.compares_models:
            return "Models were not tested against each other"
        if any(best.ties(one) for one in others):
            return f"No: {these} do not tell the models apart"
        if ranked.here_alone(best, others):
            return (
                f"For {these} {'and fresh processes ' if fresh else ''}yes{reserve}; other samples no{'' if fresh else f'; {started_anew}'}"
            )
        return f"Yes{reserve}, for other samples like {these} too; {started_anew}"
    order = models[0]
    if not order.behind:
        return f"No: {'the best keep all there is' if order.best.keeps_all else 'no system is told from the best'}"
    what = f"that {len(order.behind)} others keep less" if len(order.behind) > 1 else "that the other keeps less" if order.tied else ""
    yes = f"Yes{reserve}{f', {what}' if order.tied else ''}, for {these}{' and fresh processes' if fresh else ''}"
    return f"{yes}{'' if fresh else f'; {started_anew}'}{'; no order within the tie' if order.tied else ''}"


def _kept(case: Case) -> Said:
    """Say whether the winner keeps its quality within the deadline, from which one on, and which of the others do not."""
    models, best = case.models, case.found[0]
    kind = "certified" if math.isfinite(best.deadlines[0]) else "observed"
    neither = len(case.found) == 2 and len(models) == 1 and not case.keeps(best)
    if not math.isfinite(kept_from_ns(best)):
        short = "No, at no deadline"
    elif case.keeps(best):
        short = f"Yes, {_from(best)}, {kind}"
    elif neither:
        short = f"No: {', '.join(f'{case.name(one)} {_from(one)}' for one in case.found)}"
    else:
        short = f"No, only {_from(best)}, {kind}"
    whose = f"{f'{best.model} on ' if len(models) > 1 else ''}{case.name(best)}: "
    kept = f"{'' if neither else whose}{_promise(case, best, 'observed, ' if neither else '')}"
    return Said("Is the deadline kept", short, (plain(kept), *_others_kept(case, models)))


def _promise(case: Case, best: Standing, seen: str = "") -> str:
    """Say what it means to keep a deadline, whether that is certified, and what could certify it."""
    wanted, a_process = case.wanted, " a process" if best.processes > 1 else ""
    rounds = f"{100 * (1 - wanted.late_share):g} % of rounds{' of every process' if a_process else ''}"
    kept = f"{100 * wanted.quality:g} % of ideal quality in {rounds}"
    if math.isfinite(best.deadlines[0]):
        return f"{kept}; certified with {100 * wanted.confidence:g} % confidence."
    more = case.more_rounds.get(best.trials[0])
    could = f": {more} more rounds{a_process} could do it" if more else " because trials are flagged" if more == 0 else ""
    return f"{kept}; {seen}not certified{could}."


def _from(one: Standing) -> str:
    ns = kept_from_ns(one)
    return f"from {milliseconds(ns)} on" if math.isfinite(ns) else "at no deadline"


def _others_kept(case: Case, models: Sequence[Order]) -> Iterator[Line]:
    """Say which of the tied do not keep the deadline, whether the other models' best do, and who does where the best does not."""
    best, tied = models[0].best, models[0].tied
    pair = len(case.found) == 2 and len(models) == 1
    late = [f"{case.name(one)} ({_from(one)})" for one in tied if not case.keeps(one)]
    if late and case.keeps(best):
        yield plain(f"Tied, but not within {milliseconds(case.ns)}: {_listed(late)}.")
    elif late and not pair:
        yield plain(f"Nor do the tied {_listed(late)}.")
    elif tied and case.keeps(best):
        yield plain("All that tie with it do, too.")
    for order in models[1:4]:
        does = case.keeps(order.best)
        yield plain(f"{order.best.model} {'does, too' if does else 'does not'}: {_from(order.best)}.")
    first = min(case.found, key=kept_from_ns)
    if not case.keeps(best) and not pair and kept_from_ns(first) < kept_from_ns(best) and first not in [order.best for order in models]:
        name = f"{f'{first.model} on ' if len(models) > 1 else ''}{case.name(first)}"
        yield plain(f"Shortest of all: {name}, {_from(first)}.")


def doubtful(case: Case) -> Said:
    """Say what is in doubt: the samples, flags, unsteady systems and deadlines that are not certified."""
    parts = ([f"rests on {case.samples} samples"] if _rests_on_samples(case) else []) + list(_counts(case))
    single = len(case.ranked.heads) == 1  # of several models the answer before says it
    lines = [plain(f"{case.samples} samples: others may say otherwise.")] if single else []
    for doubt in case.doubts:
        remedy = (Piece(f"; {doubt.remedy}", kind="aside"),) if doubt.remedy else ()
        lines.append((Piece(doubt.term, doubt.href), Piece(f": {doubt.whose}"), *remedy, Piece(".")))
    nothing = "not all trials are done" if case.unwell else "nothing: no flag, no unsteady system, every deadline certified"
    return Said("What is doubtful", _sentence("; ".join(parts) or nothing), (*lines, *case.unwell))


def _counts(case: Case) -> Iterator[str]:
    """Count systems with flags, unsteady ones, and those whose deadline is not certified."""
    size = len(case.found)
    flagged, unsteady = sum(bool(one.flags) for one in case.found), sum(UNSTEADY in one.marks for one in case.found)
    told = [f"{count} {what}" for count, what in ((flagged, "flagged"), (unsteady, "unsteady")) if count]
    if told and {flagged, unsteady} <= {0, size}:
        whose = {1: "the system", 2: "both systems"}.get(size, f"all {size} systems")
        yield f"{whose} {' and '.join(one.split()[1] for one in told)}"
    elif told:
        yield f"of {size} systems {', '.join(told)}"
    if case.uncertified:
        yield "no deadline certified" if case.uncertified == size else f"{case.uncertified} deadlines not certified"


def _rests_on_samples(case: Case) -> bool:
    """Return whether other samples might say otherwise: of models unless they were shown to say the same."""
    return not (len(case.ranked.heads) > 1 and case.compares_models and case.ranked.models_apart)


def _model_row(case: Case, order: Order) -> tuple[str, ...]:
    """Return the cells of one model: its best or its tie, what is next behind, the last, and which deadlines are kept."""
    tied = [order.best, *order.tied]
    first, last = (order.behind[0], order.behind[-1]) if order.behind else (None, None)
    late = [f"{case.name(one)} {_from(one)}" for one in tied if not case.keeps(one)]
    keeps = f"from {milliseconds(kept_from_ns(order.best))} on" if case.keeps(order.best) else "no"
    return (
        order.best.model,
        _best_of_model(case, order) + (f": {_listed([case.name(one) for one in tied])}" if order.tied and order.behind else ""),
        f"{case.name(first)}, {mean_kept(first)}: {_less(order.best, first, ' less')}"
        if first
        else "none: all tie"
        if order.tied
        else "none",
        f"{case.name(last)}, {mean_kept(last)}" if last and last is not first else "",
        f"{keeps}; not: {_listed(late)}" if late and case.keeps(order.best) else f"no: {_listed(late)}" if late else keeps,
    )


def _best_of_model(case: Case, order: Order) -> str:
    """Say what the best system of a model keeps, or its tie and how far that reaches."""
    if not order.tied:
        return f"{case.name(order.best)}, {_of_ideal(order.best)}"
    size = 1 + len(order.tied) + len(order.behind)
    which = counted(1 + len(order.tied), size, "systems")
    return f"tie of {which}, {_range([order.best, *order.tied])}, {_apart(order, case.name(order.best))}"


def _model_lines(case: Case) -> Iterator[str]:
    """Say of each model but the best what its best system or its tie keeps, and of each what is next behind."""
    for place, order in enumerate(case.models):
        best = [] if not place else [_best_of_model(case, order)]
        behind = [f"next behind {case.name(order.behind[0])}, {_less(order.best, order.behind[0], ' less')}"] if order.behind else []
        if best or behind:
            yield f"{order.best.model}: {'; '.join([*best, *behind])}."
