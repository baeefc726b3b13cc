"""Garbage is collected between what is timed, and not in it."""

import gc
import time

COLLECT_EVERY_S = 0.25


class Garbage:
    """The garbage of a timed process; ``while_timed`` leaves its collection to Python, as a user may want."""

    def __init__(self, while_timed: bool) -> None:
        self._while_timed = while_timed
        self._collected_s = 0.0

    def keep_out(self) -> None:
        """Collect, and keep the collection of garbage out of what is timed next, unless the user wants it there."""
        if not self._while_timed:
            self._collect()
            gc.disable()

    def let_in(self) -> None:
        """Let Python collect again."""
        gc.enable()

    def _collect(self) -> None:
        """Collect what the last round has left; older garbage too, unless that was done a moment ago and rounds are short."""
        now_s = time.monotonic()
        if now_s - self._collected_s < COLLECT_EVERY_S:
            gc.collect(0)
            return
        gc.collect()
        self._collected_s = now_s
