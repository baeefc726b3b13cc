"""What a campaign was measured on and with: machines, placement, stacks and code, as its trials recorded them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from orchestrator.storage.records import CampaignRecord, TrialRecord


def environment_of(campaign: CampaignRecord, trials: Sequence[TrialRecord]) -> dict[str, Any]:
    """Return as plain values each machine and stack once, with the trials that were measured there, and the code that did it."""
    places: dict[str, dict[str, Any]] = {}
    for record in trials:
        if record.started_at is not None:
            place = {"environment": record.environment, "placement": record.placement, "stack": record.stack}
            found = places.setdefault(json.dumps(place, sort_keys=True, default=str), {"trials": [], **place})
            found["trials"].append(record.trial_id)
    return {
        "measured_with": {"version": campaign.code_version, "code_digest": campaign.code_digest, "code_files": campaign.code_files},
        "command": list(campaign.command),
        "places": list(places.values()),
    }
