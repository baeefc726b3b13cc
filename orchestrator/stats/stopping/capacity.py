"""Enough streams to tell whether a rate of arrivals keeps the quality that is required: a probe of `capacity`."""

from __future__ import annotations

import numpy as np

from orchestrator.contracts import InputError
from orchestrator.stats.capacity_verdict import (
    ENOUGH_STREAMS,
    FAMILY_ERROR,
    MOST_PROBES,
    Requirement,
    answers_at_stake,
    judged,
    stream_means,
    waited,
)
from orchestrator.stats.stopping.rule import Decision, RoundObservation, RuleSettings, check_row
from orchestrator.stats.times import Clock

DEFAULTS: dict[str, float | int] = {
    "deadline_ms": 50.0, "keep": 0.99, "most_streams": ENOUGH_STREAMS, "error": FAMILY_ERROR / MOST_PROBES,
}  # fmt: skip
"""Of its options."""


class Capacity:
    """Stop when mean quality within ``deadline_ms`` is shown to keep ``keep`` of ideal quality or not to, or after ``most_streams``.

    It is looked at after 6, 12, 24, ... whole streams. The reason is the verdict: ``keeps``, ``fails`` or ``undecided``. Where there are no
    streams, a round counts as one.
    """

    name = "capacity"

    def __init__(
        self,
        settings: RuleSettings,
        *,
        deadline_ms: float = 50.0,
        keep: float = 0.99,
        most_streams: int = ENOUGH_STREAMS,
        error: float = FAMILY_ERROR / MOST_PROBES,
    ) -> None:
        self._requirement = Requirement(keep, most_streams, error)
        if not (deadline_ms > 0 and self._requirement.sound):
            raise InputError(
                f"rule capacity with deadline_ms={deadline_ms:g}, keep={keep:g}, most_streams={most_streams}, error={error:g}: times and "
                "numbers must be positive, shares between 0 and 1"
            )
        self._deadline_ns = round(deadline_ms * 1e6)
        self._qualities: list[float] = []
        self._waiting: list[float] = []
        self._streams: list[int] = []

    def update(self, observation: RoundObservation, now_s: float) -> Decision:
        """Take in one round; look where it completes a stream."""
        self._qualities.append(observation.quality(self._deadline_ns))
        times = observation.times
        self._waiting.append(float(waited(times[Clock.RESPONSE], times[Clock.TOTAL]).mean()) if Clock.RESPONSE in times else 0.0)
        self._streams.append(observation.number if observation.visit is None else observation.visit)
        whole, rounds = self._whole_streams()
        if whole not in self._requirement.looks:
            return Decision(False)
        samples = rounds * observation.primary_times.size
        means, waiting = (stream_means(values, self._streams) for values in (self._qualities, self._waiting))
        found = judged(means, answers_at_stake(samples, waiting, observation.ideal), observation.ideal, self._requirement)
        check = check_row(
            {
                "rounds": observation.rounds,
                "primary_threshold": f"{self._deadline_ns / 1e6:g} ms",
                "primary_threshold_ns": self._deadline_ns,
                "primary_threshold_origin": "absolute",
                "quality_mean": found.mean,
                "half_width": (found.high - found.low) / 2,
                "streams": found.streams,
            }
        )
        over = found.verdict != "undecided" or whole >= self._requirement.looks[-1]
        return Decision(over, found.verdict if over else None, check)

    def _whole_streams(self) -> tuple[int, int]:
        """Return how many streams are whole, and of how many rounds; 0 while the last one has fewer than an earlier one."""
        _, counts = np.unique(self._streams, return_counts=True)
        most = int(counts.max())
        return (int((counts == most).sum()) if counts.size > 1 and counts[-1] == most else 0), most
