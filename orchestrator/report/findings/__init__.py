"""What a campaign has found, as facts: each file of this folder yields those of one subject.

A file declares its PLACE among the others, and ``of_task(results, ranking)`` or
``of_campaign(results, rankings)``; ``templates/KIND.j2`` says what it yields.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType
from typing import Any

from orchestrator.analysis.campaign_analysis import CampaignAnalysis
from orchestrator.analysis.ranking import Ranking, unsearched


@dataclass(frozen=True)
class Finding:
    """A fact of a task, or of the campaign where ``subject`` is empty; ``values`` are plain."""

    kind: str
    subject: str
    values: Mapping[str, Any]
    flags: tuple[str, ...] = ()


def findings(results: CampaignAnalysis, ranked: Sequence[Ranking]) -> list[Finding]:
    """Return what is found of each task, then of the campaign."""
    of_tasks = (finding for one in unsearched(ranked) for finding in of_task(results, one))
    return [*of_tasks, *of_campaign(results, ranked)]


def of_task(results: CampaignAnalysis, one: Ranking) -> Iterator[Finding]:
    """Yield what is found of one task."""
    for module in _modules():
        if hasattr(module, "of_task"):
            yield from module.of_task(results, one)


def of_campaign(results: CampaignAnalysis, ranked: Sequence[Ranking]) -> Iterator[Finding]:
    """Yield what is found of all tasks together."""
    for module in _modules():
        if hasattr(module, "of_campaign"):
            yield from module.of_campaign(results, ranked)


@cache
def _modules() -> list[ModuleType]:
    """Return the files of this folder that declare a place, in its order."""
    found = [import_module(f"{__name__}.{one.name}") for one in iter_modules(__path__)]
    return sorted((one for one in found if hasattr(one, "PLACE")), key=lambda one: one.PLACE)
