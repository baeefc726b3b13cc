"""Tail quality of a system that was repeated, from the curves of its processes: by the rule of ``processes.parquet``."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from orchestrator.analysis.quality import JudgedMean, scale_of
from orchestrator.analysis.trial_data import TrialData
from orchestrator.report.figures.curves import Curve
from orchestrator.stats.times import Clock
from orchestrator.stats.variance_components import mean_of_processes


def of_processes(repeats: Sequence[TrialData], curves: Sequence[Curve], clock: Clock) -> Curve:
    """Return the curve of a system: the mean of the processes' means with Student's t over them, and the worst round of all.

    Rounds stand one process after another.
    """
    first, judged = curves[0], repeats[0].judged(repeats[0].metric)
    scale = scale_of(judged)
    gains = scale.gained(np.stack([curve.mean for curve in curves], axis=1))
    resolution = 1 / min(data.inferences[clock].size for data in repeats)
    mean, low, high = np.array([mean_of_processes(row, resolution) for row in gains]).T
    if isinstance(judged, JudgedMean):
        low, high = np.maximum(low, 0.0), np.minimum(high, np.maximum(scale.gained(first.ideal), mean))
    low, high = (scale.shown(low), scale.shown(high)) if scale.sign > 0 else (scale.shown(high), scale.shown(low))
    worst = np.stack([curve.worst for curve in curves])
    return Curve(
        ideal=first.ideal,
        mean=scale.shown(mean),
        worst=worst.min(axis=0) if first.sign > 0 else worst.max(axis=0),
        low=low,
        high=high,
        rounds=np.concatenate([curve.rounds for curve in curves], axis=1),
        worst_rounds=np.concatenate([curve.worst_rounds for curve in curves], axis=1),
        centres=np.concatenate([curve.centres for curve in curves]),
        shares=np.mean([curve.shares for curve in curves], axis=0),
        edges=first.edges,
        flags=tuple(
            tuple(dict.fromkeys(flag for flags in of_all for flag in flags)) for of_all in zip(*(c.flags for c in curves), strict=True)
        ),
        sign=first.sign,
    )
