"""A history in words and tables."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from orchestrator.contracts import InputError
from orchestrator.history.change_points import ERROR, FEWEST, fewest_campaigns
from orchestrator.history.series import NAMES, Change, Series
from orchestrator.history.stored import Stored
from orchestrator.report.table import Table, condensed
from orchestrator.report.text import milliseconds, quality
from orchestrator.stats.thresholds import NS_PER_MS
from orchestrator.storage.reader import Campaign, open_campaign
from orchestrator.storage.records import TrialRecord

NOTHING = "nothing that was recorded"
LEFT_OUT = ("platform", "torch_git")
MACHINE = ("host", "processor", "logical_cores", "memory_bytes", "governor", "turbo")
BARS = "▁▂▃▄▅▆▇█"
CELLS = 16
"""How long the course of a series is, in letters."""
ABOUT = (
    "now: mean of the newest level, since its first campaign. {before}noise: standard deviation of one campaign "
    "about its level, or what its own visits and processes let expect, where that is more. deadline: geometric mean of the newest level of "
    "certified deadlines; certified: how many campaigns certify one."
)
ABOUT_CHANGES = (
    "A change point is no proof of its cause. Of histories without a change, at most {error:g} % show one, over all series; a change "
    "smaller than the noise of one campaign is none. what else differs: between the last campaign before and the first one after."
)


def names_of(series: Sequence[Series]) -> dict[str, tuple[str, ...]]:
    """Return by match key what a series is called: model, system, runtime and batch, with the end of its id where these are not enough."""
    alike = Counter((one.key.task, one.key.names) for one in series)
    return {
        one.key.match_key: (*one.key.names, one.key.match_key.rpartition("-")[2] if alike[one.key.task, one.key.names] > 1 else "")
        for one in series
    }


def heads_of(series: Sequence[Series]) -> list[str]:
    """Return the headings of these names."""
    return [*NAMES, *(["id"] if any(names[-1] for names in names_of(series).values()) else [])]


def title_of(stored: Sequence[Stored]) -> str:
    """Return what a history is of, and from when to when."""
    names = ", ".join(dict.fromkeys(one.head.name for one in stored))
    many = "1 campaign" if len(stored) == 1 else f"{len(stored):,} campaigns"
    return f"History of {names}: {many}, {stored[0].created_at:%Y-%m-%d} to {stored[-1].created_at:%Y-%m-%d}"


def series_tables(series: Sequence[Series], thresholds: Mapping[str, int], of_code: bool, fine: bool) -> Iterator[Table]:
    """Yield a table per task, with one row per series.

    Parameters
    ----------
    of_code
        whether a point is a code rather than a campaign.
    fine
        whether the course may be drawn with letters that are bars.
    """
    what, names, heads = "codes" if of_code else "campaigns", names_of(series), heads_of(series)
    for task in dict.fromkeys(one.key.task for one in series):
        some = [one for one in series if one.key.task == task]
        before = any(len(one.quality.levels) > 1 for one in some)
        figures = [what, "now", *(["before"] if before else []), "noise", "deadline", "certified"]
        rows = [
            [
                *names[one.key.match_key][: len(heads)],
                *_figures(one, before),
                *([course_of([point.mean for point in one.points])] if fine else []),
            ]
            for one in some
        ]
        yield condensed(
            Table(
                title=f"Tail quality of {task} ({some[0].key.metric}) within {thresholds[task] / NS_PER_MS:g} ms",
                columns=[*heads, *figures, *(["course"] if fine else [])],
                rows=rows,
                note=ABOUT.format(before="before: that of the level before. " if before else ""),
                right=frozenset(figures),
            ),
            ["model", what, "now", "course"],
        )


def _figures(one: Series, before: bool) -> list[str]:
    levels, deadlines = one.quality.levels, one.deadline.levels
    return [
        f"{len(one.points):,}",
        quality(levels[-1].mean),
        *([quality(levels[-2].mean) if len(levels) > 1 else "-"] if before else []),
        f"{one.quality.noise:.2g}",
        milliseconds(float(np.exp(deadlines[-1].mean))) if deadlines else "-",
        f"{len(one.certified):,}",
    ]


def course_of(values: Sequence[float], cells: int = CELLS) -> str:
    """Return a series as bars, the means of equal stretches, from its least to its largest.

    Examples
    --------
    >>> course_of([1, 1, 2, 3])
    '▁▁▅█'
    """
    parts = [float(part.mean()) for part in np.array_split(np.asarray(values, dtype=np.float64), min(cells, len(values)))]
    low, high = min(parts), max(parts)
    steps = len(BARS) - 1
    return "".join(BARS[round(steps * (part - low) / (high - low)) if high > low else steps // 2] for part in parts)


def changes_table(changes: Sequence[Change], stored: Sequence[Stored]) -> Table:
    """Return one row per change point, in order of time."""
    series = list({change.series.key.match_key: change.series for change in changes}.values())
    names, heads, opened = names_of(series), heads_of(series), cache(open_campaign)
    rows = []
    for change in changes:
        one = change.series
        before, after = one.points[change.before], one.points[change.after]
        rows.append(
            [
                f"{after.at:%Y-%m-%d %H:%M}",
                *names[one.key.match_key][: len(heads)],
                one.key.task,
                change.figure,
                *_levels(change),
                what_differs(stored[before.campaigns[-1]], stored[after.campaigns[0]], one.key.match_key, opened),
            ]
        )
    return condensed(
        Table(
            title="Change points",
            columns=["from", *heads, "task", "figure", "before", "after", "noise", "what else differs"],
            rows=rows,
            note=ABOUT_CHANGES.format(error=100 * ERROR),
            right=frozenset(["before", "after", "noise"]),
        ),
        ["from", "figure", "before", "after", "what else differs"],
    )


def _levels(change: Change) -> list[str]:
    if change.figure == "deadline":
        return [milliseconds(change.level_before), milliseconds(change.level_after), f"{100 * change.noise:.1f} %"]
    return [quality(change.level_before), quality(change.level_after), f"{change.noise:.2g}"]


def sentences(series: Sequence[Series], changes: Sequence[Change], tests: int, of_code: bool) -> Iterator[str]:
    """Yield what the history comes to. Where no series is long enough to be tested, it speaks of all that there are."""
    longest = max(len(one.points) for one in series)
    if longest < 2 * FEWEST:
        tests = len(series) + sum(bool(one.certified) for one in series)
    if changes:
        where = len({(change.series.key, change.figure) for change in changes})
        yield f"{len(changes)} change {'point' if len(changes) == 1 else 'points'} in {where} of {tests} series of figures."
    else:
        yield f"No change point in {tests} series of figures."
    needed = fewest_campaigns(tests)
    if longest < needed:
        what = "codes" if of_code else "campaigns"
        yield f"These are too few for any: with {tests} series of figures the clearest change is shown from {needed} {what} on."


def what_differs(before: Stored, after: Stored, match_key: str, opened: Callable[[Path], Campaign]) -> str:
    """Return in words what differs between two campaigns for one system: code, machine and stack."""
    found = [f"code {before.head.code} -> {after.head.code}"] if before.head.code != after.head.code else []
    records: list[TrialRecord] = []
    with suppress(InputError):  # of a damaged campaign
        for campaign in (opened(stored.directory) for stored in (before, after)):
            trials = [planned.trial_id for planned in campaign.record.trials if planned.match_key == match_key]
            records += [campaign.trial(trial_id) for trial_id in trials[:1]]
    if len(records) > 1:
        found += _differences(*records)
    return ", ".join(found) or NOTHING


def _differences(here: TrialRecord, there: TrialRecord) -> Iterator[str]:
    pairs: list[tuple[str, Any, Any]] = [(name, here.environment.get(name), there.environment.get(name)) for name in MACHINE]
    pairs.append(("boot", here.environment.get("boot_id"), there.environment.get("boot_id")))
    pairs += [(name, here.stack.get(name), there.stack.get(name)) for name in {**here.stack, **there.stack} if name not in LEFT_OUT]
    for name, mine, theirs in pairs:
        if mine != theirs:
            yield "restarted" if name == "boot" else f"{name} {mine} -> {theirs}"
