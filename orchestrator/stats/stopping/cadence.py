from __future__ import annotations

ROUNDS_APART = 2
SECONDS_APART = 0.5
GROWTH = 1.05


class Cadence:
    """When a check is due: every 2 rounds, at most twice a second, and not before the history has grown by 5 %.

    Checks take time on the machine between its rounds, about 8 ms each; so their share of it stays small however short a round or
    long a trial. Two rounds are the paper's own distance between fits; a rule whose every look may err takes fewer.
    """

    def __init__(self, rounds_apart: int = ROUNDS_APART) -> None:
        self._rounds_apart = rounds_apart
        self._rounds = 0
        self._at_s = float("-inf")

    def due(self, rounds: int, now_s: float) -> bool:
        """Return whether to check after so many rounds; a check that is due counts as made."""
        grown = rounds >= self._rounds + self._rounds_apart and rounds >= GROWTH * self._rounds
        if not grown or now_s < self._at_s + SECONDS_APART:
            return False
        self._rounds, self._at_s = rounds, now_s
        return True
