"""Rows of ``capacity.parquet``: the rates that searches have measured, and the searches that have measured none."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated

from orchestrator.analysis.capacity import MeasuredProbe, Search, asked_of, searches_of, words_without_rate
from orchestrator.analysis.capacity_budget import minutes_needed, standing_of
from orchestrator.analysis.groups import Group
from orchestrator.analysis.quality import ideal_quality, scale_of
from orchestrator.stats.thresholds import primary_threshold
from orchestrator.storage.records import CapacityQuestion
from orchestrator.storage.typed_rows import Int32, Int64, Labels

NOT_MEASURED = "not measured"
"""In the place of a verdict, where a search has measured no rate."""


class CapacityRow(Labels):
    """One row per rate that a search has measured, in the order in which it did; one of its closed loop where it has measured none."""

    search: Annotated[Int32, "number of the search, from 0: trials that differ in their rate alone"]
    load: Annotated[str, "the load without its rate, such as `poisson newest`"]
    rate_per_s: Annotated[float | None, "samples that arrived in a second, on average; null where no rate was measured"]
    threshold: Annotated[str, "label of the deadline"]
    threshold_ns: Annotated[Int64, "an answer is on time when its response, from arrival to answer, is at most this"]
    keep: Annotated[float, "the share of ideal quality that is required"]
    closed_per_s: Annotated[float | None, "samples a second of the same trial in a closed loop; null where it was not measured"]
    metric: Annotated[str, "the primary metric"]
    ideal: Annotated[float, "quality without a threshold"]
    streams: Annotated[Int32, "how many whole streams the verdict rests on; the unit of the interval"]
    mean: Annotated[float | None, "tail quality on the response clock, a mean over these streams; null where no rate was measured"]
    interval_low: Annotated[float | None, "lower limit of its interval"]
    interval_high: Annotated[float | None, "upper limit"]
    confidence: Annotated[float | None, "of that interval: at most 5 % of searches give any wrong verdict"]
    verdict: Annotated[str, "`keeps`, `fails`, `undecided`, or `not measured` where the search has measured no rate"]
    certified_per_s: Annotated[float | None, "the search as a whole: the highest rate that keeps below all that fail; null for none"]
    refuted_per_s: Annotated[float | None, "the lowest rate that fails; null where none did"]
    minutes: Annotated[float | None, "the budget of `--minutes`; null for none, and where a rate was measured"]
    minutes_needed: Annotated[float | None, "about what a budget must be for one rate of each search; null where none was too short"]
    flags: Annotated[list[str], "what a reader must know of the figures"]


def capacity_rows(groups: Sequence[Group], question: CapacityQuestion | None) -> Iterator[CapacityRow]:
    """Yield the rows of a campaign; none where nothing was searched."""
    trials = [data for group in groups for data in group.trials]
    flags = {trial_id: found for group in groups for trial_id, found in group.flags.items()}
    searches = searches_of(trials, () if question is None else question.trials)
    for number, search in enumerate(searches):
        shown = [one for one in search.probes if math.isfinite(one.judgement.mean)]  # else there is nothing to be right about
        for measured in shown:
            yield _row(number, search, measured, flags)
        if not shown and question is not None:
            yield from _unmeasured(number, searches[: len(question.trials)], question, flags)


def _row(number: int, search: Search, measured: MeasuredProbe, flags: Mapping[str, Sequence[str]]) -> CapacityRow:
    data, found, bracket = measured.data, measured.judgement, search.bracket
    deadline, requirement = asked_of(data)
    scale = scale_of(data.judged(data.metric))
    low, high = scale.shown_limits(found.low, found.high)
    return {
        **data.record.labels(),
        "search": number,
        "load": words_without_rate(search.like.load),
        "rate_per_s": measured.probe.rate_per_s,
        "threshold": deadline.label,
        "threshold_ns": deadline.ns,
        "keep": requirement.keep,
        "closed_per_s": search.closed_per_s,
        "metric": data.metric,
        "ideal": scale.shown(data.judged(data.metric).ideal()),
        "streams": found.streams,
        "mean": scale.shown(found.mean),
        "interval_low": low,
        "interval_high": high,
        "confidence": found.confidence,
        "verdict": found.verdict,
        "certified_per_s": bracket.certified,
        "refuted_per_s": bracket.refuted,
        "minutes": None,
        "minutes_needed": None,
        "flags": list(flags[data.trial_id]),
    }


def _unmeasured(
    number: int, searches: Sequence[Search], question: CapacityQuestion, flags: Mapping[str, Sequence[str]]
) -> Iterator[CapacityRow]:
    """Yield the row of a search without a rate, from its closed loop; none where that has no round, or nothing to be right about."""
    deadline, closed = primary_threshold(question.deadline, None), searches[number].closed
    if deadline is None or closed is None or math.isnan(closed.judged(closed.metric).ideal()):
        return
    yield {
        **closed.record.labels(),
        "search": number,
        "load": words_without_rate(searches[number].like.load),
        "rate_per_s": None,
        "threshold": deadline.label,
        "threshold_ns": deadline.ns,
        "keep": question.keep,
        "closed_per_s": searches[number].closed_per_s,
        "metric": closed.metric,
        "ideal": ideal_quality(closed.judged(closed.metric)),
        "streams": 0,
        "mean": None,
        "interval_low": None,
        "interval_high": None,
        "confidence": None,
        "verdict": NOT_MEASURED,
        "certified_per_s": None,
        "refuted_per_s": None,
        "minutes": question.minutes,
        "minutes_needed": minutes_needed(standing_of(searches, question, deadline, 0.0), question),
        "flags": list(flags[closed.trial_id]),
    }
