"""Tail quality predicted from a trial's first rounds, beside what its last rounds showed."""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, partial

import numpy as np
from numpy.typing import ArrayLike

from orchestrator.analysis.groups import Group
from orchestrator.analysis.quality import JudgedMean, ideal_quality
from orchestrator.analysis.table import (
    ANY_CLOCK,
    FLAGS,
    METRIC,
    PARAMETERS,
    THRESHOLD,
    Column,
    Context,
    Row,
    table,
)
from orchestrator.analysis.trial_data import TrialData
from orchestrator.analysis.units import flags_of_units
from orchestrator.stats.constants import CONFIDENCE
from orchestrator.stats.density import Floats
from orchestrator.stats.prediction import (
    ANYTHING,
    ROUNDING,
    Figures,
    Prediction,
    compare,
    figures_of,
    predict_independent,
    predict_rounds,
    ratio_of_variances,
    shares_on_time,
)
from orchestrator.stats.tail_quality import Curve, quality_curve
from orchestrator.stats.times import Clock, checked_times
from orchestrator.stats.units import Units
from orchestrator.storage.stored_form import finite

ROUNDS_TO_VALIDATE = 20  # With fewer rounds none can be spared for a test.
MOST_TEST_ROUNDS = 30
VALIDATED_PERCENTILES = (60.0, 90.0, 95.0, 99.0)
FIGURES = ("mean", "variance", "minimum")
SAME = "the same of the variance", "the same of the worst round"


class Halves:
    """A trial's first rounds, and its last min(30, R // 2) as their test, of times [R, S].

    Percentiles are those of ``inferences``, [R, B], by default of the times. With visits, a test
    begins where one of them does.

    fit, test
        times, [R, S].
    units
        of the fitted rounds, [R]; None where there are none.
    percentiles, bounds, recomputed : [M]
        of the fitted rounds, in percent and ns, and the same of the test rounds, in ns.
    quality : [M, R]
        of the fitted rounds.
    observed, at_recomputed
        figures of the test rounds at either.
    """

    def __init__(
        self,
        curve: Curve,
        times: ArrayLike,
        inferences: ArrayLike | None = None,
        units: Units | None = None,
        percentiles: Sequence[float] = VALIDATED_PERCENTILES,
    ) -> None:
        checked = checked_times(times)
        pooled, rounds = checked if inferences is None else checked_times(inferences), len(checked)
        tests = min(MOST_TEST_ROUNDS, rounds // 2)
        if units is not None:
            starts = np.flatnonzero(np.diff(units)) + 1
            later = starts[starts >= rounds - tests]
            tests = rounds - int(later[0]) if later.size else tests
        self.fit, self.test = checked[:-tests], checked[-tests:]
        self.units = None if units is None else units[:-tests]
        self._curves = (curve, curve)
        found = compare(
            self._curves, (self.fit, self.test), percentiles, (pooled[:-tests], pooled[-tests:])
        )
        self.percentiles, self.bounds, self.recomputed, self.quality, *_ = found
        self.observed, self.at_recomputed = (
            figures_of(quality, tests) for quality in (found.frozen, found.own)
        )

    @cached_property
    def on_time(self) -> Floats:
        """Share of the fitted rounds in which each sample was on time, [M, S]."""
        return shares_on_time(self.fit, self.bounds)

    @cached_property
    def difference_as_in_paper_program(self) -> Figures:
        """Absolute differences as the program takes them: the least of R rounds and of n.

        NaN if a sample has no time.
        """
        unknown = np.full(self.percentiles.size, math.nan)
        if not (np.isfinite(self.fit).all() and np.isfinite(self.test).all()):
            return Figures(unknown, unknown, unknown)
        sides = compare(
            self._curves, (self.fit, self.test), self.percentiles.tolist(), as_in_program=True
        )
        return Figures.of(sides.fit).difference(Figures.of(sides.own))


@table(
    "prediction",
    (
        METRIC,
        ANY_CLOCK,
        Column("threshold", "str", "a percentile of the first rounds"),
        THRESHOLD[1],
        Column("threshold_origin", "str", "`own`"),
        Column("method", "str", "method of the prediction", "method"),
        PARAMETERS,
        Column("fit_rounds", "int32", "number of rounds that predict", "first rounds", "count"),
        Column(
            "test_rounds", "int32", "number of rounds that are predicted", "last rounds", "count"
        ),
        Column("ideal", "float", "quality without a threshold"),
        Column(
            "predicted_mean",
            "float?",
            "mean tail quality, predicted from the first rounds",
            "mean [95 % interval]",
            "quality [predicted_low, predicted_high]",
        ),
        Column(
            "predicted_low",
            "float?",
            "lower limit of the 95 % interval of the mean of the last rounds; null where the "
            "first do not vary",
        ),
        Column("predicted_high", "float?", "upper limit"),
        Column(
            "predicted_variance",
            "float?",
            "variance of tail quality between rounds, predicted from the first rounds",
        ),
        Column(
            "predicted_minimum",
            "float?",
            "tail quality of the worst of the last rounds: its median, predicted from the first",
            "worst",
            "quality",
        ),
        Column(
            "observed_mean",
            "float?",
            "mean tail quality, observed in the last rounds",
            "observed",
            "quality",
        ),
        Column(
            "inside",
            "bool?",
            "whether `observed_mean` lies within `predicted_low` and `predicted_high`; null "
            "without them",
        ),
        Column(
            "observed_variance",
            "float?",
            "variance of tail quality between rounds, observed in the last rounds",
        ),
        Column(
            "observed_minimum",
            "float?",
            "tail quality of the worst round, observed in the last rounds",
            "observed worst",
            "quality",
        ),
        Column("difference_mean", "float?", "absolute difference of predicted and observed mean"),
        Column("difference_variance", "float?", SAME[0]),
        Column("difference_minimum", "float?", SAME[1]),
        Column("recomputed_threshold_ns", "int64?", "the same percentile of the last rounds"),
        Column(
            "difference_as_in_paper_mean",
            "float?",
            "`difference_mean` where the last rounds choose their own threshold",
        ),
        Column("difference_as_in_paper_variance", "float?", SAME[0]),
        Column(
            "difference_as_in_paper_minimum",
            "float?",
            f"{SAME[1]}: a predicted median of the minimum, and an observed minimum",
        ),
        Column(
            "difference_as_in_paper_program_mean",
            "float?",
            "absolute difference of the means of the first and the last rounds, each at its own "
            "percentile, as the paper's program computes it",
        ),
        Column("difference_as_in_paper_program_variance", "float?", SAME[0]),
        Column(
            "difference_as_in_paper_program_minimum",
            "float?",
            f"{SAME[1]}: minima over different numbers of rounds",
        ),
        Column(
            "variance_ratio",
            "float?",
            "variance between rounds relative to independent inferences",
            "variance ratio",
            "number .1f",
        ),
        FLAGS,
    ),
    per="trial",
    title="Predicted against observed tail quality of {task} ({metric}, {clock} time, {threshold})",
    note="The first rounds predict the last; the threshold is a percentile of the first alone. "
    "block-bootstrap keeps the samples of a round together; poisson-binomial takes samples as "
    "independent. Worst: the predicted median of the worst round. Variance ratio: variance between "
    "rounds, relative to independent samples.",
    where={"clock": "@clock", "threshold": "p95"},
    section="Own percentiles and predictions",
)
def prediction(context: Context, group: Group, data: TrialData) -> Iterator[Row]:
    """Yield one row per trial, clock, threshold and method; none with too few rounds.

    Thresholds are percentiles of the first ``fit_rounds``. Methods that take inferences as
    independent need a metric that is a mean over them.
    """
    judged, scores = data.judged(data.metric), data.scores_per_inference()
    flags = group.flags[data.trial_id]
    within = (0.0, judged.ideal()) if isinstance(judged, JudgedMean) else ANYTHING
    for clock, times in data.times.items():
        if len(times) < ROUNDS_TO_VALIDATE:
            continue
        inferences = data.inferences[clock]
        halves = Halves(judged.curve, times, inferences, data.visits)
        whole = predict_rounds(halves.quality, len(halves.test), halves.units, within)
        ratios = np.full(halves.bounds.size, math.nan)
        independent = []
        if scores is not None:
            own = halves
            if times is not inferences:
                own = Halves(partial(quality_curve, scores), inferences, units=data.visits)
            ratios = ratio_of_variances(scores, own.quality, own.on_time)
            found = predict_independent(scores, own.on_time, len(own.fit), len(own.test))
            independent = list(_rows(data, clock, "poisson-binomial", own, found))
        of_fit = [*flags, *flags_of_units(halves.units, data.record.trial.load.is_open)]
        for rows, told in (
            (_rows(data, clock, "block-bootstrap", halves, whole), of_fit),
            (independent, flags),
        ):
            for row, ratio in zip(rows, ratios.tolist(), strict=False):
                yield {**row, "variance_ratio": finite(ratio), "flags": list(dict.fromkeys(told))}


def _rows(
    data: TrialData, clock: Clock, method: str, of: Halves, predicted: Prediction
) -> Iterator[Row]:
    judged = data.judged(data.metric)
    given, observed = (_shown(judged.shown, one) for one in (predicted.figures, of.observed))
    apart = [
        _shown(lambda figure: judged.sign * figure, one)
        for one in (
            predicted.figures.difference(of.observed),
            predicted.figures.difference(of.at_recomputed),
            of.difference_as_in_paper_program,
        )
    ]
    names = ("difference", "difference_as_in_paper", "difference_as_in_paper_program")
    outside = np.maximum(predicted.low - of.observed.mean, of.observed.mean - predicted.high)
    for place, percentile in enumerate(of.percentiles.tolist()):
        low, high = float(predicted.low[place]), float(predicted.high[place])
        unknown = math.isnan(low)
        limits = (None, None) if unknown else judged.shown_limits(low, high)
        recomputed = float(of.recomputed[place])
        figures = {"predicted": given, "observed": observed, **dict(zip(names, apart, strict=True))}
        yield {
            **data.record.labels(),
            "metric": data.metric,
            "clock": clock,
            "threshold": f"p{percentile:g}",
            "threshold_ns": math.ceil(of.bounds[place]),
            "threshold_origin": "own",
            "method": method,
            "parameters": {
                "minimum_of_rounds": float(len(of.test)),
                "confidence": CONFIDENCE,
                "degrees": float(predicted.degrees),
            },
            "fit_rounds": len(of.fit),
            "test_rounds": len(of.test),
            "ideal": ideal_quality(judged),
            "predicted_low": limits[0],
            "predicted_high": limits[1],
            "inside": None if unknown else bool(outside[place] <= ROUNDING),
            "recomputed_threshold_ns": math.ceil(recomputed) if math.isfinite(recomputed) else None,
            **{
                f"{name}_{figure}": value
                for name, found in figures.items()
                for figure, value in zip(FIGURES, found[place], strict=True)
            },
        }


def _shown(show: Callable[[float], float], figures: Figures) -> list[list[float | None]]:
    """Return mean, variance and minimum at each threshold on the metric's scale; NaN is null."""
    means, variances, minima = (values.tolist() for values in figures)
    return [
        [finite(show(mean)), finite(variance), finite(show(least))]
        for mean, variance, least in zip(means, variances, minima, strict=True)
    ]
