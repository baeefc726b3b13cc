"""Rounds that a process was asked for and has not answered yet."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from orchestrator.config import MeasurementConfig
from orchestrator.execution.executor import Job, Session
from orchestrator.storage.handover import RoundResult

CALL_S, MOST_AT_ONCE = 0.05, 20
"""Rounds that take less than this together may be asked for in one call, and how many at most."""


class RoundCalls:
    """The calls under way to one process, in order.

    Parameters
    ----------
    next_round
        number of the first round to ask for.
    one_by_one
        ask for one round at a time and never ahead: where driver and process share a machine, or trials alternate.
    """

    def __init__(self, session: Session, measurement: MeasurementConfig, next_round: int, one_by_one: bool) -> None:
        self._session = session
        self._measurement = measurement
        self._next = next_round
        self._one_by_one = one_by_one
        self._under_way: deque[Job[Sequence[RoundResult]]] = deque()

    def __bool__(self) -> bool:
        return bool(self._under_way)

    def ask_ahead(self, round_s: float) -> None:
        """Have two calls under way, so that a remote process never waits for us.

        Before ``min_rounds`` no rule can stop. After that the next call waits for the rule's answer to the last one.
        """
        while len(self._under_way) < (1 if self._one_by_one else 2):
            if self._under_way and self._next >= self._measurement.min_rounds:
                return
            count = 1 if self._one_by_one else rounds_at_once(self._next, round_s, self._measurement)
            self._under_way.append(self._session.run_rounds(self._next, count))
            self._next += count

    def take(self) -> Sequence[RoundResult]:
        """Wait for the oldest call. Raises what it raises, TimeoutError, or SessionLost."""
        return self._under_way.popleft().result(timeout=self._measurement.round_timeout_s)


def rounds_at_once(first: int, round_s: float, measurement: MeasurementConfig) -> int:
    """Return how many rounds to ask a remote process for in one call: short ones would cost more to send than to measure.

    Parameters
    ----------
    first
        number of the next round. A call never goes beyond ``min_rounds`` before it has reached them, nor beyond ``max_rounds``.
    round_s
        duration of the last round, s.
    """
    bound = measurement.min_rounds if first < measurement.min_rounds else measurement.max_rounds
    return max(1, min(int(CALL_S / max(round_s, 1e-9)), MOST_AT_ONCE, bound - first))
