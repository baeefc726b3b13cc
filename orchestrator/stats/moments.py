from __future__ import annotations

import math

from scipy.special import stdtrit


class RunningMoments:
    """Mean and variance of numbers that arrive one by one: Welford, Technometrics 4 (1962).

    Examples
    --------
    >>> moments = RunningMoments()
    >>> for x in (1.0, 2.0, 3.0):
    ...     moments.add(x)
    >>> moments.mean, moments.variance
    (2.0, 1.0)
    """

    def __init__(self) -> None:
        self.count = 0
        self.mean = 0.0
        self._squares = 0.0

    def add(self, x: float) -> None:
        """Take one more number into account."""
        self.count += 1
        difference = x - self.mean
        self.mean += difference / self.count
        self._squares += difference * (x - self.mean)

    @property
    def variance(self) -> float | None:
        """Unbiased variance; None of fewer than two numbers."""
        return self._squares / (self.count - 1) if self.count > 1 else None

    def half_width(self, confidence: float = 0.95) -> float | None:
        """Return half the width of Student's t interval of the mean; None of fewer than two numbers."""
        if self.variance is None:
            return None
        return float(stdtrit(self.count - 1, (1 + confidence) / 2) * math.sqrt(self.variance / self.count))
