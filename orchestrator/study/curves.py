"""Quality over rounds, tails and latency as the paper has them; C1: quality fluctuates."""

from __future__ import annotations

import numpy as np

from orchestrator.analysis.quality import ideal_quality, scale_of
from orchestrator.stats.latency import percentiles_inverted_cdf
from orchestrator.stats.prediction import ratio_of_variances, shares_on_time
from orchestrator.stats.tail_quality import quality_curve
from orchestrator.stats.thresholds import FREEZING_ROUNDS
from orchestrator.stats.times import PRIMARY_CLOCK, SHOWN_SERVICE_CLOCKS
from orchestrator.study.claims import Claim, by_share, counted
from orchestrator.study.material import WHO_COLUMNS, Material, who
from orchestrator.study.tables import (
    Row,
    StudyTable,
    named,
    numbers,
    significant,
    three,
    time_ms,
    whole,
    words,
)


def quality_table(material: Material) -> StudyTable:
    """Return quality over rounds at own percentiles: of the first rounds, and of all."""
    wanted = material.criteria
    rows: list[Row] = []
    for group, data in material.trials():
        judged = data.judged(data.metric)
        for clock in SHOWN_SERVICE_CLOCKS:
            every = len(data.times[clock])
            for count in dict.fromkeys((min(wanted.first_rounds, every), every)):
                pooled = data.inferences[clock][:count]
                bounds = percentiles_inverted_cdf(pooled, wanted.percentiles)
                curve = judged.curve(data.times[clock][:count], bounds)
                of = "all" if count == every else f"first {count}"
                for percentile, bound, gained in zip(
                    wanted.percentiles, bounds, curve, strict=True
                ):
                    quality = scale_of(judged).shown(gained)
                    sd = float(quality.std(ddof=1)) if count > 1 else None
                    figures = [
                        float(quality.mean()),
                        float(quality.min()),
                        float(quality.max()),
                        sd,
                    ]
                    label = [*who(group, data), clock, of, f"p{percentile:g}"]
                    sizes = [count, len(data.references)]
                    rows.append([*label, *sizes, bound, ideal_quality(judged), *figures])
    return StudyTable(
        "quality",
        "Quality over rounds at own percentiles",
        [
            *WHO_COLUMNS,
            *named("clock", "rounds used", "percentile"),
            *numbers(whole, "rounds", "samples"),
            *numbers(time_ms, "threshold"),
            *numbers(three, "ideal", "mean", "min", "max", "sd"),
        ],
        rows,
        "Thresholds are percentiles of the trial's own times of these rounds, as the paper takes "
        "them: an own percentile fixes how many answers are late, so that these rows describe one "
        "trial and rank none. sd over rounds, divided by rounds - 1.",
    )


def tail_table(material: Material) -> StudyTable:
    """Return tail latency and tail quality from p90 to p99.9."""
    percentiles = material.criteria.tail_percentiles
    rows: list[Row] = []
    for group, data in material.trials():
        judged = data.judged(data.metric)
        for clock in SHOWN_SERVICE_CLOCKS:
            own = percentiles_inverted_cdf(data.inferences[clock], percentiles)
            of_reference = {one.percentile: one.ns for one in group.thresholds.percentiles[clock]}
            bounds = [*own, *(of_reference.get(percentile, np.inf) for percentile in percentiles)]
            curve = scale_of(judged).shown(judged.curve(data.times[clock], bounds).mean(axis=1))
            kept, at_common = curve.reshape(2, -1).tolist()
            for place, percentile in enumerate(percentiles):
                common = of_reference.get(percentile)
                there = [None, None] if common is None else [float(common), at_common[place]]
                rows.append(
                    [
                        *(*who(group, data), clock, f"p{percentile:g}", own[place], kept[place]),
                        *(*there, ideal_quality(judged), len(data.references)),
                    ]
                )
    return StudyTable(
        "tail",
        "Tail latency and tail quality",
        [
            *(*WHO_COLUMNS, *named("clock", "percentile")),
            *(*numbers(time_ms, "tail latency"), *numbers(three, "tail quality")),
            *numbers(time_ms, "reference threshold"),
            *(*numbers(three, "tail quality there", "ideal"), *numbers(whole, "samples")),
        ],
        rows,
        "Tail latency: the trial's own percentile of all its times. Tail quality there, and at the "
        "same percentile of the reference trial of the task, which is one threshold for all "
        "systems.",
    )


def latency_table(material: Material) -> StudyTable:
    """Return mean and percentiles of time: the conventional view."""
    rows: list[Row] = []
    for group, data in material.trials():
        for clock in SHOWN_SERVICE_CLOCKS:
            times = data.inferences[clock]
            finite = times[np.isfinite(times)]
            mean = float(finite.mean()) if finite.size else None
            tails = percentiles_inverted_cdf(times, [50, 99])
            rows.append([*who(group, data), clock, mean, *tails, times.size])
    times_of = numbers(time_ms, "mean", "p50", "p99")
    columns = [*WHO_COLUMNS, *named("clock"), *times_of, *numbers(whole, "inferences")]
    return StudyTable("latency", "Latency", columns, rows)


def fluctuation_table(material: Material) -> StudyTable:
    """Return the range of quality over rounds at a threshold that the trial's first rounds set."""
    wanted = material.criteria.claims.fluctuation
    rows: list[Row] = []
    for group, data in material.trials():
        times, inferences = data.times[PRIMARY_CLOCK], data.inferences[PRIMARY_CLOCK]
        if len(times) < wanted.rounds:
            continue
        first = min(FREEZING_ROUNDS, len(times) // 2)
        bound = percentiles_inverted_cdf(inferences[:first], [wanted.percentile])
        judged, scores = data.judged(data.metric), data.scores_per_inference()
        quality = judged.curve(times[first:], bound)[0]
        ratio = None
        if scores is not None:
            of_inferences = quality_curve(scores, inferences[first:], bound)
            shares = shares_on_time(inferences[first:], bound)
            ratio = float(ratio_of_variances(scores, of_inferences, shares)[0])
            ratio = ratio if np.isfinite(ratio) else None
        ideal = abs(judged.ideal())
        spread, sd = float(np.ptp(quality)) / ideal if ideal else 0.0, float(quality.std(ddof=1))
        fluctuates = spread >= wanted.range
        rows.append([*who(group, data), quality.size, *bound, spread, sd, ratio, fluctuates])
    return StudyTable(
        "fluctuation",
        f"Quality over rounds within p{wanted.percentile:g} of the trial's first rounds, "
        "total time",
        [
            *(*WHO_COLUMNS, *numbers(whole, "rounds"), *numbers(time_ms, "threshold")),
            *(*numbers(three, "range of ideal", "sd"), *numbers(significant, "variance ratio")),
            *words("fluctuates"),
        ],
        rows,
        "Range: best less worst round, as a share of ideal quality. Variance ratio: variance "
        "between rounds over what independent inferences would show, each with its own share of "
        "rounds on time; about 1 is chance alone. A dash: the metric is no mean over samples, or "
        "no sample is sometimes late.",
    )


def fluctuation_claim(material: Material, table: StudyTable) -> Claim:
    """Return the verdict on C1."""
    wanted, trials = material.criteria.claims.fluctuation, len(table.rows)
    fluctuating = sum(bool(row[-1]) for row in table.rows)
    found, figures = counted(fluctuating, trials)
    found += " trials"
    if trials:
        figures["median range"] = float(np.median([float(row[7] or 0) for row in table.rows]))
        found += f"; median range {three(figures['median range'])} of ideal quality"
    ratios = [float(row[-2]) for row in table.rows if row[-2] is not None]
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
