"""Rows of ``capacity.parquet``: the rates that searches have measured, and the searches that have measured none."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, cast

from orchestrator.analysis.capacity import MeasuredRate, Search, searches_of, words_without_rate
from orchestrator.analysis.capacity_budget import REPORT_S, all_seconds, answers_within, minutes, seconds_spent
from orchestrator.analysis.groups import Group
from orchestrator.analysis.quality import ideal_quality, scale_of
from orchestrator.analysis.trial_data import TrialData
from orchestrator.stats.constants import STREAMS_TO_KEEP
from orchestrator.storage.records import CapacityQuestion
from orchestrator.storage.typed_rows import Int32, Int64, Labels

NOT_MEASURED = "not measured"
"""In the place of a verdict, where a search has measured no rate."""


class CapacityRow(Labels):
    """One row per rate that a search has measured, in the order in which it did; one of its closed loop where it has measured none."""

    search: Annotated[Int32, "number of the search, from 0: trials that differ in their rate alone"]
    load: Annotated[str, "the load without its rate, such as `poisson newest`"]
    rate_per_s: Annotated[float | None, "offered: samples that arrived in a second, on average; null where no rate was measured"]
    delivered_per_s: Annotated[float | None, "the same as our loop delivered it, see `load.parquet`"]
    threshold: Annotated[str, "label of the deadline"]
    threshold_ns: Annotated[Int64, "an answer is on time when its response, from arrival to answer, is at most this"]
    keep: Annotated[float, "the share of ideal quality that is required"]
    closed_per_s: Annotated[float | None, "samples a second of the same trial in a closed loop; null where it was not measured"]
    metric: Annotated[str, "the primary metric"]
    ideal: Annotated[float, "quality without a threshold"]
    streams: Annotated[Int32, "how many whole streams were measured; the unit of the interval and of the certificate"]
    answers: Annotated[Int32, "how many answers each of them has"]
    streams_kept: Annotated[Int32, "how many of them keep the required share of ideal quality"]
    least_share: Annotated[float | None, "the share of streams that keep it is at least this (95 %, Clopper-Pearson, one-sided)"]
    share: Annotated[float, "the share of streams that must keep it"]
    mean: Annotated[float | None, "tail quality on the response clock, a mean over these streams; null where no rate was measured"]
    interval_low: Annotated[float | None, "lower limit of its interval"]
    interval_high: Annotated[float | None, "upper limit"]
    confidence: Annotated[float | None, "of that interval"]
    verdict: Annotated[str, "`kept`, `not kept`, `pilot`, or `not measured` where the search has measured no rate"]
    why: Annotated[str, "what the verdict rests on"]
    estimate_per_s: Annotated[float | None, "the search as a whole: the rate at which mean quality crosses what is required"]
    estimate_low_per_s: Annotated[float | None, "lower limit of its 95 % interval; null where it lies below all rates of the pilot"]
    estimate_high_per_s: Annotated[float | None, "upper limit; null where it lies above all rates of the pilot"]
    certified_per_s: Annotated[float | None, "the highest rate that is certified; null for none"]
    ending: Annotated[str, "why none is certified; empty where one is"]
    minutes: Annotated[float | None, "the budget of `--minutes`; null for none, and where a rate was measured"]
    minutes_needed: Annotated[float | None, "about what a budget must be for the search to end; null where it has, or has no budget"]
    flags: Annotated[list[str], "what a reader must know of the figures"]


def capacity_rows(
    groups: Sequence[Group], question: CapacityQuestion | None, load_rows: Sequence[Mapping[str, Any]] = ()
) -> Iterator[CapacityRow]:
    """Yield the rows of a campaign; none where nothing was searched. ``load_rows`` are those of ``load.parquet``."""
    flags = {trial_id: found for group in groups for trial_id, found in group.flags.items()}
    delivered = {row["trial"]: row["delivered_per_s"] for row in load_rows}
    searches = searches_of([data for group in groups for data in group.trials], question)
    needed = _minutes_needed(searches, question)
    for number, search in enumerate(searches):
        rates = [_of_rate(one, delivered) for one in search.rates] or [_of_closed_loop(search)]
        for data, own in zip([*(one.data for one in search.rates), search.closed], rates, strict=False):
            if data is None or search.asked is None or math.isnan(ideal_quality(data.judged(data.metric))):
                continue  # nothing was measured, or there is nothing to be right about
            row: dict[str, Any] = {
                **data.record.labels(),
                "search": number,
                "load": words_without_rate(search.like.load),
                **_of_search(search, data),
                **own,
                "minutes": None if question is None or search.rates else question.minutes,
                "minutes_needed": needed if search.next_rates().rates else None,
                "flags": list(flags[data.trial_id]),
            }
            yield cast(CapacityRow, row)


def _of_search(search: Search, data: TrialData) -> dict[str, Any]:
    """Return what all rows of a search have in common."""
    assert search.asked is not None
    estimate = [None if one in (0, math.inf) else one for one in search.estimate or (None, None, None)]
    return {
        "threshold": search.asked.deadline.label,
        "threshold_ns": search.asked.deadline.ns,
        "keep": search.asked.keep,
        "share": STREAMS_TO_KEEP,
        "closed_per_s": search.closed_per_s,
        "metric": data.metric,
        "ideal": ideal_quality(data.judged(data.metric)),
        "estimate_per_s": estimate[0],
        "estimate_low_per_s": estimate[1],
        "estimate_high_per_s": estimate[2],
        "certified_per_s": None if search.certified is None else search.certified.rate_per_s,
        "ending": search.ending,
    }


def _of_rate(one: MeasuredRate, delivered: Mapping[str, float | None]) -> dict[str, Any]:
    scale, interval = scale_of(one.data.judged(one.data.metric)), one.mean_interval()
    low, high = scale.shown_limits(interval.low, interval.high)
    return {
        "rate_per_s": one.rate_per_s,
        "delivered_per_s": delivered.get(one.data.trial_id),
        "streams": one.lost.size,
        "answers": one.answers,
        "streams_kept": one.kept,
        "least_share": one.least_share,
        "mean": scale.shown(one.ideal * (1 - float(one.lost.mean()))),
        "interval_low": low,
        "interval_high": high,
        "confidence": interval.confidence,
        "verdict": one.verdict,
        "why": one.why,
    }


def _of_closed_loop(search: Search) -> dict[str, Any]:
    nothing = ("rate_per_s", "delivered_per_s", "least_share", "mean", "interval_low", "interval_high", "confidence")
    counts = dict.fromkeys(("streams", "answers", "streams_kept"), 0)
    return {**dict.fromkeys(nothing), **counts, "verdict": NOT_MEASURED, "why": search.ending}


def _minutes_needed(searches: Sequence[Search], question: CapacityQuestion | None) -> float | None:
    """Return about which budget the searches need to end; None without a budget."""
    if question is None or question.minutes is None:
        return None
    asked = [search for search in searches if search.closed is not None][: len(question.trials)]
    return minutes(seconds_spent(asked) + all_seconds(asked, answers_within(asked, question, 0.0)) + REPORT_S)
