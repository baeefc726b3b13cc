"""Words that every sentence on what systems keep shares: what is kept, how much less, and how many."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.analysis.ranking import Standing
from orchestrator.analysis.tables.comparison import EXACTLY
from orchestrator.metrics.interface import PLAIN
from orchestrator.report.text import quality, quality_at_most, within

NAMED = 4
"""Names that are all written; of more the first three."""


def listed(names: Sequence[str]) -> str:
    """Write names with commas, of many the first three."""
    return f"{', '.join(names[: NAMED - 1])} and {len(names) - NAMED + 1} more" if len(names) > NAMED else ", ".join(names)


def counted(count: int, size: int, what: str) -> str:
    """Write how many of how many there are, in words where it is all."""
    if count == size:
        return f"both {what}" if size == 2 else f"all {size} {what}"
    return f"{count} of {size} {what}"


def mean_kept(one: Standing) -> str:
    """Write what is kept: quality where more is better and nothing is 0, else the share of what there is to keep."""
    return quality(one.mean) if one.scale == PLAIN else f"{100 * one.kept:.1f} %"


def kept_less(best: Standing, other: Standing) -> float:
    """Return what the other keeps less: by their difference where it was tested, over what both have in common, else by their means."""
    found = other.less.get(best.trials[0])
    if found is not None and other.scale == PLAIN:
        return found.difference
    return round(best.scale.gained(best.mean) - best.scale.gained(other.mean), EXACTLY)


def share_less(best: Standing, other: Standing) -> float:
    """Return what the other keeps less, as a share of what the best one would keep without a threshold."""
    ideal = best.scale.gained(best.ideal)
    return kept_less(best, other) / ideal if ideal else 0.0


def difference(best: Standing, other: Standing, less: str = "") -> str:
    """Write a difference of quality with its interval, or with the limits that agree with its test; ``less`` stands behind it."""
    found, told = other.less.get(best.trials[0]), quality(kept_less(best, other))
    if found is None:
        return told + less
    if quality(best.scale.gained(best.mean) - best.scale.gained(other.mean)) != told:
        less += " over common visits"
    if found.test and found.low <= 0 < found.high:
        return f"{told}{less}, above 0 and at most {quality_at_most(found.high)}"
    return f"{told} {within(found.low, found.high)}{less}"
