"""C2: the conventional view would have chosen another system than tail quality does."""

from __future__ import annotations

import math
from collections.abc import Sequence
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
from orchestrator.study.claims import Claim, Verdict
from orchestrator.study.material import Material, short
from orchestrator.study.tables import Row, StudyTable, named, numbers, three, time_ms, words

View = Literal["mean latency", "p99 latency", "ideal quality"]
System: TypeAlias = Sequence[TrialData]
Side: TypeAlias = Sequence[tuple[TrialData, Floats]]
"""The repeats of a system, each with its quality of every round at each threshold, [M, R]."""
CLAIMS: dict[str, View] = {"C2a": "mean latency", "C2b": "p99 latency", "C2c": "ideal quality"}
NOTE = (
    "Views of latency choose a system and runtime for one model, since a smaller model is always "
    "faster; that of ideal quality chooses among all models. Cost: tail quality of the best system "
    "less that of the chosen one, total time. Limits: a paired t over repeats that took turns, "
    "else over visits of one cycle, Bonferroni over all choices of a task; without pairs all is "
    "open. The upper limit is the largest of all systems' against the chosen one, also where that "
    "one came out best. Open: these data leave room for a cost and for none. The best of several "
    "looks better than it is."
)


@dataclass(frozen=True)
class Choice:
    """What one view chooses at one threshold, what tail quality chooses, and what that costs.

    among
        the model whose systems and runtimes are chosen from, or all models.
    systems
        how many systems there are among these, whatever their runtimes and models.
    cost, share
        in tail quality, and as a share of the best system's ideal quality.
    low, high
        limits of the cost: the lower one against the best system by estimate, the upper one
        against every rival of the chosen one.
    """

    task: str
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
    outcome: Literal["costs", "costs nothing", "open"]


def choices(material: Material) -> list[Choice]:
    """Return the choices of every view at every common threshold of every task."""
    found = []
    for group in material.groups:
        systems = list(group.systems().values())
        of_model: dict[str, list[System]] = {}
        for repeats in systems:
            of_model.setdefault(repeats[0].record.trial.model.name, []).append(repeats)
        views: list[tuple[str, Sequence[System], View]] = [
            (among, some, view)
            for among, some in of_model.items()
            for view in (CLAIMS["C2a"], CLAIMS["C2b"])
        ]
        views += [("all models", systems, CLAIMS["C2c"])] if len(of_model) > 1 else []
        for among, some, view in views:
            found += _of_view(material, group, among, some, view, len(views))
    return found


def _of_view(
    material: Material, group: Group, among: str, systems: Sequence[System], view: View, tests: int
) -> list[Choice]:
    common = {one.ns: one for one in group.thresholds.common(PRIMARY_CLOCK)}
    bounds = sorted(common)
    if len(systems) < 2 or not bounds:
        return []
    wanted = material.criteria.claims.choice
    confidence = 1 - (1 - wanted.confidence) / (tests * len(bounds))
    sides = [
        [
            (data, data.judged(data.metric).curve(data.times[PRIMARY_CLOCK], bounds))
            for data in repeats
        ]
        for repeats in systems
    ]
    means = np.array([np.mean([curve.mean(axis=1) for _, curve in side], axis=0) for side in sides])
    chosen = min(range(len(systems)), key=lambda number: _order(view, systems[number]))
    against = {
        rival: _limits(sides[chosen], side, confidence)
        for rival, side in enumerate(sides)
        if rival != chosen
    }
    found = []
    for place, bound in enumerate(bounds):
        best = int(np.argmax(means[:, place]))
        ideal = abs(systems[best][0].judged(systems[best][0].metric).ideal())
        cost = float(means[best, place] - means[chosen, place])
        low = against[best][place][0] if cost > 0 else 0.0
        high = max(0.0, *(of_rival[place][1] for of_rival in against.values()))
        margin = wanted.margin * ideal
        found.append(
            Choice(
                group.task,
                among,
                len({repeats[0].record.trial.system.name for repeats in systems}),
                view,
                common[bound],
                short(group, systems[chosen][0]),
                short(group, systems[best if cost > 0 else chosen][0]),
                cost,
                cost / ideal if ideal else 0.0,
                low,
                high,
                "costs"
                if cost >= margin and low > 0
                else "costs nothing"
                if high < margin
                else "open",
            )
        )
    return found


def _order(view: View, repeats: System) -> tuple[float | str, ...]:
    """Return what orders systems by a view, the best first; of equal ideal quality the fastest."""
    times = np.concatenate([data.inferences[PRIMARY_CLOCK].ravel() for data in repeats])
    if view == "p99 latency":
        return percentiles_inverted_cdf(times, [99])[0], repeats[0].trial_id
    judged = repeats[0].judged(repeats[0].metric)
    ideal = -scale_of(judged).gained(ideal_quality(judged)) if view == "ideal quality" else 0.0
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
    curves = [curve for _, curve in (*a, *b)]
    least = min(0.0, *(float(curve.min()) for curve in curves))
    ends = [
        max(data.judged(data.metric).ideal(), float(curve.max())) - least
        for data, curve in (a[0], b[0])
    ]
    within = -ends[0], ends[1]
    if len(pairs) < (FEWEST_REPEATS if of_repeats else FEWEST_UNITS):
        return [within] * len(curves[0])
    means = np.array([[quality.mean(axis=1) for quality in pair] for pair in pairs])
    rounds = min(quality.shape[1] for pair in pairs for quality in pair)
    finest = 1 / (a[0][0].inferences[PRIMARY_CLOCK].shape[1] * rounds)
    found = [
        paired(*units.T, confidence=confidence, resolution=finest, within=within)
        for units in np.moveaxis(means, 2, 0)
    ]
    return [(one.low, one.high) for one in found]


def choice_table(found: Sequence[Choice]) -> StudyTable:
    """Return every choice."""
    rows: list[Row] = [
        [
            *(one.task, one.among, one.view, one.threshold.label, float(one.threshold.ns)),
            *(one.conventional, one.by_tail),
            *(one.cost, one.share, one.low, one.high, one.outcome),
        ]
        for one in found
    ]  # fmt: skip
    columns = [
        *(*named("task", "among", "view", "threshold"), *numbers(time_ms, "time")),
        *words("chosen by the view", "chosen by tail quality"),
        *(*numbers(three, "cost", "cost of ideal", "low", "high"), *words("outcome")),
    ]
    title = "Which system each view chooses, and what that costs in tail quality"
    return StudyTable("choice", title, columns, rows, NOTE)


def choice_claims(material: Material, found: Sequence[Choice]) -> list[Claim]:
    """Return the verdict on each conventional view, by its choices among several systems."""
    wanted = material.criteria.claims.choice
    claims = []
    for name, view in CLAIMS.items():
        of_view = [one for one in found if one.view == view]
        mine = [one for one in of_view if one.systems > 1]
        costing = [one for one in mine if one.outcome == "costs"]
        figures: dict[str, float] = {"thresholds": len(mine), "costing": len(costing)}
        verdict: Verdict = "not shown"
        said = f"a worse choice at {len(costing)} of {len(mine)} thresholds"
        if costing:
            verdict = "holds"
            largest = max(costing, key=lambda one: one.share)
            figures["largest cost"] = largest.share
            said += (
                f"; at most {three(largest.share)} of ideal quality, {largest.task}, "
                f"{largest.among}, within {largest.threshold.label}"
            )
        elif mine and all(one.outcome == "costs nothing" for one in mine):
            verdict = "fails"
        elif of_view and not mine:
            said = "only one system to choose from"
        says = f"The system with the best {view} is not the one with the best tail quality"
        criterion = (
            f"at one common threshold at least, the choice costs {wanted.margin:g} of ideal "
            f"quality or more, with {wanted.confidence:.0%} confidence that it costs any"
        )
        claims.append(Claim(name, says, criterion, verdict, said, figures))
    return claims
