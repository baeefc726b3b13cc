"""What ended a process of a trial: named, and counted where the model raised (pure)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from orchestrator.measurement.failures import TrialFailed
from orchestrator.measurement.fault_names import fault_of
from orchestrator.storage.handover import RoundResult
from orchestrator.vocabulary import FaultName

Raised = dict[int, tuple[int, str]]
"""By sample on which the model raised: the first round, and the message."""


def fault_name(error: Exception) -> FaultName:
    """Return what kind of fault of the model's process an exception is."""
    if isinstance(error, TrialFailed):
        return error.fault
    if isinstance(error, TimeoutError):
        return "hang"
    return fault_of(str(error), "process killed")


def count_raised(raised: Raised, results: Sequence[RoundResult]) -> None:
    """Take in the samples that the model has raised on in these rounds."""
    for result in results:
        for sample, message in result.errors.items():
            raised.setdefault(sample, (result.round.column("round")[0].as_py(), message))


def too_many_raised(raised: Mapping[int, tuple[int, str]], allowed: int) -> tuple[int, TrialFailed] | None:
    """Return the round of the first sample and the fault, where the model has raised on more samples than may fail."""
    if len(raised) <= allowed:
        return None
    sample, (number, message) = next(iter(raised.items()))
    told = (
        f"the model raised on {len(raised)} samples (measurement.max_errors={allowed}), first on sample {sample} in round {number}: "
        f"{message}"
    )
    return number, TrialFailed(told, fault_of(message, "too many errors"))
