"""Whether the rounds of a trial may be taken as exchangeable, which intervals, deadlines and comparisons need."""

from __future__ import annotations

import numpy as np

from orchestrator.analysis.trial_data import TrialData
from orchestrator.stats.exchangeability import exchangeability_flag
from orchestrator.stats.thresholds import Threshold

NOT_EXCHANGEABLE = "rounds not exchangeable"


def flags_of(data: TrialData, primary: Threshold | None) -> tuple[str, ...]:
    """Return what a reader must know of every figure of a trial, with a flag where its rounds drift or resemble their neighbours.

    The median of a round is that of its inferences, its quality that of its samples.
    """
    total = data.times["total"]
    if primary is None or len(total) < 3:
        return data.flags
    quality = data.judged(data.metric).curve(total, [primary.ns])[0]
    log_medians = np.log(np.median(data.inferences["total"], axis=1))
    flagged = exchangeability_flag(log_medians, quality).flagged
    return (*data.flags, NOT_EXCHANGEABLE) if flagged else data.flags
