"""Metrics as they are asked: a user's own is called here alone, and its result checked once."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from orchestrator.contracts import InputError
from orchestrator.metrics import Answers, MeanMetric, find_metric
from orchestrator.subject.targets import keep_traceback, one_line, place_of, traceback_text


class MetricBroken(InputError):
    """A user's own metric raises, or returns what is no quality."""


class AskedMetric:
    """A metric by its name; ``late`` is its score of a late sample, None if it does not say.

    Raises InputError for an unknown metric, and MetricBroken where one of the user's is broken.
    """

    def __init__(self, name: str) -> None:
        self.name, self.metric = name, find_metric(name)
        self.is_ours = type(self.metric).__module__.startswith("orchestrator.metrics.")
        self.is_mean = isinstance(self.metric, MeanMetric)
        self.late: float | None = getattr(self.metric, "late", None)

    def score(self, answers: Answers) -> NDArray[np.float64]:
        """Return the score of each sample, [S]."""
        least = 0.0 if self.late is None else -np.inf
        return self.numbers("score", self.metric, (answers,), (len(answers.predictions),), least)

    def numbers(
        self,
        name: str,
        of: object,
        arguments: tuple[Any, ...],
        shape: tuple[int, ...],
        least: float = -np.inf,
        undefined: bool = False,
    ) -> NDArray[np.float64]:
        """Return a copy of what a method returns, refused if it is no quality of this shape."""
        found = np.array(self.call(name, of, *arguments), dtype=np.float64)
        fits = np.isnan(found) if undefined else np.isfinite(found) & (found >= least)
        if found.shape != shape or not fits.all():
            rule = "finite, and not negative unless there is `late`" if least == 0 else "finite"
            rule = "NaN, as ideal()" if undefined else rule
            found = found[~fits] if found.shape == shape else found
            raise self.broken(name, found, f"{rule}, of shape {shape}")
        return found

    def broken(self, name: str, found: NDArray[Any], rule: str) -> MetricBroken:
        """Return the error for what a method has returned."""
        what = f"{found.ravel()[:2].tolist()} of shape {found.shape}"
        return MetricBroken(f"metric {self.name}: {name} returned {what}; it must be {rule}")

    def call(self, name: str, of: object, *arguments: Any) -> Any:
        """Call a method of a metric; what one of the user's raises is a MetricBroken."""
        try:
            return getattr(of, name)(*arguments)
        except Exception as error:
            if self.is_ours:
                raise
            raised = f"{name} raised {one_line(error)}{place_of(error)}"
            broken = MetricBroken(f"metric {self.name}: {raised}; repair it, or name another")
            keep_traceback(broken, traceback_text(error))
            raise broken from error
