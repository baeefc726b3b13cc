"""The verdict of each row, and what would have been found."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

from orchestrator.compare.rows import NO_VERDICT, SAME, Compared
from orchestrator.stats.pair import Verdict, gate

TOO_BLIND = f"{NO_VERDICT}: too blind"


def judged_rows(rows: Sequence[Compared], slow_downs: Sequence[float], min_effect: float | None) -> Iterator[Compared]:
    """Yield the rows with the verdict of their repeats; every trial at every threshold is a member of one family.

    Parameters
    ----------
    slow_downs
        shares, those of ``slowed``.
    min_effect
        the slow-down that must be found at one of a trial's thresholds at least; None asks for nothing.
    """
    family = {str(index): row.replicates for index, row in enumerate(rows) if row.replicates is not None}
    found = gate(family)
    judged = [_judged(row, found.get(str(index)), slow_downs) for index, row in enumerate(rows)]
    seeing = {row.match_key for row in judged if min_effect is None or row.outcome != SAME or row.smallest_effect <= min_effect}
    for row in judged:
        blind = row.outcome == SAME and row.match_key not in seeing
        yield replace(row, outcome=TOO_BLIND, why=could_find(row)) if blind else row


def could_find(row: Compared) -> str:
    """Say which change the repeats of a row would find with 80 % probability."""
    effect = row.smallest_effect
    if row.verdict is None or math.isinf(row.verdict.detectable_drop):
        return "it could find nothing"
    if not row.slowed:
        return (
            f"the smallest loss of quality it could find is {percent(effect)}" if math.isfinite(effect) else "there is no quality to lose"
        )
    return f"the smallest slow-down it could find is {percent(effect)}" if math.isfinite(effect) else "it could find no slow-down"


def percent(share: float) -> str:
    """Write a share in percent, with two significant digits below 10 %."""
    return f"{100 * share:.0f} %" if share >= 0.1 else f"{100 * share:.2g} %"


def _judged(row: Compared, verdict: Verdict | None, slow_downs: Sequence[float]) -> Compared:
    if verdict is None:
        return row
    costs = (abs(quality - row.slowed[0]) for quality in row.slowed)
    shares = zip(slow_downs, costs, strict=bool(row.slowed))
    slow_down = next((share for share, cost in shares if cost >= verdict.detectable_drop), None)
    return replace(row, outcome=verdict.outcome, verdict=verdict, slow_down=slow_down)
