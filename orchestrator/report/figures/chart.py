"""A figure as data: the page draws it with Plotly, and files are drawn with matplotlib."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

from orchestrator.analysis.curves import Floats
from orchestrator.contracts import InputError

Kind = Literal["line", "step", "points", "bars"]
Section = Literal["quality", "latency", "rounds", "ranking", "settling", "prediction", "causes"]
"""A part of the page."""
SECTIONS: tuple[Section, ...] = get_args(Section)


@dataclass(frozen=True)
class Axis:
    """One axis. ``ticks`` are places with their labels; none leaves the choice to the library."""

    title: str
    log: bool = False
    date: bool = False
    falling: bool = False
    ticks: Sequence[tuple[float, str]] = ()


@dataclass(frozen=True)
class Series:
    """One line, cloud of points or row of bars.

    x, y
        [n], or for a figure that moves with the threshold ``y`` is [G, n], one row per threshold of the grid. ``x`` may be names.
    low, high
        [n], the limits of a band around ``y``.
    entry
        key of the trial it belongs to, whose colour and dashes it takes; empty if it belongs to none.
    tags
        the choice it belongs to, such as the clock: it is drawn while that is made.
    """

    label: str
    x: Floats | Sequence[str]
    y: Floats
    kind: Kind = "line"
    entry: str = ""
    low: Floats | None = None
    high: Floats | None = None
    faint: bool = False
    tags: Mapping[str, str] = field(default_factory=dict)
    names: Sequence[str] = ()

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise InputError(f"series {self.label}: kind={self.kind!r}: must be one of {', '.join(get_args(Kind))}")


@dataclass(frozen=True)
class Chart:
    """A figure.

    name
        as in ``--only NAME`` and in names of files.
    section, place
        the part of the page that it stands in, and its place among the figures there, the lowest first.
    choices
        per tag what a reader may choose between; the first is drawn initially and in files.
    threshold
        the axis on which the chosen threshold is marked, or neither.
    stacked
        whether bars of one trial stand on each other.
    """

    name: str
    section: Section
    title: str
    note: str
    x: Axis
    y: Axis
    series: Sequence[Series]
    choices: Mapping[str, Sequence[str]] = field(default_factory=dict)
    threshold: Literal["x", "y", ""] = ""
    stacked: bool = False
    place: int = 100

    def __post_init__(self) -> None:
        if self.section not in SECTIONS:
            raise InputError(f"figure {self.name}: section={self.section!r}: must be one of {', '.join(SECTIONS)}")

    @property
    def moves(self) -> bool:
        """Whether its values depend on the threshold."""
        return any(series.y.ndim == 2 for series in self.series)
