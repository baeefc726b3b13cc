"""Which trials of two campaigns are counterparts, and why a pair may not be compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from orchestrator.analysis.compare_sides import digests_of
from orchestrator.analysis.trial_data import TrialData
from orchestrator.config import Target, Trial
from orchestrator.identity import NO_WORK
from orchestrator.storage.baseline import BaselineTrial
from orchestrator.storage.records import PlannedTrial

WHOSE = {"data": "data", "model": "weights"}


def nearest(before: BaselineTrial, unmatched: Mapping[str, Sequence[PlannedTrial]]) -> tuple[str, list[str]] | None:
    """Return the unmatched candidate that is named alike and differs least, with the settings in which it differs, or None.

    Where no setting differs, what differs is the content of the data or the weights, which the match key covers.
    """
    name = _name(before.match_key)
    alike = {key: differences(before.trial, repeats[0].trial) for key, repeats in unmatched.items() if _name(key) == name}
    return min(alike.items(), key=lambda item: len(item[1])) if alike else None


def differences(before: Trial, after: Trial) -> list[str]:
    """Return the settings that make two trials different work, such as ``model.sleep_ms 2.0 -> 2.2``; paths are none."""
    here, there = (dict(_settings(trial)) for trial in (before, after))
    keys = dict.fromkeys((*here, *there))
    return [f"{key} {here.get(key)} -> {there.get(key)}" for key in keys if here.get(key) != there.get(key)]


def why_not_comparable(before: BaselineTrial, loaded: Sequence[TrialData]) -> str | None:
    """Return what keeps the figures of two matched trials from being held against each other, or None."""
    theirs = digests_of(loaded)
    for name, whose in WHOSE.items():
        mine = before.digests.get(name, ())
        if len({*mine, *theirs[name]}) > 1:
            return f"the {whose} differ"
    metric = loaded[0].metric
    if metric != before.metric:
        return f"the metric was {before.metric} and is {metric}"
    samples = loaded[0].times["total"].shape[1]
    return f"{before.samples} samples were measured before and {samples} now" if samples != before.samples else None


def _name(key: str) -> str:
    """Return a match key without its hash."""
    return key.rpartition("-")[0]


def _settings(trial: Trial) -> Iterator[tuple[str, Any]]:
    for block, left_out in NO_WORK.items():
        settings = getattr(trial, block)
        yield from ((f"{block}.{name}", value) for name, value in settings.model_dump(mode="json", exclude=left_out).items())
        if isinstance(settings, Target):
            yield from ((f"{block}.{name}", value) for name, value in settings.options.items() if not _is_path(value))


def _is_path(value: Any) -> bool:
    return isinstance(value, str) and "/" in value
