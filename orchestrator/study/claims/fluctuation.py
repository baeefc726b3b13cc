"""C1: inference quality fluctuates within one system."""

from __future__ import annotations

import numpy as np

from orchestrator.stats.latency import percentiles_inverted_cdf
from orchestrator.stats.prediction import variance_ratio
from orchestrator.stats.thresholds import FREEZING_ROUNDS
from orchestrator.stats.times import PRIMARY_CLOCK
from orchestrator.study.claims.claim import Claim, by_share, counted, share_figures
from orchestrator.study.material import Material, who, who_columns
from orchestrator.study.tables import Column, StudyTable, Value, known, numbers, significant, three, time_ms, whole


def fluctuation_table(material: Material) -> StudyTable:
    """Return the range of quality over rounds at a threshold that the first rounds have set, of every trial long enough."""
    wanted = material.criteria.claims.fluctuation
    rows: list[list[Value]] = []
    for group, data in material.trials():
        if len(data.times[PRIMARY_CLOCK]) < wanted.rounds:
            continue
        first = min(FREEZING_ROUNDS, len(data.times[PRIMARY_CLOCK]) // 2)
        bound = percentiles_inverted_cdf(data.inferences[PRIMARY_CLOCK][:first], [wanted.percentile])[0]
        judged = data.judged(data.metric)
        ideal = abs(judged.ideal())
        quality = judged.curve(data.times[PRIMARY_CLOCK][first:], [bound])[0]
        scores = data.scores_per_inference()
        ratio = None if scores is None else known(float(variance_ratio(scores, data.inferences[PRIMARY_CLOCK][first:], [bound])[0]))
        spread = float(np.ptp(quality)) / ideal if ideal else 0.0
        rows.append([*who(group, data), quality.size, bound, spread, float(quality.std(ddof=1)), ratio, spread >= wanted.range])
    return StudyTable(
        "fluctuation",
        f"Quality over rounds within p{wanted.percentile:g} of the trial's first rounds, total time",
        [
            *who_columns(),
            *numbers(whole, "rounds"),
            *numbers(time_ms, "threshold"),
            *numbers(three, "range of ideal", "sd"),
            *numbers(significant, "variance ratio"),
            Column("fluctuates"),
        ],
        rows,
        "Range: best less worst round, as a share of ideal quality. Variance ratio: variance between rounds over what independent "
        "inferences would show, each with its own share of rounds on time; about 1 is chance alone. A dash: the metric is no mean over "
        "samples, or no sample is sometimes late.",
    )


def fluctuation_claim(material: Material, table: StudyTable) -> Claim:
    """Return the claim's verdict."""
    wanted = material.criteria.claims.fluctuation
    shown = [bool(row[-1]) for row in table.rows]
    ranges = [row[7] for row in table.rows]
    median = float(np.median(np.array(ranges, dtype=np.float64))) if ranges else None
    found = f"{counted(sum(shown), len(shown))} trials" + ("" if median is None else f"; median range {three(median)} of ideal quality")
    ratios = [row[-2] for row in table.rows if row[-2] is not None]
    if ratios:
        middle = significant(float(np.median(np.array(ratios, dtype=np.float64))))
        some = "" if len(ratios) == len(shown) else f" of the {len(ratios)} trials that have a ratio"
        found += f"; median variance{some} {middle} times that of chance alone"
    return Claim(
        "C1",
        "Quality fluctuates from round to round within one system",
        f"best less worst round at least {wanted.range:g} of ideal quality within p{wanted.percentile:g}, in {wanted.trials:.0%} of trials",
        by_share(sum(shown), len(shown), wanted.trials),
        found,
        {"trials": len(shown), "fluctuating": sum(shown), **share_figures(sum(shown), len(shown))}
        | ({} if median is None else {"median range": median}),
    )
