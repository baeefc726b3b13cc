"""C2: the conventional view would have chosen another system than tail quality does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.groups import Group
from orchestrator.analysis.quality import ideal_quality, scale_of
from orchestrator.analysis.trial_data import TrialData
from orchestrator.stats.comparison import compare_rounds
from orchestrator.stats.latency import percentiles_inverted_cdf
from orchestrator.stats.thresholds import Threshold
from orchestrator.stats.times import PRIMARY_CLOCK
from orchestrator.study.claims.claim import Claim, Verdict
from orchestrator.study.material import Material, short, systems_of
from orchestrator.study.tables import Column, StudyTable, Value, known, named, three, time_ms

View = Literal["mean latency", "p99 latency", "ideal quality"]
Floats = NDArray[np.float64]
Outcome = Literal["same", "costs", "costs nothing", "open"]


@dataclass(frozen=True)
class Choice:
    """What one view chooses at one threshold, what tail quality chooses, and what the difference costs."""

    group: Group
    view: View
    threshold: Threshold
    conventional: str
    by_tail: str
    cost: float
    low: float
    high: float
    outcome: Outcome


def choices(material: Material) -> list[Choice]:
    """Return the choices of every view at every common threshold of every task with several systems."""
    return [one for group in material.groups for one in _of_task(material, group)]


def _of_task(material: Material, group: Group) -> list[Choice]:
    systems = list(systems_of(group).values())
    thresholds = sorted({one.ns: one for one in group.thresholds.common(PRIMARY_CLOCK)}.values(), key=lambda one: one.ns)
    if len(systems) < 2 or not thresholds:
        return []
    bounds = [threshold.ns for threshold in thresholds]
    curves = [[data.judged(data.metric).curve(data.times[PRIMARY_CLOCK], bounds) for data in repeats] for repeats in systems]
    means = np.array([np.mean([curve.mean(axis=1) for curve in of], axis=0) for of in curves])
    wanted = material.criteria.claims.choice
    confidence = 1 - (1 - wanted.confidence) / (len(VIEWS) * len(thresholds))
    found = []
    for view, ranked in VIEWS.items():
        conventional = min(range(len(systems)), key=lambda place: ranked(systems[place]))
        for place, threshold in enumerate(thresholds):
            best = int(np.argmax(means[:, place]))
            margin = wanted.margin * abs(systems[best][0].judged(systems[best][0].metric).ideal())
            a, b = (_replicates(curves[which], place) for which in (conventional, best))
            cost = float(means[best, place] - means[conventional, place])
            low, high = (0.0, 0.0) if cost == 0 else _limits(a, b, systems[best], confidence)
            theirs, ours = (short(group, systems[which][0]) for which in (conventional, best))
            found.append(Choice(group, view, threshold, theirs, ours, cost, low, high, _outcome(cost, low, high, margin)))
    return found


def _outcome(cost: float, low: float, high: float, margin: float) -> Outcome:
    if cost == 0:
        return "same"
    if cost >= margin and low > 0:
        return "costs"
    return "costs nothing" if high < margin else "open"


def _replicates(curves: Sequence[Floats], place: int) -> Floats:
    """Return what a fresh process keeps, one value a repeat; of a single repeat one value a round."""
    return np.array([curve[place].mean() for curve in curves]) if len(curves) > 1 else curves[0][place]


def _limits(a: Floats, b: Floats, systems: Sequence[TrialData], confidence: float) -> tuple[float, float]:
    found = compare_rounds(a, b, confidence=confidence, resolution=1 / systems[0].inferences[PRIMARY_CLOCK].size)
    return found.low, found.high


def _mean_latency(repeats: Sequence[TrialData]) -> tuple[float, str]:
    times = np.concatenate([data.inferences[PRIMARY_CLOCK].ravel() for data in repeats])
    return float(times.mean()), repeats[0].trial_id


def _p99_latency(repeats: Sequence[TrialData]) -> tuple[float, str]:
    return percentiles_inverted_cdf(np.concatenate([data.inferences[PRIMARY_CLOCK].ravel() for data in repeats]), [99])[0], repeats[
        0
    ].trial_id


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
            *(one.group.task, one.view, one.threshold.label, float(one.threshold.ns), one.conventional, one.by_tail, one.cost),
            *(known(one.low), known(one.high), one.outcome),
        ]
        for one in found
    ]  # fmt: skip
    return StudyTable(
        "choice",
        "Which system each view chooses, and what that costs in tail quality",
        [
            *named("task", "view", "threshold"), Column("time", time_ms), Column("chosen by the view"), Column("chosen by tail quality"),
            *(Column(name, three) for name in ("cost", "low", "high")), Column("outcome"),
        ],
        rows,
        "Cost: tail quality of the best system less that of the chosen one, total time, with limits over fresh processes where there are "
        "repeats, else over rounds, Bonferroni over views and thresholds of a task. The best of several looks better than it is.",
    )  # fmt: skip


CLAIMS: dict[str, View] = {"C2a": "mean latency", "C2b": "p99 latency", "C2c": "ideal quality"}


def choice_claims(material: Material, found: Sequence[Choice]) -> list[Claim]:
    """Return the verdict on each conventional view."""
    wanted = material.criteria.claims.choice
    claims = []
    for name, view in CLAIMS.items():
        mine = [one for one in found if one.view == view]
        costing = [one for one in mine if one.outcome == "costs"]
        verdict: Verdict = "not shown"
        if costing:
            verdict = "holds"
        elif mine and all(one.outcome in ("same", "costs nothing") for one in mine):
            verdict = "fails"
        largest = max(costing, key=lambda one: one.cost, default=None)
        figure = f"another choice at {len(costing)} of {len(mine)} thresholds"
        if largest is not None:
            figure += f"; at most {three(largest.cost)}, {largest.group.task} within {largest.threshold.label}"
        claims.append(
            Claim(
                name,
                f"The system with the best {view} is not the one with the best tail quality",
                f"at one common threshold at least, the choice costs {wanted.margin:g} of ideal quality or more, with "
                f"{wanted.confidence:.0%} confidence that it costs any",
                verdict,
                figure,
                {"thresholds": len(mine), "costing": len(costing)} | ({} if largest is None else {"largest cost": largest.cost}),
            )
        )
    return claims
