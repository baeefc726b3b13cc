"""The answer: a table a group, a row a system, the best first, at the primary threshold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from orchestrator.analysis.ranking import Ranking, Standing, differing, shared
from orchestrator.report.table import Marks, Table, bound
from orchestrator.report.text import quality, quality_within

KEPT = ("kept", "95 % interval", "worst round", "ideal")


def answers(ranked: Sequence[Ranking], brief: bool = False) -> Iterator[Table]:
    """Yield what the systems of each group keep that has a primary threshold; ``brief`` names marks and explains none."""
    for one in ranked:
        if one.found and (primary := one.group.thresholds.primary) is not None:
            names = differing(one.found)
            marks = Marks(
                [{"flags": standing.marks} for standing in one.found],
                trials=[data.record.trial for data in one.group.trials],
            )
            several = any(standing.processes > 1 for standing in one.found)
            marked = any(standing.marks for standing in one.found)
            more = [*(["processes"] if several else []), *(["flags"] if marked else [])]
            what = ", ".join([one.group.task, *shared(one.found)])
            yield Table(
                title=f"{what}: {one.group.trials[0].metric} kept within {bound(primary)}",
                columns=[*names, *KEPT, *more],
                rows=[_row(standing, names, marks, more) for standing in one.found],
                note=marks.legend() if brief else marks.note().strip(),
                right=frozenset([*KEPT, "processes"]),
            )


def _row(one: Standing, names: Sequence[str], marks: Marks, more: Sequence[str]) -> list[str]:
    told = {"processes": str(one.processes), "flags": marks.letters({"flags": one.marks})}
    interval = quality_within(one.low, one.high, one.ideal)
    figures = [quality(one.mean), interval, quality(one.worst), quality(one.ideal)]
    return [*(one.names[name] for name in names), *figures, *(told[head] for head in more)]
