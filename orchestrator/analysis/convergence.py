"""The trajectory by which each trial stopped, as its stopping rule saw it while it ran."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from orchestrator.analysis.trial_data import TrialData
from orchestrator.stats.exchangeability import exchangeability_flag
from orchestrator.stats.stopping import CHECK_COLUMNS
from orchestrator.stats.thresholds import Threshold
from orchestrator.stats.times import PRIMARY_CLOCK
from orchestrator.storage.records import TrialRecord

WINDOW = 5
"""Earlier fits that a density is compared with."""
CONFIDENCE = 0.95
"""Of half-widths."""


def convergence_rows(record: TrialRecord) -> Iterator[dict[str, Any]]:
    """Yield one row per check for ``convergence.parquet``."""
    if record.stopping is None:
        return
    for check in record.stopping.checks:
        yield {
            **record.labels(),
            "rule": record.stopping.rule,
            "reason": record.stopping.reason,
            **{name: check.get(name) for name in CHECK_COLUMNS},
            "method": "Gaussian kernel density of log time, improved Sheather-Jones",
            "parameters": {"window": float(WINDOW), "confidence": CONFIDENCE, **_own_numbers(check)},
            "flags": list(record.flags_of_figures),
        }


def _own_numbers(check: Mapping[str, Any]) -> dict[str, float]:
    """Return the numbers that a rule tells beside the columns that all rules have."""
    return {name: float(value) for name, value in check.items() if name not in CHECK_COLUMNS and isinstance(value, int | float)}


NOT_EXCHANGEABLE = "rounds not exchangeable"


def flags_of(data: TrialData, primary: Threshold | None) -> tuple[str, ...]:
    """Return what a reader must know of every figure of a trial, with a flag where its rounds drift or resemble their neighbours.

    The median of a round is that of its inferences, its quality that of its samples.
    """
    total = data.times[PRIMARY_CLOCK]
    if primary is None or len(total) < 3:
        return data.flags
    quality = data.judged(data.metric).curve(total, [primary.ns])[0]
    log_medians = np.log(np.median(data.inferences[PRIMARY_CLOCK], axis=1))
    flagged = exchangeability_flag(log_medians, quality).flagged
    return (*data.flags, NOT_EXCHANGEABLE) if flagged else data.flags
