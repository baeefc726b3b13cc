"""Stamps that cannot be, found before they become times: a wrong number is worse than a failed trial (pure)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from orchestrator.measurement.failures import TrialFailed
from orchestrator.storage.handover import RoundResult
from orchestrator.storage.short_rounds import short_round
from orchestrator.vocabulary import FaultName

FAULT: FaultName = "clock broken"
REMEDY = "the clock of this host is broken, or something else wrote them; check its clock source"


def refuse_impossible(stamps: npt.NDArray[np.int64], began_ns: int = 0, ended_ns: int | None = None) -> None:
    """Raise TrialFailed where stamps do not ascend within a batch, from batch to batch, or from the round's start to its end.

    Parameters
    ----------
    stamps
        ns, shape [B, 4]. A batch that a stage raised on has only its end, one that has not ended counts for nothing; both are 0
        elsewhere.
    began_ns, ended_ns
        the clock before the first batch and after the last one, where they are known.
    """
    ended = stamps[:, 3] > 0
    if bool((np.diff(ended.astype(np.int8)) > 0).any()):
        raise _impossible(f"batch {int(np.argmin(ended))} has no end, and later ones have")
    told = stamps[ended]
    raised = (told[:, :3] == 0).all(axis=1)
    within = np.diff(told, axis=1)
    wrong = ~raised & ((within < 0).any(axis=1) | (within[:, 1] == 0))
    if bool(wrong.any()):
        raise _impossible(f"the stamps of batch {int(np.argmax(wrong))} do not ascend")
    starts = np.where(raised, told[:, 3], told[:, 0])
    before = np.concatenate([[began_ns], told[:, 3]])[: len(told)]
    wrong = starts < before
    if bool(wrong.any()):
        raise _impossible(f"batch {int(np.argmax(wrong))} starts before what was there before it ended")
    if ended_ns is not None and len(told) and int(told[-1, 3]) > ended_ns:
        raise _impossible("the last batch ends after its round")


def refuse_short(result: RoundResult, batch: int) -> None:
    """Raise TrialFailed where a round took less time than what was timed in it."""
    short = short_round(result.timings, result.round, batch)
    if short is not None:
        raise _impossible(short.told)


def _impossible(what: str) -> TrialFailed:
    return TrialFailed(f"{what}: {REMEDY}", FAULT)
