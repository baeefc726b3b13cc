"""The trajectory by which each trial stopped, as its stopping rule saw it while it ran."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from orchestrator.stats.stopping import CHECK_COLUMNS
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
            **{name: check.get(name) for name in CHECK_COLUMNS},  # a stranger's file may hold others
            "method": "Gaussian kernel density of log time, improved Sheather-Jones",
            "parameters": {"window": float(WINDOW), "confidence": CONFIDENCE},
            "flags": list(record.flags_of_figures),
        }
