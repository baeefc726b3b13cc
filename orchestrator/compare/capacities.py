"""Capacities of two campaigns side by side: the certified rate of each search, and its estimate."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from orchestrator.analysis.capacity import Search, is_probe, searches_of, words_without_rate
from orchestrator.analysis.loading import load_trials
from orchestrator.report.table import Table
from orchestrator.stats.capacity import Estimate
from orchestrator.storage.reader import Campaign

NOTE = (
    "The certified rate, and the estimate of the rate at which mean quality falls below what is required, with its 95 % interval. They "
    "were measured apart, so that there is no verdict."
)


@dataclass(frozen=True)
class Capacity:
    """What a search has found, in samples a second; None for nothing."""

    certified: float | None
    estimate: Estimate | None

    @property
    def numbers(self) -> dict[str, float | None]:
        """The same as plain numbers."""
        rate, low, high = (one if one is not None and 0 < one < math.inf else None for one in self.estimate or (None, None, None))
        return {"certified_per_s": self.certified, "estimate_per_s": rate, "estimate_low_per_s": low, "estimate_high_per_s": high}

    def __str__(self) -> str:
        certified = "no rate" if self.certified is None else f"{self.certified:.4g}"
        if self.estimate is None:
            return certified
        rate, low, high = self.estimate
        return f"{certified}, {rate:.3g} [{low:.3g}, {high:.3g}]"


@dataclass(frozen=True)
class ComparedCapacity:
    """One search of both campaigns: what it is called, and what each has found."""

    names: tuple[str, ...]
    before: Capacity
    after: Capacity


def compared_capacities(before: Campaign, after: Campaign, metrics: Sequence[str]) -> tuple[ComparedCapacity, ...]:
    """Return the searches that both campaigns have. Raises InputError for files that cannot be read."""
    if not all(any(is_probe(planned.trial) for planned in campaign.record.trials) for campaign in (before, after)):
        return ()
    mine, theirs = (dict(_named(searches_of(load_trials(campaign, metrics)))) for campaign in (before, after))
    return tuple(ComparedCapacity(names, found, theirs[names]) for names, found in mine.items() if names in theirs)


def _named(searches: Sequence[Search]) -> Iterator[tuple[tuple[str, ...], Capacity]]:
    for search in searches:
        if search.rates and search.asked is not None:
            trial, asked = search.like, search.asked
            what = (trial.model.name, trial.task.name, trial.system.name, trial.runtime.name, str(trial.measurement.batch))
            names = (*what, words_without_rate(trial.load), f"{asked.deadline.label}, {100 * asked.keep:g} %")
            yield names, Capacity(None if search.certified is None else search.certified.rate_per_s, search.estimate)


def capacity_table(found: Sequence[ComparedCapacity]) -> Table:
    """Return the searches as a table."""
    return Table(
        title="Capacity: samples a second",
        columns=["model", "task", "system", "runtime", "batch", "load", "within", "before", "now"],
        rows=[[*one.names, str(one.before), str(one.after)] for one in found],
        note=NOTE,
        right=frozenset(["before", "now"]),
    )
