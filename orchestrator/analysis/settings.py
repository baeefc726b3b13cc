"""What tells trials apart whose names do not: the settings in which they differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from orchestrator.analysis.trial_data import TrialData

NAMED = ("model.name", "task.name", "system.name", "runtime.name", "measurement.batch", "repeat")
"""Settings that every table shows."""


def telling_settings(trials: Sequence[TrialData]) -> dict[str, str]:
    """Return per trial id the settings in which it differs from others of equal names, as on the command line; empty where none do."""
    settings = {data.trial_id: dict(_flattened(data.record.trial.model_dump(mode="json"))) for data in trials}
    alike: dict[tuple[Any, ...], list[str]] = {}
    for trial_id, of_trial in settings.items():
        alike.setdefault(tuple(of_trial.get(key) for key in NAMED), []).append(trial_id)
    told = {}
    for members in alike.values():
        keys = sorted({key for trial_id in members for key in settings[trial_id]})
        differing = [key for key in keys if len({str(settings[trial_id].get(key)) for trial_id in members}) > 1]
        for trial_id in members:
            told[trial_id] = ", ".join(f"{key}={settings[trial_id].get(key)}" for key in differing)
    return told


def _flattened(document: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield dotted keys and values; the options of a target stand beside its other keys, as in its YAML."""
    for key, value in document.items():
        if isinstance(value, Mapping):
            yield from _flattened(value, prefix if key == "options" else f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", "null" if value is None else value
