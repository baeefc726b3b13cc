from __future__ import annotations

ROUNDS_APART = 5
SECONDS_APART = 1.0
GROWTH = 1.05


class Cadence:
    """When a check is due: every 5 rounds, at most once a second, and not before the history has grown by 5 %.

    Checks take time on the machine between its rounds; so their share of it stays small however short a round or long a trial.
    """

    def __init__(self) -> None:
        self._rounds = 0
        self._at_s = float("-inf")

    def due(self, rounds: int, now_s: float) -> bool:
        """Return whether to check after so many rounds; a check that is due counts as made."""
        grown = rounds >= self._rounds + ROUNDS_APART and rounds >= GROWTH * self._rounds
        if not grown or now_s < self._at_s + SECONDS_APART:
            return False
        self._rounds, self._at_s = rounds, now_s
        return True
