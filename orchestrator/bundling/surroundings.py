"""What a campaign was measured on and with: machines, placement, stacks and code, as its trials recorded them."""

import json
from collections.abc import Sequence
from typing import Any

from orchestrator.storage.records import CampaignRecord, TrialRecord

MACHINE = (
    "host", "boot_id", "processor", "logical_cores", "physical_cores", "memory_bytes", "governor", "turbo", "clock",
)  # fmt: skip
"""What a trial records of its machine that does not change while it is measured."""


def environment_of(campaign: CampaignRecord, trials: Sequence[TrialRecord]) -> dict[str, Any]:
    """Return as plain values each machine with each stack once, where on it which trials were measured, and the code that did it."""
    places: dict[str, dict[str, Any]] = {}
    for record in trials:
        if record.started_at is not None:
            machine = {name: record.environment.get(name) for name in MACHINE}
            place = {"machine": machine, "stack": record.stack}
            found = places.setdefault(json.dumps(place, sort_keys=True, default=str), {**place, "trials": {}})
            rest = {name: value for name, value in record.environment.items() if name not in MACHINE}
            found["trials"][record.trial_id] = {"placement": record.placement, "environment": rest}
    return {
        "measured_with": {"version": campaign.code_version, "code_digest": campaign.code_digest, "code_files": campaign.code_files},
        "command": list(campaign.command),
        "places": list(places.values()),
    }
