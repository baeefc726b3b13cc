"""The fourth of the five answers: is the deadline kept, by which systems, and from which one on otherwise."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

from orchestrator.analysis.ranking import Order, Standing
from orchestrator.report.answer_parts import Case, Line, Said, kept_from_ns, plain
from orchestrator.report.standing_words import listed
from orchestrator.report.text import milliseconds
from orchestrator.report.tied_systems import LATE_FOR_OTHERS, full_name, leading, on_shared_machine, tied_systems, with_reserve

NAMED_LATE = 2
"""More systems of another model that miss the deadline are counted; the table of models names them."""


def is_it_kept(case: Case) -> Said:
    """Say whether the winner keeps its quality within the deadline, from which one on, and which of the others do not."""
    models, best = case.models, case.found[0]
    kind = "certified" if math.isfinite(best.deadlines[0]) else "observed"
    neither = len(case.found) == 2 and len(models) == 1 and not case.keeps(best)
    busy = on_shared_machine(case)
    late = (flag for one in (best, *tied_systems(case)) for flag in one.flags if flag in LATE_FOR_OTHERS)
    no = f"No{with_reserve(late)}"
    missing = sum(not case.keeps(one) for one in (*leading(case), *tied_systems(case)))
    if not math.isfinite(kept_from_ns(best)):
        short = f"{no}, at no deadline"
    elif case.keeps(best):
        short = f"Yes, {from_when(best)}, {kind}"
        short += f"; {missing} tied system{'s miss' if missing > 1 else ' misses'} it" if missing else ""
    elif neither:
        short = f"{no}: from {', '.join(f'{_shortest(one)} ({case.name(one)})' for one in case.found)}"
    else:
        short = f"{no}, only {from_when(best)}, {kind}"
    whose = "" if neither else f"{full_name(case, best)}: "
    lines = [plain(f"{whose}{promise(case, best)}"), *_others_kept(case, models)]
    if busy and not case.keeps(best):
        lines.append(plain("A shared machine makes answers late: on one of its own the deadline may be kept."))
    return Said("Is the deadline kept", short, tuple(lines))


def promise(case: Case, best: Standing) -> str:
    """Say what it means to keep a deadline, whether that is certified, and what could certify it."""
    wanted, each = case.wanted, best.processes > 1
    rounds = f"{100 * (1 - wanted.late_share):g} % of rounds{' of every process' if each else ''}"
    kept = f"{100 * wanted.quality:g} % of ideal quality in {rounds}"
    if math.isfinite(best.deadlines[0]):
        return f"{kept}; certified with {100 * wanted.confidence:g} % confidence."
    more = case.more_rounds.get(best.trials[0])
    because = " because trials are flagged" if more == 0 else ""
    could = f": {more} more rounds{' in each process' if each else ''} may certify it" if more else because
    return f"{kept}, as observed; not certified{could}."


def _shortest(one: Standing) -> str:
    ns = kept_from_ns(one)
    return milliseconds(ns) if math.isfinite(ns) else "no deadline"


def from_when(one: Standing) -> str:
    """Write from which deadline on a system keeps its quality."""
    return f"from {_shortest(one)} on" if math.isfinite(kept_from_ns(one)) else "at no deadline"


def only_from_when(case: Case, one: Standing) -> str:
    """Write from which deadline on a system keeps its quality, and whether that is later than the one asked for."""
    later = math.isfinite(kept_from_ns(one)) and not case.keeps(one)
    return f"only {from_when(one)}" if later else from_when(one)


def _with_times(case: Case, ones: Iterable[Standing]) -> str:
    return listed([f"{case.name(one)} ({only_from_when(case, one)})" for one in sorted(ones, key=kept_from_ns)])


def _others_kept(case: Case, models: Sequence[Order]) -> Iterator[Line]:
    """Say which of the tied do not keep the deadline, which systems of other models do, and who does where the best does not."""
    best, tied = models[0].best, models[0].tied
    pair = len(case.found) == 2 and len(models) == 1
    late, kept = [one for one in tied if not case.keeps(one)], [one for one in tied if case.keeps(one)]
    if case.keeps(best):
        if late:
            yield plain(f"Not shown worse, but {'misses' if len(late) == 1 else 'miss'} it: {_with_times(case, late)}.")
        elif tied:
            of = f" of {best.model}" if len(models) > 1 else ""
            which = (
                f"The {len(tied)} systems{of} that tie with it do" if len(tied) > 1 else f"{case.name(tied[0])}, which ties with it, does"
            )
            yield plain(f"{which}, too.")
    elif not pair:
        if late:
            yield plain(f"Nor {'do those that tie' if len(late) > 1 else 'does what ties'} with it: {_with_times(case, late)}.")
        if kept:
            yield plain(f"But what ties with it keeps it: {_with_times(case, kept)}.")
    for order in models[1:4]:
        yield plain(_of_model_kept(case, order))
    first = min(case.found, key=kept_from_ns)
    named = [*kept, *(order.best for order in models)]
    if not case.keeps(best) and not pair and kept_from_ns(first) < kept_from_ns(best) and first not in named:
        yield plain(f"Shortest of all: {full_name(case, first)}, {from_when(first)}.")


def _of_model_kept(case: Case, order: Order) -> str:
    """Say from which deadline on the best system of another model keeps its quality, and which of those that tie with it miss this one."""
    on = f"on {case.name(order.best)} {only_from_when(case, order.best)}"
    if not case.keeps(order.best):
        return f"{order.best.model} misses it: {on}."
    late = [one for one in order.tied if not case.keeps(one)]
    many = f", as do the {len(order.tied)} that tie with it" if len(order.tied) > 1 else ""
    if len(late) > NAMED_LATE:
        return f"{order.best.model} does {on}; {len(late)} of those that tie with it {_earliest(case, late)}."
    return f"{order.best.model} does {on}{f'; not on {_with_times(case, late)}' if late else many}."


def _earliest(case: Case, late: Sequence[Standing]) -> str:
    """Say from which deadline on the first of several keeps its quality."""
    return f"{only_from_when(case, min(late, key=kept_from_ns))} or later"
