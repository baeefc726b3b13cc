"""What is stored beside the clocks of a trial: its stages, our own loop between two inferences, and when each round began."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from orchestrator.storage.schema import STAGES


@dataclass(frozen=True)
class Beside:
    """Of one trial.

    started_ms
        per round, ms since 1970, [R].
    stage_means_ns
        mean time per stage, of the inferences that have a time.
    gap_ns
        median and p99 of the time between one inference's end and the next one's start: our own loop. None if a round has only one.
    """

    started_ms: NDArray[np.float64]
    stage_means_ns: Mapping[str, float]
    gap_ns: tuple[float, float] | None


def beside_the_clocks(rounds: pa.Table, timings: pa.Table) -> Beside:
    """Return what stands beside the clocks. Takes rows of ``schema.ROUNDS``, and of ``schema.TIMINGS`` one per inference."""
    gaps = timings.column("start_gap_ns").drop_null().to_numpy()
    means = {stage.removesuffix("_ns"): pc.mean(timings.column(stage)).as_py() for stage in STAGES}
    started = rounds.column("started_at").cast(pa.timestamp("ms", tz="UTC"), safe=False).cast(pa.int64())
    return Beside(
        started_ms=started.to_numpy().astype(np.float64),
        stage_means_ns={stage: mean for stage, mean in means.items() if mean is not None},
        gap_ns=(float(np.median(gaps)), float(np.quantile(gaps, 0.99))) if gaps.size else None,
    )
