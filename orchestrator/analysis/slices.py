"""Tail quality of groups: of samples, by what the task or the size of pictures says of them, or of boxes within them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.groups import ThresholdSet
from orchestrator.analysis.quality import NothingToKeep
from orchestrator.analysis.tail_quality import Figure, TailQualityRow
from orchestrator.analysis.trial_data import TrialData
from orchestrator.configuration.analysis import AnalysisConfig
from orchestrator.metrics import Judged
from orchestrator.storage.typed_rows import Int32
from orchestrator.subject.slices import in_order

FEW_SAMPLES = "few samples"
FEWEST = 30
"""Samples or boxes of a group: of fewer, a share of a half is known to no better than +-0.19 of others like them, by the 95 % interval of
Clopper and Pearson, *Biometrika* 26, 1934."""

Unit: TypeAlias = Literal["samples", "boxes"]


class SliceRow(TailQualityRow):
    """One row per trial, metric, group of a slice, clock and common threshold."""

    name: Annotated[str, "the slice, as `analysis.slices` names it"]
    group: Annotated[str, "the group of it"]
    unit: Annotated[str, "what is grouped: `samples`, or `boxes` within all of them"]
    members: Annotated[Int32, "how many of these the group has; of boxes those to be found"]


@dataclass(frozen=True)
class SliceGroup:
    """One group of a slice.

    members : [S]
        the samples that count.
    judged
        a metric of parts of these samples; None where the samples are the group.
    """

    group: str
    unit: Unit
    count: int
    members: NDArray[np.bool_]
    judged: Judged | None = None


def slice_rows(data: TrialData, common: ThresholdSet, flags: Sequence[str], analysis: AnalysisConfig) -> Iterator[SliceRow]:
    """Yield the rows of one trial for ``slices.parquet``, at common thresholds. Every interval is of the group's own series of rounds."""
    thresholds = {clock: common.common(clock) for clock in data.times if clock in common.percentiles}
    for metric in data.record.metrics:
        for name in analysis.slices:
            for found in groups_of(data, metric, name):
                try:
                    figure = Figure(data, metric, f"{name}={found.group}", found.members, found.judged)
                except NothingToKeep:
                    continue
                if figure.defined:
                    few = [FEW_SAMPLES] if found.count < FEWEST else []
                    for row in figure.rows(thresholds, 0, (*flags, *few)):
                        yield {**row, "name": name, "group": found.group, "unit": found.unit, "members": found.count}


def groups_of(data: TrialData, metric: str, name: str) -> Iterator[SliceGroup]:
    """Yield the groups of a slice: those of samples where samples have it, else those that the metric makes of parts of them."""
    of_samples = data.groups_of(name)
    for group in in_order(of_samples):
        members = np.array([member == group for member in of_samples])
        yield SliceGroup(group, "samples", int(members.sum()), members)
    if not of_samples:
        everything = np.ones(len(data.references), dtype=bool)
        for group, part in data.parts(metric, name).items():
            yield SliceGroup(group, "boxes", part.count, everything, part.judged)
