"""Trials of the null model for campaigns that are measured on a clock with noise, and what measures them."""

from collections.abc import Callable
from pathlib import Path

from null_trials import null_document, planned

from orchestrator.storage.records import PlannedTrial

Campaigns = Callable[..., Path]


def plan_trial(
    wrong: list[int], *, count: int = 20, repeat: int = 0, rounds: int = 30, raises_on: list[int] | None = None, **measurement: object
) -> PlannedTrial:
    model = {"name": f"null{len(wrong)}", "wrong": wrong, "raises_on": raises_on or []}
    limits = {"min_rounds": rounds, "max_rounds": rounds, "max_errors": 5, **measurement}
    [made] = planned(null_document(model=model, task={"count": count}, measurement=limits))
    return made.model_copy(update={"trial_id": f"{made.match_key}-r{repeat}", "trial": made.trial.model_copy(update={"repeat": repeat})})
