"""Whether requests would pass published bounds, and the conditions of these that a run misses."""

import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from orchestrator.analysis.groups import Group
from orchestrator.analysis.table import FLAGS, METRIC, Column, Context, Row, table
from orchestrator.analysis.tables.tail_quality import joined, together
from orchestrator.analysis.trial_data import TrialData
from orchestrator.analysis.units import spans_ns
from orchestrator.configuration.analysis import BoundsConfig
from orchestrator.stats.certificate import samples_to_certify
from orchestrator.stats.interval import mean_intervals
from orchestrator.stats.queueing import SECOND_NS
from orchestrator.stats.thresholds import thresholds_from_ms
from orchestrator.stats.times import Clock

CERTAINTY = 0.99  # of LoadGen's early stopping
KEPT = ("metric", "ideal", "mean", "interval_low", "interval_high")


@table(
    "bounds",
    (
        Column("profile", "str", "name of the profile"),
        Column("source", "str", "where its bounds were published, and when they were read there"),
        Column("clock", "str", "its clocks, joined by `and`; `response` in a closed loop: `total`"),
        Column("bounds", "str", "its bounds, in the order of the clocks"),
        Column("share", "float", "share of requests that must keep each bound"),
        Column("requests", "int64", "requests, failed ones included", "requests", "count"),
        Column(
            "within",
            "float",
            "share of requests that keep every bound",
            "within all bounds",
            "quality [within_low, within_high]",
        ),
        Column("within_low", "float", "lower limit of its 95 % interval"),
        Column("within_high", "float", "upper limit"),
        Column(
            "least_within",
            "float",
            "lowest share that keeps any one bound",
            "least bound",
            "quality",
        ),
        Column("passes", "str", "`yes` if it reaches `share`, else `no`", "passes"),
        METRIC,
        Column("ideal", "float?", "quality without bounds; null if there is nothing to keep"),
        Column(
            "mean",
            "float?",
            "tail quality within all bounds",
            "quality kept",
            "quality [interval_low, interval_high]",
        ),
        Column("interval_low", "float?", "lower limit of its 95 % interval"),
        Column("interval_high", "float?", "upper limit"),
        Column(
            "unmet",
            "list",
            "conditions of the source that this run does not meet",
            "not as the source asks",
            "flags",
        ),
        FLAGS,
    ),
    per="trial",
    title="{profile}: requests of {task} with {clock} within {bounds}",
    note="Failed requests count as late. Passes: each bound alone is kept by {share:g} of these "
    "requests. Quality kept: late requests count as failed. Bounds: {source}.",
    section="Tail quality at every threshold",
)
def bounds(context: Context, group: Group, data: TrialData) -> Iterator[Row]:
    """Yield one row per trial, if ``analysis.bounds`` names a profile of whose clocks it has all.

    ``passes`` speaks of the measured requests; ``unmet`` says what keeps them from being a run as
    the source asks for.
    """
    profile = context.analysis.bounds
    if profile is None:
        return
    own: dict[Any, float] = {
        data.clock if name == "response" else name: ms for name, ms in profile.bounds_ms.items()
    }
    if (found := joined(data, own)) is None:
        return
    known, clock, threshold = found
    on_time = known.times[clock] <= threshold.ns
    [interval] = mean_intervals(on_time.mean(axis=1)[None], 1.0, on_time.shape[1], data.visits)
    shares = (
        (data.times[Clock(of)] <= thresholds_from_ms([ms])[0].ns).mean() for of, ms in own.items()
    )
    least = float(min(shares))
    flags = group.flags[data.trial_id]
    kept = next(together(data, data.metric, own, flags), {"metric": data.metric})
    yield {
        **data.record.labels(),
        "profile": profile.name,
        "source": f"{profile.source}, {profile.date}",
        "clock": clock,
        "bounds": threshold.label,
        "share": profile.share,
        "requests": on_time.size,
        "within": float(on_time.mean()),
        "within_low": interval.low,
        "within_high": interval.high,
        "least_within": least,
        "passes": "yes" if least >= profile.share else "no",
        **{name: kept.get(name) for name in KEPT},
        "unmet": list(unmet(data, profile, least)),
        "flags": list(kept.get("flags", flags)),
    }


def unmet(data: TrialData, profile: BoundsConfig, least: float) -> Iterator[str]:
    """Yield the conditions of a profile that a trial does not meet, in a few words each.

    A run is one stream, or in a closed loop all rounds. Where ``least`` of the requests keep a
    bound, enough of them must show it at 99 % (LoadGen's early stopping).
    """
    trial, spans = data.record.trial, spans_ns(data.evidence)
    lasted_s = float((np.nanmax if trial.load.is_open else np.nansum)(spans)) / SECOND_NS
    if profile.load not in (None, trial.load.name):
        yield f"arrivals {trial.load.name} instead of {profile.load}"
    if lasted_s < profile.seconds:
        yield f"{lasted_s:.0f} s instead of {profile.seconds:g} s"
    part = "" if trial.task.limit is None else f"{trial.task.limit} samples of "
    for what, here, named in (
        ("model", trial.model.stands_for, profile.models),
        ("data", f"{part}{trial.task.name}", profile.data),
    ):
        names = [re.sub(r"[\W_]", "", one).lower() for one in (here, *named)]
        if named and names[0] not in names[1:]:
            yield f"{what} {here} instead of {named[0]}"
    requests = data.times[data.clock].size
    if least >= profile.share:
        needed = samples_to_certify(100 * profile.share, CERTAINTY, round((1 - least) * requests))
        if requests < needed:
            yield f"{requests} requests instead of {needed}"
