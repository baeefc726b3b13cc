"""C4: first rounds predict the last, and one process another, at a threshold set beforehand."""

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import chain
from typing import Literal, NamedTuple

import numpy as np
import scipy

from orchestrator.analysis.evidence import EVIDENCE
from orchestrator.analysis.groups import Group
from orchestrator.analysis.tables.prediction import MOST_TEST_ROUNDS, ROUNDS_TO_VALIDATE
from orchestrator.analysis.trial_data import TrialData
from orchestrator.analysis.units import spans_ns
from orchestrator.report.text import p_value
from orchestrator.stats.constants import ROUNDING
from orchestrator.stats.pair import holm_adjusted
from orchestrator.stats.prediction import Figures, compare
from orchestrator.stats.times import PRIMARY_CLOCK, SHOWN_SERVICE_CLOCKS, Clock
from orchestrator.stats.units import Floats, spread, t_sf, units_of
from orchestrator.study.material import WHO_COLUMNS, Material, who
from orchestrator.study.tables import (
    Claim,
    Row,
    by_share,
    counted,
    significant,
    table,
    three,
)

Against = Literal["last rounds", "fresh process"]
FREQUENCIES = 8
LEVEL = 0.01  # at which evidence is said to differ, of all evidence of a trial together
SAYS: dict[Against, tuple[str, str]] = {
    "last rounds": ("C4a", "The first rounds predict the last"),
    "fresh process": ("C4b", "One process predicts a fresh one"),
}


class Foretold(NamedTuple):
    """Quality of rounds that predict, [n], and of those predicted, [m], at one threshold.

    ``fit`` and ``test`` are at the fitted rounds' own percentile, as a gain over quality where all
    is late; ``own``, [m], is at the predicted rounds' own, as the paper's program measures. ``bar``
    is max(least x ideal, deviations x sd of a fitted round x sqrt(1/n + 1/m)).
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
    pairs = [(group, data, data) for group, data in material.trials()]
    if against == "fresh process":
        systems = [(group, of) for group in material.groups for of in group.systems().values()]
        pairs = [(group, first, other) for group, (first, *others) in systems for other in others]
    for group, data, other in pairs:
        rounds, last = len(data.times[PRIMARY_CLOCK]), 0
        if rounds < ROUNDS_TO_VALIDATE:
            continue
        judged, fitted = data.judged(data.metric), rounds
        if data is other:
            # All but the last 30 rounds predict these, half of fewer than 60.
            fitted = last = rounds - min(MOST_TEST_ROUNDS, rounds // 2)
        curves = (judged.curve, other.judged(other.metric).curve)
        for clock in clocks:
            parts = (data.times[clock][:fitted], other.times[clock][last:])
            pooled = (data.inferences[clock][:fitted], other.inferences[clock][last:])
            found = compare(curves, parts, percentiles, pooled)
            for percentile, bound, _, fit, test, own in zip(*found, strict=True):
                of_rounds = math.sqrt(1 / fit.size + 1 / test.size) * fit.std(ddof=1)
                bar = max(wanted.least * abs(judged.ideal()), wanted.deviations * float(of_rounds))
                at = (clock, float(percentile), float(bound))
                yield Foretold(group, data, other, against, *at, fit, test, own, bar)


@lru_cache(maxsize=1)
def predictions(material: Material) -> list[Foretold]:
    """Return what claims are about: every prediction of total time at their percentile."""
    percentile = [material.criteria.claims.prediction.percentile]
    both = (foretold(material, percentile, against, (PRIMARY_CLOCK,)) for against in SAYS)
    return list(chain(*both))


@table(
    "prediction",
    "First rounds against last, and a process against a fresh one: absolute differences of quality",
    [
        *(WHO_COLUMNS, ("name", "against", "clock", "percentile")),
        *(("whole", "fit", "test"), ("ms", "threshold")),
        *(("three", "mean frozen", "min frozen"), ("significant", "variance frozen")),
        ("three", "mean as in paper", "min as in paper"),
        *(("significant", "variance as in paper"), ("three", "bar"), ("words", "miss")),
    ],
    "Frozen: the threshold is the percentile of the rounds that predict. As in paper: each side "
    "at the same percentile of its own times, so the means agree by construction. Variance has "
    "the number of rounds as its divisor, as theirs. Bar: max({c.prediction.least:g} of ideal "
    "quality, {c.prediction.deviations:g} sd_round sqrt(1/n_fit + 1/n_test)).",
)
def _prediction(material: Material) -> Iterator[Row]:
    percentiles = material.criteria.predicted_percentiles
    for one in (
        *foretold(material, percentiles, "last rounds"),
        *foretold(material, percentiles, "fresh process", (PRIMARY_CLOCK,)),
    ):
        apart = [Figures.of(one.fit).difference(Figures.of(of)) for of in (one.test, one.own)]
        figures = (float(figure) for of in apart for figure in (of.mean, of.minimum, of.variance))
        label = (one.label, one.clock, f"p{one.percentile:g}", one.fit.size, one.test.size)
        judged = (one.bar, one.missed())
        yield [*who(one.group, one.data), *label, one.threshold_ns, *figures, *judged]


def explained(one: Foretold, deviations: float) -> tuple[str, float, float]:
    """Return what is stored of a miss, the bar by the long-run variance, and p of a drift.

    What is looked at: whether quality drifts over all rounds; whether rounds depend on each other,
    so that the standard deviation of a round says too little; whether evidence that rounds carry
    differs between those that predict and those predicted (Mann-Whitney, Holm over all evidence);
    incomplete rounds; and, of a fresh process, that it is one.
    """
    said = ["another process: the bar leaves out differences between processes"]
    wider, p = one.bar, math.nan
    if one.data is one.other:
        series = np.concatenate([one.fit, one.test])
        p = drift_p_value(series)
        said = [f"quality drifts over the session (p {p_value(p)})"] if p <= LEVEL else []
        [variance] = spread(series[None], units_of(series.size, one.data.visits)).variance
        more = series.size * (1 / one.fit.size + 1 / one.test.size)
        wider = max(one.bar, deviations * math.sqrt(variance * more))
        if wider > one.bar:
            inside = "still beyond" if one.missed(wider) else "within"
            said.append(
                f"with the long-run variance of its rounds the bar is {three(wider)}: {inside}"
            )
    said += _evidence(one)
    if incomplete := int(one.other.incomplete.sum()):
        said.append(f"{incomplete} incomplete rounds")
    return "; ".join(said) or "no stored evidence explains it", wider, p


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


# Which evidence differs between the rounds that predict and those predicted.
def _evidence(one: Foretold) -> list[str]:
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


@table(
    "misses",
    "Misses at p{c.prediction.percentile:g} of total time, and what stored evidence says of each",
    [
        *(WHO_COLUMNS, ("name", "against")),
        ("three", "difference", "bar", "bar if dependent"),
        *(("p", "drift p"), ("words", "evidence")),
    ],
    "Difference: mean of the predicted rounds less that of the predicting ones; positive where "
    "later rounds kept more.",
    without_rows="No prediction missed.",
)
def _misses(material: Material) -> Iterator[Row]:
    wanted = material.criteria.claims.prediction
    for one in predictions(material):
        if one.missed():
            reasons, wider, p = explained(one, wanted.deviations)
            yield [*who(one.group, one.data), one.label, one.gained, one.bar, wider, p, reasons]


def prediction_claims(material: Material, found: Sequence[Foretold]) -> Iterator[Claim]:
    """Yield the verdicts on C4: how many predictions miss, one a trial or pair of processes."""
    wanted = material.criteria.claims.prediction
    for against, (name, says) in SAYS.items():
        mine = [one for one in found if one.against == against]
        misses = sum(one.missed() for one in mine)
        said, figures = counted(misses, len(mine))
        verdict = by_share(len(mine) - misses, len(mine), 1 - wanted.misses)
        said += " miss"
        if mine:
            sizes = sorted({(one.fit.size, one.test.size) for one in mine})
            parts = [f"{fit} and {test}" for fit, test in sizes[:3]] + ["..."] * (len(sizes) > 3)
            said += f"; rounds {', '.join(parts)}"
        if verdict == "holds" and figures["high"] > wanted.misses:
            said += f"; the limits reach beyond {wanted.misses:.1%}: not shown beyond these trials"
        yield Claim(
            name,
            f"{says}, at a threshold computed from the former",
            f"at most {wanted.misses:.1%} miss the mean by more than max({wanted.least:g} of ideal "
            f"quality, {wanted.deviations:g} sd_round sqrt(1/n_fit + 1/n_test)), within "
            f"p{wanted.percentile:g}",
            verdict,
            said,
            {"predictions": len(mine), "misses": misses, **figures},
        )
