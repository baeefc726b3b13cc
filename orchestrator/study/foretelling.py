"""Whether the first rounds predict the last, and one process another: at a threshold that is frozen beforehand."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy

from orchestrator.analysis.groups import Group
from orchestrator.analysis.tables.explain import EVIDENCE
from orchestrator.analysis.trial_data import TrialData
from orchestrator.analysis.units import spans_ns
from orchestrator.stats.constants import ROUNDING
from orchestrator.stats.latency import percentiles_inverted_cdf
from orchestrator.stats.pair import holm_adjusted
from orchestrator.stats.times import PRIMARY_CLOCK, SHOWN_SERVICE_CLOCKS, Clock
from orchestrator.stats.units import Floats, spread, t_sf, units_of
from orchestrator.study.material import Material, who, who_columns
from orchestrator.study.tables import Column, StudyTable, Value, known, named, numbers, p_value, significant, three, time_ms, whole

Against = Literal["last rounds", "fresh process"]
TEST_ROUNDS = 30
FEWEST_ROUNDS = 20
LEVEL = 0.01
"""At which evidence is said to differ between the rounds that predict and those predicted, of all evidence of a trial together."""
FREQUENCIES = 8


@dataclass(frozen=True)
class Foretold:
    """Quality of the rounds that predict and of those predicted, at one threshold, as a gain over quality where all is late.

    fit, test : [n], [m]
        one value per round, at the fitted rounds' own percentile.
    own : [m]
        of the predicted rounds at their own percentile, as the paper's program measures.
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

    @property
    def ideal(self) -> float:
        """Quality without a threshold, as a gain."""
        return abs(self.data.judged(self.data.metric).ideal())

    @property
    def gained(self) -> float:
        """By how much more the later rounds keep than those that were fitted; negative if less."""
        return float(self.test.mean() - self.fit.mean())

    @property
    def difference(self) -> float:
        """Absolute difference of the means."""
        return abs(self.gained)

    def bar(self, least: float, deviations: float) -> float:
        """Return max(least x ideal, deviations x sd of a fitted round x sqrt(1/n_fit + 1/n_test)): a larger difference is a miss."""
        sd = float(self.fit.std(ddof=1))
        return max(least * self.ideal, deviations * sd * math.sqrt(1 / self.fit.size + 1 / self.test.size))

    def missed(self, bar: float) -> bool:
        """Return whether the difference is larger than a bar; equal to it but for the rounding of sums is not."""
        return self.difference > bar * (1 + ROUNDING)


def split(rounds: int) -> int | None:
    """Return how many of a trial's rounds predict: all but the last 30, half where there are fewer than 60, None with fewer than 20."""
    if rounds < FEWEST_ROUNDS:
        return None
    return rounds - min(TEST_ROUNDS, rounds // 2)


def of_last_rounds(material: Material, percentiles: Sequence[float], clocks: Sequence[Clock] = SHOWN_SERVICE_CLOCKS) -> Iterator[Foretold]:
    """Yield what the first rounds of each trial say of its last."""
    for group, data in material.trials():
        fitted = split(len(data.times[PRIMARY_CLOCK]))
        if fitted is not None:
            for clock in clocks:
                parts = (data.times[clock][:fitted], data.times[clock][fitted:])
                pooled = (data.inferences[clock][:fitted], data.inferences[clock][fitted:])
                yield from _foretold(group, (data, data), "last rounds", clock, percentiles, parts, pooled)


def of_fresh_processes(
    material: Material, percentiles: Sequence[float], clocks: Sequence[Clock] = SHOWN_SERVICE_CLOCKS
) -> Iterator[Foretold]:
    """Yield what the first repeat of each system says of every other."""
    for group in material.groups:
        for first, *others in group.systems().values():
            if split(len(first.times[PRIMARY_CLOCK])) is not None:
                for other in others:
                    for clock in clocks:
                        parts = (first.times[clock], other.times[clock])
                        pooled = (first.inferences[clock], other.inferences[clock])
                        yield from _foretold(group, (first, other), "fresh process", clock, percentiles, parts, pooled)


def _foretold(
    group: Group,
    trials: tuple[TrialData, TrialData],
    against: Against,
    clock: Clock,
    percentiles: Sequence[float],
    parts: tuple[Floats, Floats],
    pooled: tuple[Floats, Floats],
) -> Iterator[Foretold]:
    first, other = (data.judged(data.metric) for data in trials)
    bounds, own_bounds = (percentiles_inverted_cdf(times, percentiles) for times in pooled)
    fit, test, own = first.curve(parts[0], bounds), other.curve(parts[1], bounds), other.curve(parts[1], own_bounds)
    for place, (percentile, bound) in enumerate(zip(percentiles, bounds, strict=True)):
        if math.isfinite(bound):
            yield Foretold(group, *trials, against, clock, percentile, bound, fit[place], test[place], own[place])


def prediction_table(material: Material) -> StudyTable:
    """Return |first - last| of mean, minimum and variance at frozen thresholds, the bar, and the paper's own measure beside it."""
    wanted = material.criteria.predicted_percentiles
    found = [*of_last_rounds(material, wanted), *of_fresh_processes(material, wanted, (PRIMARY_CLOCK,))]
    rows = [_row(material, one) for one in found]
    figures = ("mean", "min", "variance")
    return StudyTable(
        "prediction",
        "First rounds against last, and a process against a fresh one: absolute differences of quality",
        [
            *who_columns(),
            *named("against", "clock", "percentile"),
            *numbers(whole, "fit", "test"),
            *numbers(time_ms, "threshold"),
            *(Column(f"{of} {how}", significant if of == "variance" else three) for how in ("frozen", "as in paper") for of in figures),
            *numbers(three, "bar"),
            Column("miss"),
        ],
        rows,
        "Frozen: the threshold is the percentile of the rounds that predict. As in paper: each side at the same percentile of its own "
        "times, so that the means agree by construction. Variance divides by the number of rounds, as theirs. Bar: max("
        f"{material.criteria.claims.prediction.least:g} of ideal quality, {material.criteria.claims.prediction.deviations:g} sd_round "
        "sqrt(1/n_fit + 1/n_test)).",
    )  # fmt: skip


def _row(material: Material, one: Foretold) -> list[Value]:
    wanted = material.criteria.claims.prediction
    bar = one.bar(wanted.least, wanted.deviations)
    differences = [_differences(one.fit, test) for test in (one.test, one.own)]
    label = "last rounds" if one.against == "last rounds" else f"process of repeat {one.other.record.trial.repeat}"
    return [
        *who(one.group, one.data), label, one.clock, f"p{one.percentile:g}", one.fit.size, one.test.size, one.threshold_ns,
        *(value for figures in differences for value in figures), bar, one.missed(bar),
    ]  # fmt: skip


def _differences(fit: Floats, test: Floats) -> tuple[float, float, float]:
    """Return absolute differences of mean, minimum and variance."""
    return abs(float(fit.mean() - test.mean())), abs(float(fit.min() - test.min())), abs(float(fit.var() - test.var()))


def explained(one: Foretold, bar: float, deviations: float) -> tuple[list[str], float, float]:
    """Return what stored evidence says of a miss, the bar by the long-run variance, and the p-value of a drift of all rounds.

    What is looked at: whether quality drifts; whether rounds depend on each other, so that the standard deviation of a round says
    too little; whether evidence that rounds carry differs between those that predict and those predicted (Mann-Whitney, Holm over
    all evidence); incomplete rounds; and, of a fresh process, that it is one.
    """
    said: list[str] = []
    wider, p = bar, math.nan
    if one.against == "last rounds":
        series = np.concatenate([one.fit, one.test])
        p = drift_p_value(series)
        if p <= LEVEL:
            said.append(f"quality drifts over the session (p {p_value(p)})")
        [variance] = spread(series[None], units_of(series.size, one.data.visits)).variance
        wider = max(bar, deviations * math.sqrt(variance * series.size * (1 / one.fit.size + 1 / one.test.size)))
        if wider > bar:
            inside = "still beyond" if one.missed(wider) else "within"
            said.append(f"with the long-run variance of its rounds the bar is {three(wider)}: {inside}")
    else:
        said.append("another process: what a process has of its own is no part of the bar")
    said += list(_evidence(one))
    if int(one.other.incomplete.sum()):
        said.append(f"{int(one.other.incomplete.sum())} incomplete rounds")
    return said, wider, p


def drift_p_value(series: Floats) -> float:
    """Return the two-sided p-value of a drift of a series, [R]: a change that goes on in one direction; NaN if it is constant.

    The first cosine, half a period long, against the mean square of the next seven by Student's t on 7 degrees of freedom: rounds
    that merely resemble their neighbours have those, too (Müller and Watson, "Low-frequency econometrics", *Advances in Economics
    and Econometrics* 2, 2017).

    Examples
    --------
    >>> round(drift_p_value(np.arange(30.0)), 2), round(drift_p_value(np.tile([0.0, 1.0], 15)), 2)
    (0.0, 0.18)
    """
    if np.ptp(series) == 0:
        return math.nan
    basis = np.cos(np.pi * np.arange(1, FREQUENCIES + 1)[:, None] * (np.arange(series.size) + 0.5) / series.size)
    x = basis @ (series - series.mean())
    return float(2 * t_sf(np.abs(x[0]) / np.sqrt((x[1:] ** 2).mean()), FREQUENCIES - 1))


def _evidence(one: Foretold) -> Iterator[str]:
    """Yield which evidence differs between the rounds that predict and those predicted."""
    found: list[tuple[str, str, float, float, float]] = []
    present = [evidence for evidence in EVIDENCE if evidence.column in one.data.evidence and evidence.column in one.other.evidence]
    sides = [(side, spans_ns(side)) for side in (one.data.evidence, one.other.evidence) if present]
    for evidence in present:
        before, after = (evidence.figures(side[evidence.column], spans) for side, spans in sides)
        if one.data is one.other:
            before, after = before[: one.fit.size], after[one.fit.size :]
        before, after = before[np.isfinite(before)], after[np.isfinite(after)]
        if min(before.size, after.size) and np.unique(np.concatenate([before, after])).size > 1:
            p = float(scipy.stats.mannwhitneyu(before, after).pvalue)
            found.append((evidence.name, evidence.unit, float(np.median(before)), float(np.median(after)), p))
    if found:
        for (name, unit, before_median, after_median, _), p in zip(found, holm_adjusted([one[-1] for one in found]), strict=True):
            if p <= LEVEL:
                yield f"{name} {significant(before_median)} then {significant(after_median)} {unit} (p {p_value(float(p))})"


def miss_table(material: Material, found: Sequence[Foretold]) -> StudyTable:
    """Return every miss at the percentile of the criterion, with what stored evidence says of it."""
    wanted = material.criteria.claims.prediction
    rows: list[list[Value]] = []
    for one in found:
        bar = one.bar(wanted.least, wanted.deviations)
        if one.missed(bar):
            said, wider, p = explained(one, bar, wanted.deviations)
            against = one.against if one.data is one.other else f"process of repeat {one.other.record.trial.repeat}"
            reasons = "; ".join(said) or "nothing that is stored explains it"
            rows.append([*who(one.group, one.data), against, one.gained, bar, wider, known(p), reasons])
    return StudyTable(
        "misses",
        f"Misses at p{wanted.percentile:g} of total time, and what stored evidence says of each",
        [
            *who_columns(), *named("against"), *numbers(three, "difference", "bar", "bar if dependent"), *numbers(p_value, "drift p"),
            Column("evidence"),
        ],
        rows,
        "Difference: mean of the rounds predicted less that of the rounds that predict; positive where later rounds kept more."
        if rows
        else "No prediction missed.",
    )  # fmt: skip
