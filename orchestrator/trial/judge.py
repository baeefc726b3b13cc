"""Stored or fresh answers of a trial, judged by its metrics."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from orchestrator.analysis.quality import JudgedMean, judge
from orchestrator.measurement.failures import TrialFailed
from orchestrator.measurement.user_code import keep_traceback, told_with_place, traceback_of
from orchestrator.metrics import Answers, Judged
from orchestrator.metrics.detection_categories import names_other_categories


@dataclass(frozen=True)
class TrialJudge:
    """The primary metric of a trial as a function of times, and the ideal of every metric that has one.

    samples
        the answers, with the score of each sample for metrics that are means.
    other_categories
        whether boxes are called by other categories than the references have.
    """

    samples: pa.Table
    ideals: dict[str, float]
    primary: str
    _judged: Judged
    other_categories: bool = False

    @property
    def ideal(self) -> float:
        """Quality without a threshold."""
        return self.ideals[self.primary]

    def quality(self, times_ns: NDArray[np.float64], threshold_ns: float) -> float:
        """Return tail quality of one round, [S] times in ns, at a threshold in ns."""
        return float(self._judged.curve(times_ns[np.newaxis], np.array([threshold_ns]))[0, 0])


def judge_samples(samples: pa.Table, metrics: Sequence[str], kind: str) -> TrialJudge:
    """Judge the answers of all samples.

    Parameters
    ----------
    samples
        ``prediction``, ``reference`` and ``slice_...`` of each sample.
    metrics
        names, the primary one first.

    Raises
    ------
    TrialFailed
        for answers of another form, and where the primary metric is undefined.
    """
    columns = {name: samples.column(name) for name in samples.column_names}
    slices = {name.removeprefix("slice_"): groups.to_pylist() for name, groups in columns.items() if name.startswith("slice_")}
    answers = Answers(columns["prediction"].to_pylist(), columns["reference"].to_pylist(), slices)
    try:
        judged = {name: judge(name, answers) for name in metrics}
        ideals = {name: found for name, metric in judged.items() if not math.isnan(found := metric.ideal())}
        other_categories = names_other_categories(answers, kind)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        what = f"metrics {', '.join(metrics)} cannot judge these answers of kind {kind}"
        told = f"{what} ({told_with_place(error)}); docs/tasks.md shows their form"
        failed = TrialFailed(told, "answers malformed")
        keep_traceback(failed, traceback_of(error))
        raise failed from error
    if metrics[0] not in ideals:
        raise TrialFailed(f"metric {metrics[0]} is undefined: the task has nothing it could be right about", "answers malformed")
    for name, metric in judged.items():
        if isinstance(metric, JudgedMean) and f"score_{name}" not in columns:
            samples = samples.append_column(f"score_{name}", pa.array(metric.scores, pa.float64()))
    return TrialJudge(samples, ideals, metrics[0], judged[metrics[0]], other_categories)
