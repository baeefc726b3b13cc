"""For whom a difference is shown: these samples, samples like these, fresh processes; the same words for the same thing everywhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from orchestrator.analysis.groups import Group
from orchestrator.analysis.ranking import Ranking, by_model, order_of
from orchestrator.analysis.tables.comparison import FRESH_PROCESSES, SAMPLES_LIKE_THESE

Known: TypeAlias = Literal["shown", "not shown", "not tested"]
OTHERS = f"other {SAMPLES_LIKE_THESE}"


@dataclass(frozen=True)
class Scopes:
    """What is known of a difference between the best and what keeps less.

    here
        on the samples of the task, in the processes that were measured.
    samples_like_these
        on other samples of the kind; tested of models alone.
    fresh_processes
        in processes to come; not tested where each system ran as one.
    """

    here: Known
    samples_like_these: Known
    fresh_processes: Known


def scopes_of(ranked: Ranking) -> Scopes:
    """Return for whom it is shown that others keep less than the best: other models, of one model other systems."""
    if len(list(by_model(ranked.found))) == 1:
        order = order_of(ranked.found)
        of_systems: Known = "shown" if order.worse else "not shown" if order.tied else "not tested"
        return Scopes(of_systems, "not tested", _fresh(ranked, of_systems))
    if not ranked.tests_models:
        return Scopes("not tested", "not tested", "not tested")
    of_models: Known = "not shown" if ranked.models.tied else "shown"
    return Scopes(of_models, "shown" if ranked.models_apart else "not shown", _fresh(ranked, of_models))


def _fresh(ranked: Ranking, here: Known) -> Known:
    """Return what is known of fresh processes: of repeats what is known at all, which rests on them."""
    return here if min(one.processes for one in ranked.found) > 1 else "not tested"


def sample_count(group: Group) -> int:
    """Return how many samples the task has."""
    return len(group.trials[0].references)


def shown_for(found: Scopes, samples: int) -> str:
    """Name for whom a difference is shown, with *only* where it is for nobody else."""
    others, fresh = found.samples_like_these == "shown", found.fresh_processes == "shown"
    of_samples = f"{SAMPLES_LIKE_THESE} {samples}" if others else f"these {samples} samples"
    if fresh:
        return f"{of_samples} and {FRESH_PROCESSES}"
    return f"{of_samples}; {FRESH_PROCESSES} {found.fresh_processes}" if others else f"{of_samples} only"


def told_of_samples(group: Group, known: Known) -> str:
    """Say what is known of other samples than these, and if it is not shown how to get more of them."""
    return f"{OTHERS}: {known}" if known == "shown" else f"{OTHERS}: {known}; {more_samples(group)}"


def told_of_processes(ranked: Ranking, known: Known) -> str:
    """Say what is known of fresh processes, and how many there are of each system."""
    least, most = min(one.processes for one in ranked.found), max(one.processes for one in ranked.found)
    count = str(most) if least == most else f"{least} to {most}"
    return f"{FRESH_PROCESSES}: {known}{f' ({count} of each system)' if most > 1 else ''}"


def sentence(told: str) -> str:
    """Write what is known as a sentence of its own."""
    return f"{told[:1].upper()}{told[1:]}."


def more_samples(group: Group) -> str:
    """Say how to get more samples, or that there are none."""
    limit = group.trials[0].record.trial.task.limit
    return "the task has no more" if limit is None else f"task.limit above {limit} adds some"
