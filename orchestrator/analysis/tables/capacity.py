import math
from collections.abc import Iterator
from typing import Any

from orchestrator.analysis.capacity import (
    REPORT_S,
    MeasuredRate,
    all_seconds,
    answers_within,
    minutes,
    searches_of,
    seconds_spent,
    words_without_rate,
)
from orchestrator.analysis.quality import ideal_quality, intervals
from orchestrator.analysis.table import FLAGS, METRIC, Column, Context, Row, View, table
from orchestrator.stats.capacity import least_share
from orchestrator.stats.constants import STREAMS_TO_KEEP

ESTIMATE = ("estimate_per_s", "estimate_low_per_s", "estimate_high_per_s")
UNKNOWN = ("rate_per_s", "least_share", "mean", "interval_low", "interval_high", "confidence")
RIGHT = ("right_per_s", "right_low", "right_high")
# Of a search that has measured no rate.
NOTHING = {
    **dict.fromkeys(UNKNOWN),
    **dict.fromkeys(("streams", "answers", "streams_kept"), 0),
    "verdict": "not measured",
}


@table(
    "capacity",
    (
        Column(
            "search",
            "int32",
            "number of the search, from 0: trials that differ in their rate alone",
        ),
        Column("load", "str", "the load without its rate, such as `poisson newest`", "load"),
        Column(
            "rate_per_s",
            "float?",
            "offered: samples that arrived in a second, on average; null where no rate was "
            "measured",
            "offered",
            "per_s",
        ),
        Column(
            "delivered_per_s",
            "float?",
            "the rate that our loop delivered, see `load.parquet`",
            "delivered",
            "per_s",
        ),
        Column("threshold", "str", "label of the deadline"),
        Column(
            "threshold_ns",
            "int64",
            "an answer is on time when its response, from arrival to answer, is at most this",
        ),
        Column("keep", "float", "the share of ideal quality that is required"),
        Column(
            "closed_per_s",
            "float?",
            "samples a second of the same trial in a closed loop; null where it was not measured",
            "closed loop",
            "per_s",
        ),
        METRIC,
        Column("ideal", "float", "quality without a threshold"),
        Column(
            "streams",
            "int32",
            "number of whole streams, the unit of interval and certificate",
            "of streams",
            "count",
        ),
        Column("answers", "int32", "answers of each stream"),
        Column(
            "streams_kept",
            "int32",
            "streams with the required share of ideal quality",
            "streams kept",
            "count",
        ),
        Column(
            "least_share",
            "float?",
            "lower limit of the share of such streams (95 %, Clopper-Pearson, one-sided)",
        ),
        Column("share", "float", "required share of such streams"),
        Column(
            "mean",
            "float?",
            "tail quality on the response clock, a mean over these streams; null where no rate "
            "was measured",
            "kept",
            "quality [interval_low, interval_high]",
        ),
        Column("interval_low", "float?", "lower limit of its interval"),
        Column("interval_high", "float?", "upper limit"),
        Column(
            "right_per_s",
            "float?",
            "answers a second that were right and in time, see `goodput.parquet`",
            "right and in time",
            "per_s [right_low, right_high]",
        ),
        Column("right_low", "float?", "lower limit of its interval"),
        Column("right_high", "float?", "upper limit"),
        Column("confidence", "float?", "confidence of the interval of `mean`"),
        Column(
            "verdict",
            "str",
            "`kept`, `not kept`, `pilot`, or `not measured` where the search has measured no rate",
            "verdict",
        ),
        Column("why", "str", "reason of the verdict", "why"),
        Column(
            "estimate_per_s",
            "float?",
            "the search as a whole: the rate at which mean quality crosses what is required",
            "estimate",
            "per_s",
        ),
        Column(
            "estimate_low_per_s",
            "float?",
            "lower limit of its 95 % interval; null where it lies below all rates of the pilot",
            "at least",
            "per_s",
        ),
        Column(
            "estimate_high_per_s",
            "float?",
            "upper limit; null where it lies above all rates of the pilot",
            "at most",
            "per_s",
        ),
        Column(
            "certified_per_s",
            "float?",
            "the highest rate that is certified; null for none",
            "certified up to",
            "per_s",
        ),
        Column("ending", "str", "why no rate is certified; empty if one is", "why none", "text"),
        Column(
            "minutes",
            "float?",
            "the budget of `--minutes`; null for none, and where a rate was measured",
        ),
        Column(
            "minutes_needed",
            "float?",
            "estimated budget for the search to end; null if it has ended or has no budget",
        ),
        FLAGS,
    ),
    "campaign",
    views=(
        View(
            "capacity",
            "Capacity of {task}: {keep:g} of {metric} within {threshold}",
            "certified up to: the highest rate at which at least 80 % of streams are shown to keep "
            "the required quality; at most 5 % of searches certify too high a rate. estimate: the "
            "rate at which mean quality falls below it, with the limits of its 95 % interval. "
            "closed loop: the throughput back to back.",
            split=("threshold", "keep"),
            without=("settings",),
            labels={
                "load": "load",
                "certified_per_s": "certified up to",
                "estimate_per_s": "estimate",
                "estimate_low_per_s": "at least",
                "estimate_high_per_s": "at most",
                "closed_per_s": "closed loop",
                "ending": "why none",
            },
            section="Capacity",
        ),
        View(
            "rates",
            "Rates measured of {task}: {keep:g} of {metric} within {threshold}",
            "kept: tail quality on the response clock, a mean over streams, with its 95 % "
            "interval. "
            "Rates of the pilot lead to the estimate; the others are tested one after another, "
            "ascending, until one fails.",
            where={"verdict": ("pilot", "kept", "not kept")},
            split=("threshold", "keep"),
            without=("settings",),
            labels={
                "load": "load",
                "rate_per_s": "offered",
                "delivered_per_s": "delivered",
                "mean": "kept",
                "right_per_s": "right and in time",
                "streams_kept": "streams kept",
                "streams": "of streams",
                "verdict": "verdict",
                "why": "why",
            },
            section="Capacity",
        ),
    ),
)
def capacity(context: Context) -> Iterator[Row]:
    """Yield one row per rate that ``capacity`` measured, in that order.

    A search that measured no rate has one row, for its closed loop.
    """
    question = context.campaign.capacity
    flags = {trial_id: found for group in context.groups for trial_id, found in group.flags.items()}
    delivered = {row["trial"]: row["delivered_per_s"] for row in context.rows["load"]}
    useful = {(row["trial"], row["threshold_ns"]): row for row in context.rows["goodput"]}
    searches = searches_of([data for group in context.groups for data in group.trials], question)
    needed = None
    if question is not None and question.minutes is not None:
        asked = [one for one in searches if one.closed is not None][: len(question.trials)]
        left_s = all_seconds(asked, answers_within(asked, question, 0.0))
        needed = minutes(seconds_spent(asked) + left_s + REPORT_S)
    for number, search in enumerate(searches):
        rates = [(one.data, _of_rate(one)) for one in search.rates]
        closed = [(search.closed, {**NOTHING, "why": search.ending})]
        for data, own in rates or closed:
            ideal = ideal_quality(data.judged(data.metric)) if data else math.nan
            if data is None or search.asked is None or math.isnan(ideal):
                continue  # it was not measured, or there is nothing to be right about
            row = useful.get((data.trial_id, search.asked.deadline.ns), {}) if search.rates else {}
            estimate = [None if one in (0, math.inf) else one for one in search.estimate or ()]
            yield {
                **data.record.labels(),
                "search": number,
                "load": words_without_rate(search.like.load),
                "delivered_per_s": delivered.get(data.trial_id) if search.rates else None,
                "threshold": search.asked.deadline.label,
                "threshold_ns": search.asked.deadline.ns,
                "keep": search.asked.keep,
                "share": STREAMS_TO_KEEP,
                "closed_per_s": search.closed_per_s,
                "metric": data.metric,
                "ideal": ideal,
                **dict(zip(ESTIMATE, estimate or [None] * 3, strict=True)),
                "certified_per_s": search.certified and search.certified.rate_per_s,
                "ending": search.ending,
                **own,
                **{name: row.get(name) for name in RIGHT},
                "minutes": None if question is None or search.rates else question.minutes,
                "minutes_needed": needed if search.next_rates().rates else None,
                "flags": list(flags[data.trial_id]),
            }


def _of_rate(one: MeasuredRate) -> dict[str, Any]:
    judged = one.data.judged(one.data.metric)
    [interval] = intervals(judged, judged.ideal() * (1 - one.lost)[None], one.at_stake)
    low, high = judged.shown_limits(interval.low, interval.high)
    return {
        "rate_per_s": one.rate_per_s,
        "streams": one.lost.size,
        "answers": one.answers,
        "streams_kept": one.kept,
        "least_share": least_share(one.kept, one.lost.size),
        "mean": judged.shown(judged.ideal() * (1 - float(one.lost.mean()))),
        "interval_low": low,
        "interval_high": high,
        "confidence": interval.confidence,
        "verdict": one.verdict,
        "why": one.why,
    }
