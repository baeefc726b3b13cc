"""What a server adds: trials that it answered beside those of the same model in the timed process."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.groups import Group, alike
from orchestrator.analysis.trial_data import TrialData
from orchestrator.stats.latency import percentile_inverted_cdf
from orchestrator.storage.stored_form import finite
from orchestrator.storage.typed_rows import Int32, Labels


class ServerCostRow(Labels):
    """One row per trial that a server answered and trial of the same model in the timed process, on one clock.

    They have task, data, system, batch, load and repeat in common; `same_as` in the model's YAML says that the weights are.
    """

    against: Annotated[str, "id of the trial in the timed process"]
    clock: Annotated[str, "the one that counts first: `total` in a closed loop, `response` under load"]
    samples: Annotated[Int32, "samples of the task"]
    different_answers: Annotated[Int32, "samples that the two answer differently"]
    in_process_p50_ns: Annotated[float | None, "median of all samples and rounds in the timed process; null where that has no answer"]
    in_process_p99_ns: Annotated[float | None, "99th percentile, the same"]
    served_p50_ns: Annotated[float | None, "median of all samples and rounds that the server answered"]
    served_p99_ns: Annotated[float | None, "99th percentile, the same"]
    cost_p50_ns: Annotated[float | None, "difference of the medians: what the server costs"]
    cost_p99_ns: Annotated[float | None, "difference of the 99th percentiles"]
    cost_low_ns: Annotated[float | None, "the least difference of the medians of a quarter of the rounds, in order"]
    cost_high_ns: Annotated[float | None, "the largest such difference"]


def server_cost_rows(groups: Sequence[Group]) -> Iterator[ServerCostRow]:
    """Yield the rows of ``server_cost.parquet``; none where no model was measured both ways."""
    for group in groups:
        inside = [data for data in group.trials if not data.record.trial.server.is_asked]
        for data in group.trials:
            if data.record.trial.server.is_asked:
                yield from (_row(group, data, other) for other in inside if _comparable(data, other))


def _comparable(served: TrialData, inside: TrialData) -> bool:
    one, other = served.record.trial, inside.record.trial
    return (
        one.model.stands_for == other.model.name
        and one.system == other.system
        and one.measurement.batch == other.measurement.batch
        and one.load == other.load
        and one.repeat == other.repeat
    )


def _row(group: Group, data: TrialData, other: TrialData) -> ServerCostRow:
    served, inside = data.times[group.clock], other.times[group.clock]
    (served_p50, served_p99), (inside_p50, inside_p99) = (_ends(times) for times in (served, inside))
    quarters = zip(_medians(served), _medians(inside), strict=True)
    differences = [part - whole for part, whole in quarters if math.isfinite(part) and math.isfinite(whole)]
    return {
        **data.record.labels(),
        "against": other.trial_id,
        "clock": str(group.clock),
        "samples": len(data.predictions),
        "different_answers": sum(not alike(mine, theirs) for mine, theirs in zip(data.predictions, other.predictions, strict=True)),
        "in_process_p50_ns": finite(inside_p50),
        "in_process_p99_ns": finite(inside_p99),
        "served_p50_ns": finite(served_p50),
        "served_p99_ns": finite(served_p99),
        "cost_p50_ns": finite(served_p50 - inside_p50),
        "cost_p99_ns": finite(served_p99 - inside_p99),
        "cost_low_ns": min(differences, default=None),
        "cost_high_ns": max(differences, default=None),
    }


def _ends(times: NDArray[np.float64]) -> tuple[float, float]:
    """Return median and 99th percentile of all times; samples without an answer count as infinite."""
    p50, p99 = (percentile_inverted_cdf(times.ravel(), percent) for percent in (50, 99))
    return float(p50), float(p99)


QUARTERS = 4


def _medians(times: NDArray[np.float64]) -> list[float]:
    """Return the median of each quarter of the rounds, in order; of all where there are fewer rounds than that."""
    parts = np.array_split(times, QUARTERS) if len(times) >= QUARTERS else [times] * QUARTERS
    return [float(percentile_inverted_cdf(part.ravel(), 50)) for part in parts]
