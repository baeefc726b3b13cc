"""C4: first rounds predict the last, and one process another, at a threshold set beforehand."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy

from orchestrator.analysis.evidence import EVIDENCE
from orchestrator.analysis.groups import Group
from orchestrator.analysis.trial_data import TrialData
from orchestrator.analysis.units import spans_ns
from orchestrator.stats.constants import ROUNDING
from orchestrator.stats.pair import holm_adjusted
from orchestrator.stats.prediction import Figures, compare
from orchestrator.stats.times import PRIMARY_CLOCK, SHOWN_SERVICE_CLOCKS, Clock
from orchestrator.stats.units import Floats, spread, t_sf, units_of
from orchestrator.study.claims import Claim, Verdict, counted
from orchestrator.study.material import WHO_COLUMNS, Material, who
from orchestrator.study.tables import (
    Row,
    StudyTable,
    named,
    numbers,
    p_value,
    significant,
    three,
    time_ms,
    whole,
    words,
)

Against = Literal["last rounds", "fresh process"]
TEST_ROUNDS = 30
FEWEST_ROUNDS = 20
LEVEL = 0.01
"""At which evidence is said to differ, of all evidence of a trial together."""
FREQUENCIES = 8
SAYS: dict[Against, tuple[str, str]] = {
    "last rounds": ("C4a", "The first rounds predict the last"),
    "fresh process": ("C4b", "One process predicts a fresh one"),
}


@dataclass(frozen=True)
class Foretold:
    """Quality of rounds that predict, [n], and of those predicted, [m], at one threshold.

    fit, test
        at the fitted rounds' own percentile, as a gain over quality where all is late.
    own : [m]
        at the predicted rounds' own percentile, as the paper's program measures.
    bar
        max(least x ideal, deviations x sd of a fitted round x sqrt(1/n + 1/m)).
    """

    group: Group
    data: TrialData
    other: TrialData
    against: Against
    clock: Clock
    percentile: float
    threshold_ns: float
    fit: Floats
    test: Floats
    own: Floats
    bar: float

    @property
    def gained(self) -> float:
        """By how much more the later rounds keep than those that were fitted; negative if less."""
        return float(self.test.mean() - self.fit.mean())

    def missed(self, bar: float | None = None) -> bool:
        """Return whether the means differ by more than a bar, or than its own, but for rounding."""
        return abs(self.gained) > (self.bar if bar is None else bar) * (1 + ROUNDING)

    @property
    def label(self) -> str:
        """What is predicted, in words."""
        repeat = f"process of repeat {self.other.record.trial.repeat}"
        return self.against if self.data is self.other else repeat


def foretold(
    material: Material,
    percentiles: Sequence[float],
    against: Against,
    clocks: Sequence[Clock] = SHOWN_SERVICE_CLOCKS,
) -> Iterator[Foretold]:
    """Yield what first rounds say of the last of a trial, or the first repeat of every other."""
    wanted = material.criteria.claims.prediction
    for group, data, other in _pairs(material, against):
        judged = data.judged(data.metric)
        rounds = len(data.times[PRIMARY_CLOCK])
        if rounds < FEWEST_ROUNDS:
            continue
        # All but the last 30 rounds predict these, half of fewer than 60.
        fitted = rounds - min(TEST_ROUNDS, rounds // 2) if data is other else rounds
        first, last = slice(fitted), slice(fitted if data is other else 0, None)
        for clock in clocks:
            parts = (data.times[clock][first], other.times[clock][last])
            pooled = (data.inferences[clock][first], other.inferences[clock][last])
            curves = (judged.curve, other.judged(other.metric).curve)
            found = compare(curves, parts, percentiles, pooled)
            for percentile, bound, _, fit, test, own in zip(*found, strict=True):
                of_rounds = math.sqrt(1 / fit.size + 1 / test.size) * fit.std(ddof=1)
                bar = max(wanted.least * abs(judged.ideal()), wanted.deviations * float(of_rounds))
                at = (clock, float(percentile), float(bound))
                yield Foretold(group, data, other, against, *at, fit, test, own, bar)


def _pairs(material: Material, against: Against) -> list[tuple[Group, TrialData, TrialData]]:
    """Return the trials that predict, each with what it predicts."""
    if against == "last rounds":
        return [(group, data, data) for group, data in material.trials()]
    systems = [(group, of) for group in material.groups for of in group.systems().values()]
    return [(group, first, other) for group, (first, *others) in systems for other in others]


def prediction_table(material: Material) -> StudyTable:
    """Return differences of quality at frozen thresholds, the bar, and the paper's measure."""
    wanted, criteria = material.criteria.predicted_percentiles, material.criteria.claims.prediction
    rows: list[Row] = []
    for one in (
        *foretold(material, wanted, "last rounds"),
        *foretold(material, wanted, "fresh process", (PRIMARY_CLOCK,)),
    ):
        apart = [Figures.of(one.fit).difference(Figures.of(of)) for of in (one.test, one.own)]
        figures = (float(figure) for of in apart for figure in (of.mean, of.minimum, of.variance))
        label = (one.label, one.clock, f"p{one.percentile:g}", one.fit.size, one.test.size)
        judged = (one.bar, one.missed())
        rows.append([*who(one.group, one.data), *label, one.threshold_ns, *figures, *judged])
    return StudyTable(
        "prediction",
        "First rounds against last, and a process against a fresh one: absolute differences of "
        "quality",
        [
            *(*WHO_COLUMNS, *named("against", "clock", "percentile")),
            *(*numbers(whole, "fit", "test"), *numbers(time_ms, "threshold")),
            *(
                *numbers(three, "mean frozen", "min frozen"),
                *numbers(significant, "variance frozen"),
            ),
            *numbers(three, "mean as in paper", "min as in paper"),
            *numbers(significant, "variance as in paper"),
            *(*numbers(three, "bar"), *words("miss")),
        ],
        rows,
        "Frozen: the threshold is the percentile of the rounds that predict. As in paper: each "
        "side at the same percentile of its own times, so that the means agree by construction. "
        f"Variance divides by the number of rounds, as theirs. Bar: max({criteria.least:g} of "
        f"ideal quality, {criteria.deviations:g} sd_round sqrt(1/n_fit + 1/n_test)).",
    )


def explained(one: Foretold, deviations: float) -> tuple[list[str], float, float]:
    """Return what is stored of a miss, the bar by the long-run variance, and p of a drift.

    What is looked at: whether quality drifts over all rounds; whether rounds depend on each other,
    so that the standard deviation of a round says too little; whether evidence that rounds carry
    differs between those that predict and those predicted (Mann-Whitney, Holm over all evidence);
    incomplete rounds; and, of a fresh process, that it is one.
    """
    said: list[str] = []
    wider, p = one.bar, math.nan
    if one.data is one.other:
        series = np.concatenate([one.fit, one.test])
        p = drift_p_value(series)
        if p <= LEVEL:
            said.append(f"quality drifts over the session (p {p_value(p)})")
        [variance] = spread(series[None], units_of(series.size, one.data.visits)).variance
        more = series.size * (1 / one.fit.size + 1 / one.test.size)
        wider = max(one.bar, deviations * math.sqrt(variance * more))
        if wider > one.bar:
            inside = "still beyond" if one.missed(wider) else "within"
            said.append(
                f"with the long-run variance of its rounds the bar is {three(wider)}: {inside}"
            )
    else:
        said.append("another process: what a process has of its own is no part of the bar")
    said += _evidence(one)
    if incomplete := int(one.other.incomplete.sum()):
        said.append(f"{incomplete} incomplete rounds")
    return said, wider, p


def drift_p_value(series: Floats) -> float:
    """Return the two-sided p-value of a drift of a series, [R]: a change in one direction.

    The first cosine, half a period long, against the mean square of the next seven by Student's t
    on 7 degrees of freedom: rounds that merely resemble their neighbours have those, too (Müller
    and Watson, "Low-frequency econometrics", *Advances in Economics and Econometrics* 2, 2017).
    NaN if the series is constant.

    Examples
    --------
    >>> round(drift_p_value(np.arange(30.0)), 2), round(drift_p_value(np.tile([0.0, 1.0], 15)), 2)
    (0.0, 0.18)
    """
    if np.ptp(series) == 0:
        return math.nan
    middles = (np.arange(series.size) + 0.5) / series.size
    basis = np.cos(np.pi * np.arange(1, FREQUENCIES + 1)[:, None] * middles)
    x = basis @ (series - series.mean())
    return float(2 * t_sf(np.abs(x[0]) / np.sqrt((x[1:] ** 2).mean()), FREQUENCIES - 1))


def _evidence(one: Foretold) -> list[str]:
    """Return which evidence differs between the rounds that predict and those predicted."""
    sides = (one.data.evidence, one.other.evidence)
    found: dict[str, float] = {}
    for evidence in (of for of in EVIDENCE if all(of.column in side for side in sides)):
        before, after = (evidence.figures(side[evidence.column], spans_ns(side)) for side in sides)
        if one.data is one.other:
            before, after = before[: one.fit.size], after[one.fit.size :]
        before, after = before[np.isfinite(before)], after[np.isfinite(after)]
        if before.size and after.size and np.ptp(np.concatenate([before, after])):
            then, now = (significant(float(np.median(of))) for of in (before, after))
            said = f"{evidence.name} {then} then {now} {evidence.unit}"
            found[said] = float(scipy.stats.mannwhitneyu(before, after).pvalue)
    adjusted = zip(found, holm_adjusted([*found.values()]) if found else [], strict=True)
    return [f"{said} (p {p_value(float(p))})" for said, p in adjusted if p <= LEVEL]


def miss_table(material: Material, found: Sequence[Foretold]) -> StudyTable:
    """Return every miss at the criterion's percentile, with what stored evidence says of it."""
    wanted = material.criteria.claims.prediction
    rows: list[Row] = []
    for one in found:
        if one.missed():
            said, wider, p = explained(one, wanted.deviations)
            reasons = "; ".join(said) or "nothing that is stored explains it"
            figures = (one.gained, one.bar, wider, p, reasons)
            rows.append([*who(one.group, one.data), one.label, *figures])
    return StudyTable(
        "misses",
        f"Misses at p{wanted.percentile:g} of total time, and what stored evidence says of each",
        [
            *(*WHO_COLUMNS, *named("against")),
            *numbers(three, "difference", "bar", "bar if dependent"),
            *(*numbers(p_value, "drift p"), *words("evidence")),
        ],
        rows,
        "Difference: mean of the rounds predicted less that of the rounds that predict; positive "
        "where later rounds kept more."
        if rows
        else "No prediction missed.",
    )


def prediction_claims(material: Material, found: Sequence[Foretold]) -> list[Claim]:
    """Return the verdicts on C4: how many predictions miss, one a trial or pair of processes."""
    wanted = material.criteria.claims.prediction
    claims = []
    for against, (name, says) in SAYS.items():
        mine = [one for one in found if one.against == against]
        misses = sum(one.missed() for one in mine)
        said, figures = counted(misses, len(mine))
        said += " miss"
        verdict: Verdict = "not shown"
        if mine:
            verdict = "holds" if misses <= wanted.misses * len(mine) + 1e-9 else "fails"
            sizes = sorted({(one.fit.size, one.test.size) for one in mine})
            parts = [f"{fit} and {test}" for fit, test in sizes[:3]] + ["..."] * (len(sizes) > 3)
            said += f"; rounds {', '.join(parts)}"
        if verdict == "holds" and figures["high"] > wanted.misses:
            said += f"; the limits reach beyond {wanted.misses:.1%}: not shown beyond these trials"
        criterion = (
            f"at most {wanted.misses:.1%} miss the mean by more than max({wanted.least:g} of ideal "
            f"quality, {wanted.deviations:g} sd_round sqrt(1/n_fit + 1/n_test)), within "
            f"p{wanted.percentile:g}"
        )
        says = f"{says}, at a threshold that the former set"
        shown = {"predictions": len(mine), "misses": misses, **figures}
        claims.append(Claim(name, says, criterion, verdict, said, shown))
    return claims
