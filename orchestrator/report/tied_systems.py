"""What ties with the best system, and how its names, figures and limits are written in the five answers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from orchestrator.analysis.ranking import Less, Order, Standing
from orchestrator.analysis.tables.comparison import EXACTLY
from orchestrator.analysis.tables.tail_quality import IN_SAMPLE
from orchestrator.metrics.interface import PLAIN
from orchestrator.report.answer_parts import Case
from orchestrator.report.standing_words import NAMED, counted, difference, listed, mean_kept, share_less
from orchestrator.report.text import quality, quality_at_most
from orchestrator.storage.records import OTHER_USERS, SHARED

LATE_FOR_OTHERS = (SHARED, OTHER_USERS)
"""Flags of a machine on which something else ran, which makes answers late."""
WORDS = 3
"""So many name the reason of a reserve."""
IN_SHORT = {
    SHARED: "machine shared",
    OTHER_USERS: "other users",
    "machine slower": "machine slower",
    "machine faster": "machine faster",
    "answers beyond": "other answers",
    "no answer": "nothing right",
    "boxes fit": "categories wrong",
    "a later process answers": "answers change",
    "a later process has": "placement changed",
}
"""What long flags are called in a short answer, by how they begin. Others of at most three words are their own names."""


def with_reserve(flags: Iterable[str]) -> str:
    """Name the flags for which an answer has a reserve in at most three words, what makes answers late first; nothing without flags."""
    ordered = sorted(dict.fromkeys(flags), key=lambda flag: (flag not in LATE_FOR_OTHERS, flag == IN_SAMPLE))
    names = list(dict.fromkeys(map(_in_short, ordered)))
    if not names:
        return ""
    told = ", ".join(names)
    return f", with reserve ({told if len(told.split()) <= WORDS else f'{names[0]} etc.'})"


def _in_short(flag: str) -> str:
    known = next((name for begins, name in IN_SHORT.items() if flag.startswith(begins)), flag)
    return known if len(known.split()) <= WORDS else "flagged"


def full_name(case: Case, one: Standing) -> str:
    """Name a system, with its model where there are several."""
    return f"{one.model} on {case.name(one)}" if len(case.ranked.heads) > 1 else case.name(one)


def together(names: Sequence[str]) -> str:
    """Write names with what they end on alike said once: ``one_core, two_cores · torch``."""
    ends = {name.partition(" · ")[2] for name in names}
    if len(names) > 1 and len(ends) == 1 and "" not in ends:
        return f"{', '.join(name.partition(' · ')[0] for name in names)} · {ends.pop()}"
    return ", ".join(names)


def of_ideal(one: Standing, its: str = "its ideal ") -> str:
    """Write what is kept, and of how much."""
    return f"{mean_kept(one)} of {its}{quality(one.ideal)}" if one.scale == PLAIN else f"{mean_kept(one)} of what there is to keep"


def ends_of(tied: Sequence[Standing]) -> str:
    """Write what tied systems keep, from the most to the least, and of how much."""
    first, last = tied[0], tied[-1]
    if first.scale == PLAIN and first.ideal != last.ideal:
        return " to ".join(dict.fromkeys(f"{mean_kept(one)} of {quality(one.ideal)}" for one in (first, last)))
    ends = " to ".join(dict.fromkeys(mean_kept(one) for one in (first, last)))
    return f"{ends} of {quality(first.ideal)}" if first.scale == PLAIN else f"{ends} of what there is to keep"


def leading(case: Case) -> list[Standing]:
    """Return the best systems of the models that are not told from the best one; that one alone where models were not compared."""
    models = case.ranked.models
    return [models.best, *models.tied] if case.compares_models else [models.best]


def tied_systems(case: Case) -> list[Standing]:
    """Return every system that ties with the best of its model, of the models that lead."""
    heads = leading(case)
    return [one for order in case.models if order.best in heads for one in order.tied]


def compared(case: Case) -> list[Standing]:
    """Return what the answer compares: the best, what ties with it, and what is next behind."""
    first, heads = case.models[0], leading(case)
    behind = case.ranked.heads[1:2] if len(case.models) > 1 else list(first.behind[:1])
    return list({one.trials[0]: one for one in (*heads, *tied_systems(case), *behind)}.values())


def on_shared_machine(case: Case) -> bool:
    """Return whether the best, or what ties with it, was measured beside other work, which makes answers late."""
    return any(flag in LATE_FOR_OTHERS for one in (case.found[0], *tied_systems(case)) for flag in one.flags)


def not_worse(case: Case, order: Order, than: str = "") -> str:
    """Say of the systems that tie with the best of their model what each keeps, and how much less that may be; ``than`` names the best."""
    one = len(order.tied) == 1
    size = len(order.tied) + len(order.behind) + len(order.untested)
    of_all = f"{counted(len(order.tied), size, 'others')}: " if len(order.tied) > NAMED else ""
    names = of_all + listed([f"{case.name(tied)} ({mean_kept(tied)})" for tied in order.tied])
    kind, much = how_alike(order)
    if kind == "exactly":
        return f"{names} {'keeps' if one else 'keep'} exactly as much{f' as {than}' if than else ''}"
    are = "is" if one else "are"
    if kind == "means":
        return f"{names} {are} not shown worse{f' than {than}' if than else ''}; means up to {much} less"
    return f"{names} {are} not shown worse{f' than {than}' if than else ''}: may keep up to {much} less"


def how_alike(order: Order) -> tuple[str, str]:
    """Return how it is known that systems tie with the best of their model, and how much less they may keep."""
    best, tied = order.best, order.tied
    if best.scale == PLAIN and all(_limits(best, one) for one in tied):
        return "limits", quality_at_most(less_at_most(order))
    if len({one.level for one in (best, *tied)}) == 1:
        return "exactly", ""
    share = f"{100 * share_less(best, tied[-1]):.1f} % of what there is to keep"
    return "means", quality(round(best.mean - tied[-1].mean, EXACTLY)) if best.scale == PLAIN else share


def _limits(best: Standing, one: Standing) -> Less | None:
    return one.less.get(best.trials[0])


def less_at_most(order: Order) -> float:
    """Return how much less than the best of its model a tied system keeps at most; 0 where no interval says so."""
    return max((limits.high for one in order.tied if (limits := _limits(order.best, one))), default=0.0)


def how_far_apart(order: Order, name: str, apart: str = " apart") -> str:
    """Say how far what ties is from the best, of this name, at most: the limit of the interval that reaches farthest."""
    best, tied = order.best, order.tied
    kind, much = how_alike(order)
    if kind == "exactly":
        return "exactly as much"
    if kind == "means":
        return f"means up to {much}{apart}"
    found = [limits for one in tied if (limits := _limits(best, one))]
    most = quality_at_most(max(max(abs(one.low), abs(one.high)) for one in found))
    return f"at most {most}{apart if len(tied) == 1 else f' from {name}'}"


def written_less(best: Standing, other: Standing, less: str = "") -> str:
    """Write a difference with its limits and its share of ideal quality."""
    share, told = f"{100 * share_less(best, other):.1f} %", difference(best, other, less)
    if other.scale != PLAIN:
        return f"{share} of what there is to keep{less}"
    return "less than 0.001" if told == f"{quality(0)}{less}" else f"{told}, {share} of ideal quality"


def written_more(best: Standing, other: Standing, name: str) -> str:
    """Write by how much the best keeps more than another, with limits and the share of ideal quality."""
    than, share = f" more than {name}", f"{100 * share_less(best, other):.1f} %"
    if other.scale != PLAIN:
        return f"{share} of what there is to keep{than}"
    told = difference(best, other, than)
    return f"Less than 0.001{than}" if told == f"{quality(0)}{than}" else f"{told}, {share} of ideal"
