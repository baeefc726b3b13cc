"""The answers that a requirement judges: those of a slice, by its metric, and what they must gain."""

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.quality import NothingToKeep, scale_of
from orchestrator.analysis.tables.slices import groups_of
from orchestrator.analysis.trial_data import TrialData
from orchestrator.assessment.case import NotShown
from orchestrator.contracts import InputError
from orchestrator.metrics import Judged


def judged_part(
    data: TrialData, metric: str | None, slice_name: str, at_least: float, of: Literal["ideal", "absolute"]
) -> tuple[NDArray[np.bool_], Judged, float]:
    """Return members of a slice, [S], their judged answers, and the gain that is asked for.

    Raises NotShown where there is none, and InputError for a metric that cannot judge these answers.
    """
    chosen = metric or data.metric
    try:
        members, judged = _group(data, chosen, slice_name)
    except NothingToKeep as error:
        raise NotShown(str(error)) from error
    except InputError as error:
        if chosen in data.record.metrics:
            raise
        has = " and ".join(data.record.metrics)
        raise NotShown(
            f"metric={chosen} cannot judge the answers of task {data.record.trial.task.name}, which has {has} ({error})"
        ) from error
    ideal = judged.ideal()
    if not math.isfinite(ideal):
        raise NotShown(f"ideal quality is {ideal}, so that nothing can be held to it")
    if ideal <= 0:
        raise NotShown("no answer is right, so that there is no quality to keep")
    floor = at_least * ideal if of == "ideal" else float(scale_of(judged).gained(at_least))
    if floor <= 0:
        raise NotShown("an answer that is late is worth as much as what is asked for: ask for more")
    return members, judged, floor


def _group(data: TrialData, metric: str, slice_name: str) -> tuple[NDArray[np.bool_], Judged]:
    if slice_name == "all":
        return np.ones(len(data.references), dtype=bool), data.judged(metric)
    name, _, group = slice_name.partition("=")
    found = {each[0]: each for each in groups_of(data, metric, name)}
    if group not in found:
        offered = ", ".join(sorted(data.slices_offered)) or "no slices"
        known = f"its groups are {', '.join(list(found)[:5])}" if found else f"the samples have {offered}"
        raise NotShown(f"no sample is in the slice {slice_name}: {known}")
    *_, members, judged = found[group]
    return members, judged or data.judged_of_some(metric, members)
