"""The verdict of each row, what would have been found, and what drift of the machine would turn it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

from orchestrator.compare.rows import NO_VERDICT, SAME, WORSE, Compared, Drift
from orchestrator.stats.gate import Verdict, gate

TOO_BLIND = f"{NO_VERDICT}: too blind"


def judged_rows(rows: Sequence[Compared], slow_downs: Sequence[float], min_effect: float | None) -> Iterator[Compared]:
    """Yield the rows with the verdict of their repeats; every trial at every threshold is a member of one family.

    Parameters
    ----------
    slow_downs
        shares, those of ``slowed`` and ``quickened``.
    min_effect
        the slow-down that must be found at one of a trial's thresholds at least; None asks for nothing.
    """
    names = {index: str(index) for index, row in enumerate(rows) if row.threshold is not None}
    found = gate(
        {name: rows[index].means_before for index, name in names.items()},
        {name: rows[index].means for index, name in names.items()},
        resolutions={name: rows[index].resolution for index, name in names.items()},
        designs={name: rows[index].design for index, name in names.items()},
    )
    judged = [_judged(row, found.get(names.get(index, "")), slow_downs) for index, row in enumerate(rows)]
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
    slow_down = _share_that_costs(row.slowed, slow_downs, verdict.detectable_drop)
    return replace(row, outcome=verdict.outcome, verdict=verdict, slow_down=slow_down, drift=_drift(row, verdict, slow_downs))


def _share_that_costs(changed: Sequence[float], shares: Sequence[float], change: float) -> float | None:
    """Return the first share that changes quality by as much, either way; None if none does, or none was looked at."""
    costs = (abs(quality - changed[0]) for quality in changed)
    return next((share for share, cost in zip(shares, costs, strict=bool(changed)) if cost >= change), None)


def _drift(row: Compared, verdict: Verdict, shares: Sequence[float]) -> Drift | None:
    """Return the least drift that turns a verdict: one that makes a change, or one that alone explains the change that is shown."""
    if not math.isfinite(verdict.high):
        return None
    if verdict.outcome == WORSE:
        ways = [(row.slowed, max(0.0, -verdict.high), 1, SAME)]
    elif verdict.outcome == "better":
        ways = [(row.quickened, max(0.0, verdict.low), -1, SAME)]
    else:
        ways = [(row.slowed, verdict.high, 1, WORSE), (row.quickened, -verdict.low, -1, "better")]
    found = [
        (share, sign, becomes) for changed, cost, sign, becomes in ways if (share := _share_that_costs(changed, shares, cost)) is not None
    ]
    return Drift(min(found)[0] * min(found)[1], min(found)[2]) if found else None
