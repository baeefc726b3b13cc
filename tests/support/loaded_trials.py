"""Trials under load for analysis, made from their arrivals and waits in memory."""

from dataclasses import replace
from typing import Any

import numpy as np
from built_trials import build_trial
from numpy.typing import NDArray

from orchestrator.analysis.trial_data import TrialData
from orchestrator.configuration.load import LoadConfig
from orchestrator.stats.times import Clock
from orchestrator.storage import schema

MS = 1e6


def loaded_trial(
    system: str,
    total_ms: NDArray[np.float64],
    arrivals_ms: NDArray[np.float64],
    waits_ms: NDArray[np.float64] | float = 0.0,
    per_stream: int = 2,
    load: dict[str, Any] | None = None,
    untimed: int = schema.DROPPED,
    **more: Any,
) -> TrialData:
    """A trial of rounds [R, S] in streams of so many; arrivals count from their stream's start.

    ``untimed`` is what became of samples without a time.
    """
    data = build_trial(system, total_ms, **more)
    rounds = len(total_ms)
    law = LoadConfig(**({"name": "poisson", "rate_per_s": 20.0, "stream_s": 3.0} | (load or {})))
    record = data.record.model_copy(update={"trial": data.record.trial.model_copy(update={"load": law})})
    times = {**data.times, Clock.RESPONSE: data.times["total"] + np.asarray(waits_ms) * MS}
    streams = (np.arange(rounds) // per_stream).astype(np.int32)
    return replace(
        data,
        record=record,
        times=times,
        inferences=times,
        arrivals=arrivals_ms * MS,
        streams=streams,
        visits=streams,
        outcome=np.where(np.isfinite(total_ms), schema.OK, untimed).astype(np.int8),
        incomplete=np.zeros(rounds, dtype=np.bool_),
        overloaded=np.zeros(rounds, dtype=np.bool_),
    )
