"""Records of trials as campaigns of before have left them."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from null_trials import named

from orchestrator.storage.files import write_json
from orchestrator.storage.records import State, TrialRecord


def store(campaign: Path, trial: str, seconds: float, day: int = 1, state: State = "done") -> Path:
    """Write the record of a trial that took so long, beside a campaign.json that holds nothing, and return its path."""
    path = campaign / "trials" / trial / "trial.json"
    path.parent.mkdir(parents=True)
    (campaign / "campaign.json").write_text("{}")
    planned = named(trial, measurement={"schedule": "sequential"}).with_state(state, None)
    began = datetime(2026, 1, day, tzinfo=UTC)
    record = TrialRecord.from_plan(planned).model_copy(update={"started_at": began, "ended_at": began + timedelta(seconds=seconds)})
    write_json(path, record.model_dump(mode="json"))
    return path
