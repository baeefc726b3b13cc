"""The answers that a requirement judges: those of a slice, by its metric, and what they must gain."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.quality import NothingToKeep, scale_of
from orchestrator.analysis.trial_data import TrialData
from orchestrator.assessment.case import NotShown
from orchestrator.metrics import Judged


def judged_part(
    data: TrialData, metric: str | None, slice_name: str, at_least: float, of: Literal["ideal", "absolute"]
) -> tuple[NDArray[np.bool_], Judged, float]:
    """Return members of a slice, [S], their judged answers, and the gain that is asked for.

    Raises NotShown where there is none, and InputError for a metric that cannot judge these answers.
    """
    members = np.ones(len(data.references), dtype=bool)
    if slice_name != "all":
        name, _, group = slice_name.partition("=")
        members = np.array([member == group for member in data.slices.get(name, ())], dtype=bool)
        if not members.any():
            known = sorted({each for each in data.slices.get(name, ()) if each is not None})
            groups = f"its groups are {', '.join(known[:5])}" if known else f"the samples have {', '.join(data.slices) or 'no slices'}"
            raise NotShown(f"no sample is in the slice {slice_name}: {groups}")
    chosen = metric or data.metric
    try:
        judged = data.judged(chosen) if members.all() else data.judged_of_some(chosen, members)
    except NothingToKeep as error:
        raise NotShown(str(error)) from error
    ideal = judged.ideal()
    if math.isnan(ideal) or ideal <= 0:
        raise NotShown("no answer is right, so that there is no quality to keep")
    return members, judged, at_least * ideal if of == "ideal" else float(scale_of(judged).gained(at_least))
