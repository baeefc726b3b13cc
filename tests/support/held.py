"""Built trials held against one requirement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from orchestrator.analysis.groups import grouped
from orchestrator.analysis.trial_data import TrialData
from orchestrator.assessment.assess import assess
from orchestrator.assessment.requirements import Requirements
from orchestrator.assessment.subjects import Session
from orchestrator.assessment.verdicts import Assessed, Finding
from orchestrator.configuration.config import AnalysisConfig
from orchestrator.storage.records import CampaignRecord


def session_of(trials: Sequence[TrialData]) -> Session:
    analysis = AnalysisConfig(seed=0)
    record = CampaignRecord(code_version="1", name="built")
    return Session(record, tuple(data.record for data in trials), grouped(trials, analysis), analysis)


def hold(*sessions: Sequence[TrialData], **entry: Any) -> Assessed:
    """Hold trials of one or more campaigns against one requirement."""
    found = Requirements.model_validate({"requirements": [{"id": "R", "text": "asked", **entry}]})
    [assessed] = assess(found, [session_of(trials) for trials in sessions], resamples=999).assessed
    return assessed


def only(assessed: Assessed) -> Finding:
    """Return the finding on the one system there is."""
    [finding] = assessed.findings
    assert finding.verdict == assessed.verdict
    return finding
