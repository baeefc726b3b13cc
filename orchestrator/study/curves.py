"""Quality over rounds, tails and latency as the paper has them; C1: quality fluctuates."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from orchestrator.analysis.quality import ideal_quality, scale_of
from orchestrator.stats.latency import percentiles_inverted_cdf
from orchestrator.stats.prediction import ratio_of_variances, shares_on_time
from orchestrator.stats.tail_quality import quality_curve
from orchestrator.stats.thresholds import FREEZING_ROUNDS
from orchestrator.stats.times import PRIMARY_CLOCK
from orchestrator.study.claims import Claim, by_share, counted
from orchestrator.study.material import WHO_COLUMNS, Material, who
from orchestrator.study.tables import Row, StudyTable, significant, table, three


@table(
    "quality",
    "Quality over rounds at own percentiles",
    [
        *(WHO_COLUMNS, ("name", "clock", "rounds used", "percentile")),
        *(("whole", "rounds", "samples"), ("ms", "threshold")),
        ("three", "ideal", "mean", "min", "max", "sd"),
    ],
    "Thresholds are percentiles of the trial's own times of these rounds, as the paper takes "
    "them: an own percentile fixes how many answers are late, so that these rows describe one "
    "trial and rank none. sd over rounds, divided by rounds - 1.",
)
def _quality(material: Material) -> Iterator[Row]:
    wanted = material.criteria.percentiles
    for group, data, clock in material.clocks():
        judged, every = data.judged(data.metric), len(data.times[clock])
        for count in dict.fromkeys((min(material.criteria.first_rounds, every), every)):
            bounds = percentiles_inverted_cdf(data.inferences[clock][:count], wanted)
            curve = scale_of(judged).shown(judged.curve(data.times[clock][:count], bounds))
            of = "all" if count == every else f"first {count}"
            label = [*who(group, data), clock, of]
            for percentile, bound, quality in zip(wanted, bounds, curve, strict=True):
                figures = (float(one) for one in (quality.mean(), quality.min(), quality.max()))
                sd = float(quality.std(ddof=1)) if count > 1 else None
                sizes = (count, len(data.references), bound, ideal_quality(judged))
                yield [*label, f"p{percentile:g}", *sizes, *figures, sd]


@table(
    "tail",
    "Tail latency and tail quality",
    [
        *(WHO_COLUMNS, ("name", "clock", "percentile")),
        *(("ms", "tail latency"), ("three", "tail quality"), ("ms", "reference threshold")),
        *(("three", "tail quality there", "ideal"), ("whole", "samples")),
    ],
    "Tail latency: the trial's own percentile of all its times. Tail quality there, and at the "
    "same percentile of the reference trial of the task, which is one threshold for all "
    "systems.",
)
def _tail(material: Material) -> Iterator[Row]:
    percentiles = material.criteria.tail_percentiles
    for group, data, clock in material.clocks():
        judged = data.judged(data.metric)
        own = percentiles_inverted_cdf(data.inferences[clock], percentiles)
        reference = {one.percentile: float(one.ns) for one in group.thresholds.percentiles[clock]}
        common = [reference.get(percentile) for percentile in percentiles]
        bounds = [*own, *(np.inf if ns is None else ns for ns in common)]
        curve = scale_of(judged).shown(judged.curve(data.times[clock], bounds).mean(axis=1))
        columns = (percentiles, own, common, *curve.reshape(2, -1).tolist())
        for percentile, bound, ns, kept, there in zip(*columns, strict=True):
            at = (ns, None if ns is None else there, ideal_quality(judged), len(data.references))
            yield [*who(group, data), clock, f"p{percentile:g}", bound, kept, *at]


@table(
    "latency",
    "Latency",
    [
        *(WHO_COLUMNS, ("name", "clock"), ("ms", "mean", "p50", "p99")),
        ("whole", "inferences"),
    ],
)
def _latency(material: Material) -> Iterator[Row]:
    for group, data, clock in material.clocks():
        times = data.inferences[clock]
        finite = times[np.isfinite(times)]
        mean = float(finite.mean()) if finite.size else None
        tails = percentiles_inverted_cdf(times, [50, 99])
        yield [*who(group, data), clock, mean, *tails, times.size]


@table(
    "fluctuation",
    "Quality over rounds within p{c.fluctuation.percentile:g} of the trial's first rounds, "
    "total time",
    [
        *(WHO_COLUMNS, ("whole", "rounds"), ("ms", "threshold")),
        *(("three", "range of ideal", "sd"), ("significant", "variance ratio")),
        ("words", "fluctuates"),
    ],
    "Range: best less worst round, as a share of ideal quality. Variance ratio: variance "
    "between rounds over what independent inferences would show, each with its own share of "
    "rounds on time; about 1 is chance alone. A dash: the metric is no mean over samples, or "
    "no sample is sometimes late.",
)
def _fluctuation(material: Material) -> Iterator[Row]:
    wanted = material.criteria.claims.fluctuation
    for group, data in material.trials():
        times, inferences = data.times[PRIMARY_CLOCK], data.inferences[PRIMARY_CLOCK]
        if len(times) < wanted.rounds:
            continue
        first = min(FREEZING_ROUNDS, len(times) // 2)
        bound = percentiles_inverted_cdf(inferences[:first], [wanted.percentile])
        judged, scores = data.judged(data.metric), data.scores_per_inference()
        later, quality = inferences[first:], judged.curve(times[first:], bound)[0]
        ratio, ideal = None, abs(judged.ideal())
        if scores is not None:
            curve, shares = quality_curve(scores, later, bound), shares_on_time(later, bound)
            ratio = float(ratio_of_variances(scores, curve, shares)[0])
        spread = float(np.ptp(quality)) / ideal if ideal else 0.0
        figures = (spread, float(quality.std(ddof=1)), ratio, spread >= wanted.range)
        yield [*who(group, data), quality.size, *bound, *figures]


def fluctuation_claim(material: Material, table: StudyTable) -> Claim:
    """Return the verdict on C1."""
    wanted, trials = material.criteria.claims.fluctuation, len(table.rows)
    fluctuating = sum(bool(row[-1]) for row in table.rows)
    found, figures = counted(fluctuating, trials)
    found += " trials"
    if trials:
        figures["median range"] = float(np.median([float(row[7] or 0) for row in table.rows]))
        found += f"; median range {three(figures['median range'])} of ideal quality"
    ratios = [row[-2] for row in table.rows if isinstance(row[-2], float) and np.isfinite(row[-2])]
    if ratios:
        some = f" of the {len(ratios)} trials that have a ratio" if len(ratios) < trials else ""
        middle = significant(float(np.median(ratios)))
        found += f"; median variance{some} {middle} times that of chance alone"
    return Claim(
        "C1",
        "Quality fluctuates from round to round within one system",
        f"best less worst round at least {wanted.range:g} of ideal quality within "
        f"p{wanted.percentile:g}, in {wanted.trials:.0%} of trials",
        by_share(fluctuating, trials, wanted.trials),
        found,
        {"trials": trials, "fluctuating": fluctuating, **figures},
    )
