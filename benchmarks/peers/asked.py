"""What a client's file says of its requests, in one form for all clients. Pure but for the files."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orchestrator.exchange.formats import recordings_of
from orchestrator.exchange.long_form import long_form
from orchestrator.storage import schema

Times = NDArray[np.float64]


@dataclass(frozen=True)
class Asked:
    """The requests of one run that were answered, in the order in which they were sent; N of them.

    start_s
        when each was sent, s from any moment, [N].
    delay_us
        sent minus the moment that the client calls due, [N].
    latency_ms
        sent to the end of its answer, [N].
    failed
        how many were not answered.
    """

    start_s: Times
    delay_us: Times
    latency_ms: Times
    failed: int = 0

    def behind_us(self, rate: float) -> Times:
        """Return how late each request was sent on an even schedule of this rate that begins so that none is early, us, [N]."""
        behind = self.start_s - np.arange(self.start_s.size) / rate
        found: Times = (behind - behind.min()) * 1e6
        return found


def asked(starts_ns: Sequence[int], due_ns: Sequence[int], times_ns: Sequence[int], failed: int = 0) -> Asked:
    """Return requests from moments and times in ns, whatever their order."""
    start, due, times = (np.asarray(values, dtype=np.int64) for values in (starts_ns, due_ns, times_ns))
    order = np.argsort(start, kind="stable")
    first = start.min() if start.size else 0
    return Asked((start[order] - first) / 1e9, (start - due)[order] / 1e3, times[order] / 1e6, failed)


def of_file(kind: str, path: Path) -> Asked:
    """Return the requests of a file, or LoadGen's folder, as `import` reads it; ``kind`` is the name of its format."""
    (recording,) = recordings_of(kind, [path], {})
    rows: list[dict[str, Any]] = long_form(recording).to_pylist() if recording.table.num_rows else []
    good = [row for row in rows if row["outcome"] == schema.OK]
    due = issued_ns(path) if kind == "aiperf" else {row["start_ns"]: row["arrival_ns"] for row in good}
    return asked(
        [row["start_ns"] for row in good],
        [due[row["start_ns"]] for row in good],
        [row["inference_ns"] for row in good],
        len(rows) - len(good),
    )


def issued_ns(path: Path) -> dict[int, int]:
    """Return, by the start of each of AIPerf's requests, when its schedule issued it: the file has no moment that it was planned for."""
    found = (json.loads(line)["metadata"] for line in path.read_text("utf-8").splitlines() if line.strip())
    return {about["request_start_ns"]: about["credit_issued_ns"] for about in found}


# Of noise above this share of the figure itself, nothing follows.
SMALL_NOISE = 0.5


@dataclass(frozen=True)
class Agreement:
    """Whether two clients tell the same percentile of a latency, by repeats of each.

    ours_ms, difference_ms
        the median of our repeats, and that of theirs less ours.
    noise_ms
        the largest spread (largest minus least) that repeats of either have; NaN where one has a single repeat, which has none.
    """

    ours_ms: float
    difference_ms: float
    noise_ms: float

    @property
    def verdict(self) -> str:
        """``differs`` beyond the noise of repeats, else ``agrees``; ``undecided`` where noise is unknown or above half the figure."""
        if abs(self.difference_ms) > self.noise_ms:
            return "differs"
        return "agrees" if self.noise_ms <= SMALL_NOISE * self.ours_ms else "undecided"


def agreement(ours: Sequence[float], theirs: Sequence[float]) -> Agreement:
    """Return how far a client's figure, of several repeats, is from ours."""
    mine = float(np.median(ours))
    noise = max(max(one) - min(one) for one in (ours, theirs)) if min(len(ours), len(theirs)) > 1 else math.nan
    return Agreement(mine, float(np.median(theirs)) - mine, noise)
