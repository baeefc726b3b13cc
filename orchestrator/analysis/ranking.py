"""Which systems tie with the best: decided here and nowhere else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal, TypeAlias

Tie: TypeAlias = Literal["tied", "worse", "behind", "not tested"]
"""Of a system after the best: in the tie, shown worse, below one outside the tie though not shown worse, or not tested."""


def ties(shown_worse: Iterable[bool | None]) -> Iterator[Tie]:
    """Yield what each system after the best is, down the ranking, from whether it is shown worse; None where that is not tested.

    The tie is an interval of the ranking: it ends at the first system that is shown worse, or is not tested.

    Examples
    --------
    >>> list(ties([False, True, False, None]))
    ['tied', 'worse', 'behind', 'not tested']
    """
    in_tie = True
    for worse in shown_worse:
        in_tie = in_tie and worse is False
        yield "tied" if in_tie else "not tested" if worse is None else "worse" if worse else "behind"
