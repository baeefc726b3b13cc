"""Metrics as they are asked: a user's own is called here alone, and its result checked once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from orchestrator.contracts import InputError
from orchestrator.metrics import (
    Answers,
    Judged,
    MeanMetric,
    Part,
    PartedMetric,
    WholeTaskMetric,
    find_metric,
)
from orchestrator.subject.targets import keep_traceback, one_line, place_of, traceback_text


class MetricBroken(InputError):
    """A user's own metric raises, or returns what is no quality."""


class AskedMetric:
    """A metric by its name; ``late`` is its score of a late sample, None if it does not say.

    Raises InputError for an unknown metric, and MetricBroken where one of the user's is broken.
    """

    def __init__(self, name: str) -> None:
        self.name, self._metric = name, find_metric(name)
        self.is_ours = type(self._metric).__module__.startswith("orchestrator.metrics.")
        self.is_mean = isinstance(self._metric, MeanMetric)
        self.late: float | None = getattr(self._metric, "late", None)

    def score(self, answers: Answers) -> NDArray[np.float64]:
        """Return the score of each sample, [S]."""
        least = 0.0 if self.late is None else -np.inf
        score = cast(MeanMetric, self._metric).score
        return self.numbers(score, (answers,), (len(answers.predictions),), least)

    def judge(self, answers: Answers) -> Judged:
        """Compare answers with references, once for all thresholds, rounds and clocks."""
        judged: Judged = self.call(cast(WholeTaskMetric, self._metric).judge, answers)
        return judged

    def judge_parts(self, name: str, answers: Answers) -> Mapping[str, Part]:
        """Return the groups of a slice that the metric makes of parts of samples, if it does."""
        if not isinstance(self._metric, PartedMetric) or name not in self._metric.parts:
            return {}
        parts: Mapping[str, Part] = self.call(self._metric.judge_parts, name, answers)
        return parts

    def numbers(
        self,
        function: Callable[..., Any],
        arguments: tuple[Any, ...],
        shape: tuple[int, ...],
        least: float = -np.inf,
        undefined: bool = False,
    ) -> NDArray[np.float64]:
        """Return a copy of what a function of the metric returns, refused if it is no quality."""
        found = np.array(self.call(function, *arguments), dtype=np.float64)
        fits = np.isnan(found) if undefined else np.isfinite(found) & (found >= least)
        if found.shape != shape or not fits.all():
            rule = "finite, and not negative unless there is `late`" if least == 0 else "finite"
            rule = "NaN, as ideal()" if undefined else rule
            found = found[~fits] if found.shape == shape else found
            raise self.broken(function, found, f"{rule}, of shape {shape}")
        return found

    def broken(self, function: Callable[..., Any], found: NDArray[Any], rule: str) -> MetricBroken:
        """Return the error for what a function of the metric has returned."""
        what = f"{found.ravel()[:2].tolist()} of shape {found.shape}"
        name = function.__name__
        return MetricBroken(f"metric {self.name}: {name} returned {what}; it must be {rule}")

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call code of a metric; what one of the user's raises is a MetricBroken."""
        try:
            return function(*arguments)
        except Exception as error:
            if self.is_ours:
                raise
            raised = f"{function.__name__} raised {one_line(error)}{place_of(error)}"
            broken = MetricBroken(f"metric {self.name}: {raised}; repair it, or name another")
            keep_traceback(broken, traceback_text(error))
            raise broken from error
