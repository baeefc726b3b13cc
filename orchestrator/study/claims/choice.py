"""C2: the conventional view would have chosen another system than tail quality does."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, TypeAlias

import numpy as np

from orchestrator.analysis.groups import Group
from orchestrator.analysis.quality import ideal_quality, scale_of
from orchestrator.analysis.trial_data import TrialData
from orchestrator.analysis.turns import common_cycles
from orchestrator.stats.constants import FEWEST_REPEATS, FEWEST_UNITS
from orchestrator.stats.latency import percentiles_inverted_cdf
from orchestrator.stats.pair import paired
from orchestrator.stats.thresholds import Threshold
from orchestrator.stats.times import PRIMARY_CLOCK
from orchestrator.stats.units import Floats
from orchestrator.study.claims.claim import Claim, Verdict
from orchestrator.study.material import Material, short
from orchestrator.study.tables import Column, StudyTable, Value, known, named, numbers, three, time_ms

View = Literal["mean latency", "p99 latency", "ideal quality"]
Side: TypeAlias = Sequence[tuple[TrialData, Floats]]
"""The repeats of a system, each with its quality of every round at each threshold, [M, R]."""
ALL = "all models"
Outcome = Literal["costs", "costs nothing", "open"]


@dataclass(frozen=True)
class Choice:
    """What one view chooses at one threshold, what tail quality chooses, and what the difference costs.

    among
        the model whose systems and runtimes are chosen from, or all models.
    systems
        how many systems there are among these, whatever their runtimes and models.
    cost, share
        in tail quality, and as a share of the best system's ideal quality.
    low, high
        limits of the cost: the lower one against the best system by estimate, the upper one against every rival of the chosen one.
    """

    group: Group
    among: str
    systems: int
    view: View
    threshold: Threshold
    conventional: str
    by_tail: str
    cost: float
    share: float
    low: float
    high: float
    outcome: Outcome


def choices(material: Material) -> list[Choice]:
    """Return the choices of every view at every common threshold of every task with several systems.

    Views of latency choose a system and runtime for one model: a smaller model is always faster. That of ideal quality chooses among all.
    """
    found = []
    for group in material.groups:
        pools = list(_pools(group))
        for among, systems, views in pools:
            found += _of_pool(material, group, among, systems, views, sum(len(of) for _, _, of in pools))
    return found


def _pools(group: Group) -> Iterator[tuple[str, list[list[TrialData]], tuple[View, ...]]]:
    """Yield what is chosen from, and the views that choose."""
    systems = list(group.systems().values())
    models = list(dict.fromkeys(repeats[0].record.trial.model.name for repeats in systems))
    for model in models:
        yield model, [repeats for repeats in systems if repeats[0].record.trial.model.name == model], ("mean latency", "p99 latency")
    if len(models) > 1:
        yield ALL, systems, ("ideal quality",)


def _of_pool(
    material: Material, group: Group, among: str, systems: Sequence[Sequence[TrialData]], views: Sequence[View], tests: int
) -> list[Choice]:
    thresholds = sorted({one.ns: one for one in group.thresholds.common(PRIMARY_CLOCK)}.values(), key=lambda one: one.ns)
    if len(systems) < 2 or not thresholds:
        return []
    names = len({repeats[0].record.trial.system.name for repeats in systems})
    bounds = [threshold.ns for threshold in thresholds]
    sides = [[(data, data.judged(data.metric).curve(data.times[PRIMARY_CLOCK], bounds)) for data in repeats] for repeats in systems]
    means = np.array([np.mean([curve.mean(axis=1) for _, curve in side], axis=0) for side in sides])
    wanted = material.criteria.claims.choice
    confidence = 1 - (1 - wanted.confidence) / (tests * len(thresholds))
    found = []
    for view in views:
        conventional = min(range(len(systems)), key=[VIEWS[view](repeats) for repeats in systems].__getitem__)
        against = {rival: _limits(sides[conventional], side, confidence) for rival, side in enumerate(sides) if rival != conventional}
        for place, threshold in enumerate(thresholds):
            best = int(np.argmax(means[:, place]))
            ideal = abs(systems[best][0].judged(systems[best][0].metric).ideal())
            cost = float(means[best, place] - means[conventional, place])
            low = against[best][place][0] if cost > 0 else 0.0
            high = max(0.0, *(limits[place][1] for limits in against.values()))
            theirs, ours = (short(group, systems[which][0]) for which in (conventional, best if cost > 0 else conventional))
            outcome = _outcome(cost, low, high, wanted.margin * ideal)
            share = cost / ideal if ideal else 0.0
            found.append(Choice(group, among, names, view, threshold, theirs, ours, cost, share, low, high, outcome))
    return found


def _outcome(cost: float, low: float, high: float, margin: float) -> Outcome:
    if cost >= margin and low > 0:
        return "costs"
    return "costs nothing" if high < margin else "open"


def _limits(a: Side, b: Side, confidence: float) -> list[tuple[float, float]]:
    """Return the limits of the difference b - a at each threshold: all that is possible where nothing is paired.

    Pairs are repeats, where three or more of either side took turns; else visits of one cycle, where there are 12 or more.
    """
    both = list(zip(a, b, strict=False))
    begun = [[one.record.started_at.timestamp() if one.record.started_at else math.nan for one, _ in sides] for sides in both]
    of_repeats = len(both) >= FEWEST_REPEATS and all(max(now) <= min(then) for now, then in pairwise(begun))
    pairs = [(mine, its) for (_, mine), (_, its) in both] if of_repeats else [pair for sides in both for pair in _in_one_cycle(*sides)]
    curves = [curve for _, curve in (*a, *b)]
    least = min(0.0, *(float(curve.min()) for curve in curves))
    ends = [max(data.judged(data.metric).ideal(), float(curve.max())) - least for data, curve in (a[0], b[0])]
    within = -ends[0], ends[1]
    if len(pairs) < (FEWEST_REPEATS if of_repeats else FEWEST_UNITS):
        return [within] * len(curves[0])
    means = np.array([[quality.mean(axis=1) for quality in pair] for pair in pairs])
    answers = a[0][0].inferences[PRIMARY_CLOCK].shape[1] * min(quality.shape[1] for pair in pairs for quality in pair)
    found = [paired(*units.T, confidence=confidence, resolution=1 / answers, within=within) for units in np.moveaxis(means, 2, 0)]
    return [(one.low, one.high) for one in found]


def _in_one_cycle(a: tuple[TrialData, Floats], b: tuple[TrialData, Floats]) -> Iterator[tuple[Floats, Floats]]:
    """Yield the qualities of two trials, [M, rounds], in every two visits of one cycle."""
    for visit in common_cycles(a[0], b[0]):
        yield a[1][:, a[0].turns == visit], b[1][:, b[0].turns == visit]


def _mean_latency(repeats: Sequence[TrialData]) -> tuple[float, str]:
    times = np.concatenate([data.inferences[PRIMARY_CLOCK].ravel() for data in repeats])
    return float(times.mean()), repeats[0].trial_id


def _p99_latency(repeats: Sequence[TrialData]) -> tuple[float, str]:
    times = np.concatenate([data.inferences[PRIMARY_CLOCK].ravel() for data in repeats])
    return percentiles_inverted_cdf(times, [99])[0], repeats[0].trial_id


def _ideal(repeats: Sequence[TrialData]) -> tuple[float, float, str]:
    """Return what orders systems by ideal quality, the best first, of equal ones the fastest."""
    judged = repeats[0].judged(repeats[0].metric)
    return -scale_of(judged).gained(ideal_quality(judged)), *_mean_latency(repeats)


VIEWS: dict[View, Callable[[Sequence[TrialData]], tuple[float | str, ...]]] = {
    "mean latency": _mean_latency,
    "p99 latency": _p99_latency,
    "ideal quality": _ideal,
}


def choice_table(found: Sequence[Choice]) -> StudyTable:
    """Return every choice."""
    rows: list[list[Value]] = [
        [
            *(one.group.task, one.among, one.view, one.threshold.label, float(one.threshold.ns), one.conventional, one.by_tail),
            *(one.cost, one.share, known(one.low), known(one.high), one.outcome),
        ]
        for one in found
    ]  # fmt: skip
    return StudyTable(
        "choice",
        "Which system each view chooses, and what that costs in tail quality",
        [
            *named("task", "among", "view", "threshold"),
            *numbers(time_ms, "time"),
            Column("chosen by the view"),
            Column("chosen by tail quality"),
            *numbers(three, "cost", "cost of ideal", "low", "high"),
            Column("outcome"),
        ],
        rows,
        "Views of latency choose a system and runtime for one model, since a smaller model is always faster; that of ideal quality chooses "
        "among all models. Cost: tail quality of the best system less that of the chosen one, total time. Limits: a paired t over repeats "
        "that took turns, else over visits of one cycle, Bonferroni over all choices of a task; without pairs all is open. The upper limit "
        "is the largest of all systems' against the chosen one, also where that one came out best. Open: these data leave room for a cost "
        "and for none. The best of several looks better than it is.",
    )  # fmt: skip


CLAIMS: dict[str, View] = {"C2a": "mean latency", "C2b": "p99 latency", "C2c": "ideal quality"}


def choice_claims(material: Material, found: Sequence[Choice]) -> list[Claim]:
    """Return the verdict on each conventional view, by the choices that there are among several systems."""
    wanted = material.criteria.claims.choice
    claims = []
    for name, view in CLAIMS.items():
        of_view = [one for one in found if one.view == view]
        mine = [one for one in of_view if one.systems > 1]
        costing = [one for one in mine if one.outcome == "costs"]
        verdict: Verdict = "not shown"
        if costing:
            verdict = "holds"
        elif mine and all(one.outcome == "costs nothing" for one in mine):
            verdict = "fails"
        largest = max(costing, key=lambda one: one.share, default=None)
        figure = f"a worse choice at {len(costing)} of {len(mine)} thresholds"
        if of_view and not mine:
            figure = "only one system to choose from"
        if largest is not None:
            where = f"{largest.group.task}, {largest.among}, within {largest.threshold.label}"
            figure += f"; at most {three(largest.share)} of ideal quality, {where}"
        claims.append(
            Claim(
                name,
                f"The system with the best {view} is not the one with the best tail quality",
                f"at one common threshold at least, the choice costs {wanted.margin:g} of ideal quality or more, with "
                f"{wanted.confidence:.0%} confidence that it costs any",
                verdict,
                figure,
                {"thresholds": len(mine), "costing": len(costing)} | ({} if largest is None else {"largest cost": largest.share}),
            )
        )
    return claims
