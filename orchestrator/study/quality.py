"""C1: quality fluctuates from round to round; C2: tail quality chooses another system."""

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Literal, NamedTuple, TypeAlias

import numpy as np

from orchestrator.analysis.groups import Group
from orchestrator.analysis.quality import ideal_quality
from orchestrator.analysis.trial_data import TrialData
from orchestrator.analysis.turns import common_cycles
from orchestrator.contracts import by_key
from orchestrator.stats.constants import FEWEST_REPEATS, FEWEST_UNITS
from orchestrator.stats.latency import percentiles_inverted_cdf
from orchestrator.stats.pair import paired
from orchestrator.stats.prediction import ratio_of_variances, shares_on_time
from orchestrator.stats.tail_quality import quality_curve
from orchestrator.stats.thresholds import FREEZING_ROUNDS, Threshold
from orchestrator.stats.times import PRIMARY_CLOCK
from orchestrator.stats.units import Floats
from orchestrator.study.material import WHO_COLUMNS, Material, short, who
from orchestrator.study.tables import (
    Claim,
    Row,
    StudyTable,
    Verdict,
    by_share,
    counted,
    significant,
    table,
    three,
)

View = Literal["mean latency", "p99 latency", "ideal quality"]
System: TypeAlias = Sequence[TrialData]
# The repeats of a system, each with its quality of every round at each threshold, [M, R].
Side: TypeAlias = Sequence[tuple[TrialData, Floats]]
CLAIMS: dict[str, View] = {"C2a": "mean latency", "C2b": "p99 latency", "C2c": "ideal quality"}


@table(
    "quality",
    "Quality over rounds at own percentiles",
    [
        *(WHO_COLUMNS, ("name", "clock", "rounds used", "percentile")),
        *(("whole", "rounds", "samples"), ("ms", "threshold")),
        ("three", "ideal", "mean", "min", "max", "sd"),
    ],
    "Thresholds are percentiles of the trial's own times of these rounds, as the paper takes "
    "them: an own percentile fixes how many answers are late, so these rows describe one trial and "
    "rank none. sd: over rounds, with the divisor rounds - 1.",
)
def _quality(material: Material) -> Iterator[Row]:
    wanted = material.criteria.percentiles
    for group, data, clock in material.clocks():
        judged, every = data.judged(data.metric), len(data.times[clock])
        for count in dict.fromkeys((min(material.criteria.first_rounds, every), every)):
            bounds = percentiles_inverted_cdf(data.inferences[clock][:count], wanted)
            curve = judged.shown(judged.curve(data.times[clock][:count], bounds))
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
        curve = judged.shown(judged.curve(data.times[clock], bounds).mean(axis=1))
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
    "between rounds over that of independent inferences, each with its own share of rounds on "
    "time; about 1 is chance alone. A dash: the metric is no mean over samples, or "
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
        some = f" (known of {len(ratios)} trials)" if len(ratios) < trials else ""
        middle = significant(float(np.median(ratios)))
        found += f"; median variance {middle} times that of chance alone{some}"
    return Claim(
        "C1",
        "Quality fluctuates from round to round within one system",
        f"best less worst round at least {wanted.range:g} of ideal quality within "
        f"p{wanted.percentile:g}, in {wanted.trials:.0%} of trials",
        by_share(fluctuating, trials, wanted.trials),
        found,
        {"trials": trials, "fluctuating": fluctuating, **figures},
    )


class Choice(NamedTuple):
    """What one view chooses at one threshold, what tail quality chooses, and what that costs.

    ``among`` is the model whose systems and runtimes are chosen from, or all models, and
    ``systems`` how many systems there are among these. ``share`` is the cost as a share of the best
    system's ideal quality; of the limits of the cost the lower one is against the best system by
    estimate, the upper one against every rival of the chosen one.
    """

    task: str
    among: str
    view: View
    threshold: Threshold
    conventional: str
    by_tail: str
    cost: float
    share: float
    low: float
    high: float
    outcome: Literal["costs", "costs nothing", "open"]
    systems: int


@lru_cache(maxsize=1)
def choices(material: Material) -> list[Choice]:
    """Return the choices of every view at every common threshold of every task."""
    found: list[Choice] = []
    for group in material.groups:
        of_model = by_key(
            group.systems().values(), lambda repeats: repeats[0].record.trial.model.name
        )
        views = [(*of, CLAIMS[name]) for of in of_model.items() for name in ("C2a", "C2b")]
        if len(of_model) > 1:
            views.append(("all models", [*group.systems().values()], CLAIMS["C2c"]))
        for among, systems, view in views:
            if len(systems) > 1:
                found += _of_view(material, group, among, systems, view, len(views))
    return found


def _of_view(
    material: Material, group: Group, among: str, systems: Sequence[System], view: View, tests: int
) -> Iterator[Choice]:
    common = {one.ns: one for one in group.thresholds.common(PRIMARY_CLOCK)}
    bounds, wanted = sorted(common), material.criteria.claims.choice
    confidence = 1 - (1 - wanted.confidence) / (tests * max(len(bounds), 1))
    judged = [repeats[0].judged(repeats[0].metric) for repeats in systems]
    sides = [
        [
            (data, data.judged(data.metric).curve(data.times[PRIMARY_CLOCK], bounds))
            for data in repeats
        ]
        for repeats in systems
    ]
    means = np.array([np.mean([curve.mean(axis=1) for _, curve in side], axis=0) for side in sides])
    chosen = min(range(len(systems)), key=lambda number: _order(view, systems[number]))
    limits = [_limits(sides[chosen], side, confidence) for side in sides]
    names = [short(group, repeats[0]) for repeats in systems]
    machines = {repeats[0].record.trial.system.name for repeats in systems}
    for place, bound in enumerate(bounds):
        best = int(np.argmax(means[:, place]))
        cost, ideal = float(means[best, place] - means[chosen, place]), abs(judged[best].ideal())
        low = limits[best][place][0] if cost > 0 else 0.0
        rivals = (each[place][1] for rival, each in enumerate(limits) if rival != chosen)
        high, margin = max(0.0, *rivals), wanted.margin * ideal
        yield Choice(
            group.task,
            among,
            view,
            common[bound],
            names[chosen],
            names[best if cost > 0 else chosen],
            cost,
            cost / ideal if ideal else 0.0,
            low,
            high,
            "costs" if cost >= margin and low > 0 else "costs nothing" if high < margin else "open",
            len(machines),
        )


# What orders systems by a view, the best first; of equal ideal quality the fastest.
def _order(view: View, repeats: System) -> tuple[float | str, ...]:
    times = np.concatenate([data.inferences[PRIMARY_CLOCK].ravel() for data in repeats])
    if view == "p99 latency":
        return percentiles_inverted_cdf(times, [99])[0], repeats[0].trial_id
    judged = repeats[0].judged(repeats[0].metric)
    ideal = -judged.ideal() if view == "ideal quality" else 0.0
    return ideal, float(times.mean()), repeats[0].trial_id


def _limits(a: Side, b: Side, confidence: float) -> list[tuple[float, float]]:
    """Return limits of the difference b - a per threshold: all that is possible without pairs.

    Pairs are repeats, where three or more of either side took turns; else visits of one cycle,
    where there are 12 or more.
    """
    both = list(zip(a, b, strict=False))
    begun = [
        [
            one.record.started_at.timestamp() if one.record.started_at else math.nan
            for one, _ in pair
        ]
        for pair in both
    ]
    took_turns = all(max(now) <= min(then) for now, then in pairwise(begun))
    of_repeats = len(both) >= FEWEST_REPEATS and took_turns
    pairs = (
        [(mine, its) for (_, mine), (_, its) in both]
        if of_repeats
        else [
            (mine[:, one.turns == visit], its[:, other.turns == visit])
            for (one, mine), (other, its) in both
            for visit in common_cycles(one, other)
        ]
    )
    least = min(float(curve.min(initial=0.0)) for _, curve in (*a, *b))
    mine, its = (
        max(data.judged(data.metric).ideal(), float(curve.max(initial=0.0))) - least
        for data, curve in (a[0], b[0])
    )
    if len(pairs) < (FEWEST_REPEATS if of_repeats else FEWEST_UNITS):
        return [(-mine, its)] * len(a[0][1])
    means = np.array([[quality.mean(axis=1) for quality in pair] for pair in pairs])
    rounds = min(quality.shape[1] for pair in pairs for quality in pair)
    finest = 1 / (a[0][0].inferences[PRIMARY_CLOCK].shape[1] * rounds)
    found = (
        paired(*units.T, confidence=confidence, resolution=finest, within=(-mine, its))
        for units in np.moveaxis(means, 2, 0)
    )
    return [(one.low, one.high) for one in found]


@table(
    "choice",
    "Which system each view chooses, and what that costs in tail quality",
    [
        *(("name", "task", "among", "view", "threshold"), ("ms", "time")),
        ("words", "chosen by the view", "chosen by tail quality"),
        *(("three", "cost", "cost of ideal", "low", "high"), ("words", "outcome")),
    ],
    "Views of latency choose a system and runtime for one model, since a smaller model is always "
    "faster; the view of ideal quality chooses among all models. Cost: tail quality of the best "
    "system less that of the chosen one, total time. Limits: a paired t over repeats that took "
    "turns, else over visits of one cycle, Bonferroni over all choices of a task; without pairs "
    "every outcome is open. The upper limit is the largest over all systems against the chosen "
    "one, even where that one is best. Open: these data allow a cost as well as none. The best of "
    "several systems looks better than it is.",
)
def _choice(material: Material) -> Iterator[Row]:
    for one in choices(material):
        yield [*one[:3], one.threshold.label, float(one.threshold.ns), *one[4:-1]]


def choice_claims(material: Material, found: Sequence[Choice]) -> list[Claim]:
    """Return the verdict on each conventional view, by its choices among several systems."""
    wanted, claims = material.criteria.claims.choice, []
    for name, view in CLAIMS.items():
        mine = [one for one in found if one.view == view and one.systems > 1]
        costing = [one for one in mine if one.outcome == "costs"]
        numbers: dict[str, float] = {"thresholds": len(mine), "costing": len(costing)}
        verdict: Verdict = "not shown"
        said = f"a worse choice at {len(costing)} of {len(mine)} thresholds"
        if costing:
            verdict, largest = "holds", max(costing, key=lambda one: one.share)
            numbers["largest cost"] = largest.share
            said += (
                f"; costs at most {three(largest.share)} of ideal quality, {largest.task}, "
                f"{largest.among}, within {largest.threshold.label}"
            )
        elif mine and all(one.outcome == "costs nothing" for one in mine):
            verdict = "fails"
        elif not mine and any(one.view == view for one in found):
            said = "only one system to choose from"
        says = f"The system with the best {view} is not the one with the best tail quality"
        criterion = (
            f"at one common threshold at least, the choice costs {wanted.margin:g} of ideal "
            f"quality or more, and its lower {wanted.confidence:.0%} limit (Bonferroni over the "
            "task's choices) is above 0"
        )
        claims.append(Claim(name, says, criterion, verdict, said, numbers))
    return claims
