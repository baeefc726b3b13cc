"""The text of ``campaign.json``, put together from the texts of its trials, so that one trial's new state costs no more than that trial."""

from __future__ import annotations

from collections.abc import Iterable

from orchestrator.storage.atomic import json_text
from orchestrator.storage.records import CampaignRecord, PlannedTrial
from orchestrator.storage.seal import sealed_json

NO_TRIALS = '\n "trials": []'
"""How an empty list reads at this depth; no text within the document holds a line break."""


def trial_text(planned: PlannedTrial) -> str:
    """Return one trial as it stands in the list of trials."""
    return "  " + json_text(planned.model_dump(mode="json")).replace("\n", "\n  ")


def campaign_text(record: CampaignRecord, trials: Iterable[str]) -> str:
    """Return the sealed text of a record whose trials have these texts; its own are not looked at."""
    texts = ",\n".join(trials)
    rest = json_text(record.model_copy(update={"trials": ()}).model_dump(mode="json"))
    return sealed_json(rest.replace(NO_TRIALS, f'\n "trials": [\n{texts}\n ]', 1) if texts else rest)
