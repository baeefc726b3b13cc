"""How long what the evidence of a round tells of has lasted."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray


def spans_ns(stored: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return over how many nanoseconds the counters of each round ran, [R].

    That is the round's duration. Under load the first round of a stream holds the evidence of the whole stream, and its span is from the
    stream's start, ramp included, to the end of its last stored round; the later ones hold no evidence, and their span is NaN.
    ``stored`` are the columns of ``rounds/``.
    """
    durations = stored["duration_ns"]
    began = stored.get("stream_started_monotonic_ns", np.full(len(durations), np.nan))
    if not np.isfinite(began).any():
        return durations
    _, first, stream = np.unique(stored["stream"], return_index=True, return_inverse=True)
    ended = np.zeros(len(first))
    np.maximum.at(ended, stream, stored["started_monotonic_ns"] + durations)
    spans = np.full(len(durations), np.nan)
    spans[first] = ended - began[first]
    return spans
