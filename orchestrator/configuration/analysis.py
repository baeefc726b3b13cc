"""How stored timings are read: the block ``analysis`` of a campaign."""

from collections.abc import Iterable, Sequence
from typing import Literal

from pydantic import Field

from orchestrator.configuration.fields import LARGEST_SEED, MOST_THRESHOLDS, Milliseconds, Names, Percentile
from orchestrator.configuration.frozen import Frozen
from orchestrator.configuration.tolerance import ToleranceConfig
from orchestrator.contracts import InputError
from orchestrator.stats.thresholds import Threshold, thresholds_from_ms

ClockName = Literal["inference", "total", "response", "first_token", "per_token"]
TOGETHER = "analysis.together_ms"
"""The key; one set of bounds replaces another as a whole."""


class DeadlineConfig(Frozen):
    """What a deadline promises: at least 1 - ``late_share`` of rounds keep ``quality`` of the quality they have without a threshold."""

    quality: float = Field(0.99, gt=0, le=1)
    late_share: float = Field(0.10, ge=1e-6, lt=1)
    confidence: float = Field(0.95, gt=0, lt=1)


class AnalysisConfig(Frozen):
    """How stored timings are read. These keys never need a new measurement.

    ``metrics`` replace those that the task names; trials are compared by the first one. ``tolerance`` is how long users wait.
    ``together_ms`` are bounds by clock that an answer must all keep.
    """

    thresholds_ms: tuple[Milliseconds, ...] = Field((), max_length=MOST_THRESHOLDS)
    percentiles: tuple[Percentile, ...] = Field((90, 95, 99, 99.9), max_length=MOST_THRESHOLDS)
    reference: str | None = None
    primary: str | None = None
    seed: int = Field(0, ge=0, le=LARGEST_SEED)
    slices: Names = ()
    deadline: DeadlineConfig = DeadlineConfig()
    metrics: Names = Field((), exclude_if=lambda names: not names)
    tolerance: ToleranceConfig | None = Field(None, exclude_if=lambda tolerance: tolerance is None)
    together_ms: dict[ClockName, Milliseconds] | None = Field(None, exclude_if=lambda together: not together)

    @property
    def thresholds(self) -> tuple[Threshold, ...]:
        """The user's own thresholds."""
        return thresholds_from_ms(self.thresholds_ms)

    def unknown_reference(self, trial_ids: Sequence[str]) -> InputError:
        """Return the error for a ``reference`` to none of these trials."""
        more = ", ..." if len(trial_ids) > 4 else ""
        return InputError(f"analysis.reference={self.reference}: no such trial; choose one of {', '.join(trial_ids[:4])}{more}")

    def check_slices(self, known: Iterable[str]) -> None:
        """Raise InputError for a name in ``slices`` that no sample has."""
        names = sorted(set(known))
        for name in self.slices:
            if name not in names:
                raise InputError(f"analysis.slices={name}: no sample has this slice; choose of {', '.join(names) or 'none'}")
