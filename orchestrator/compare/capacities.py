"""Capacities of two campaigns side by side: up to which rate of arrivals each search was certified, and from which refuted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from orchestrator.analysis.capacity import Search, asked_of, is_probe, searches_of, words_without_rate
from orchestrator.analysis.trial_data import load_trials
from orchestrator.report.table import Table
from orchestrator.stats.capacity_search import Bracket
from orchestrator.storage.reader import Campaign

Outcome = Literal["higher", "lower", "no difference shown"]
NOTE = (
    "Each is certified up to the first rate and refuted from the second. higher and lower: the brackets lie apart; each is wrong in at "
    "most 5 % of searches. One process a rate: the gate does not count them."
)


@dataclass(frozen=True)
class ComparedCapacity:
    """One search of both campaigns: what it is called, and its brackets."""

    names: tuple[str, ...]
    before: Bracket
    after: Bracket

    @property
    def outcome(self) -> Outcome:
        """Which lies above the other, where no rate can be both."""
        if self.after.certified is not None and self.before.refuted is not None and self.after.certified >= self.before.refuted:
            return "higher"
        if self.before.certified is not None and self.after.refuted is not None and self.after.refuted <= self.before.certified:
            return "lower"
        return "no difference shown"


def compared_capacities(before: Campaign, after: Campaign, metrics: Sequence[str]) -> tuple[ComparedCapacity, ...]:
    """Return the searches that both campaigns have. Raises InputError for files that cannot be read."""
    if not all(any(is_probe(planned.trial) for planned in campaign.record.trials) for campaign in (before, after)):
        return ()
    mine, theirs = (dict(_named(searches_of(load_trials(campaign, metrics)))) for campaign in (before, after))
    return tuple(ComparedCapacity(names, bracket, theirs[names]) for names, bracket in mine.items() if names in theirs)


def _named(searches: Sequence[Search]) -> Iterator[tuple[tuple[str, ...], Bracket]]:
    for search in searches:
        if search.probes:
            trial, (deadline, requirement) = search.like, asked_of(search.probes[0].data)
            what = (trial.model.name, trial.task.name, trial.system.name, trial.runtime.name, str(trial.measurement.batch))
            yield (*what, words_without_rate(trial.load), f"{deadline.label}, {100 * requirement.keep:g} %"), search.bracket


def capacity_table(found: Sequence[ComparedCapacity]) -> Table:
    """Return the searches as a table."""
    return Table(
        title="Capacity: samples a second",
        columns=["model", "task", "system", "runtime", "batch", "load", "within", "before", "now", "verdict"],
        rows=[[*one.names, _text(one.before), _text(one.after), one.outcome] for one in found],
        note=NOTE,
        right=frozenset(["before", "now"]),
    )


def _text(bracket: Bracket) -> str:
    certified = "no rate" if bracket.certified is None else f"{bracket.certified:.4g}"
    return f"{certified} to {'?' if bracket.refuted is None else f'{bracket.refuted:.4g}'}"
