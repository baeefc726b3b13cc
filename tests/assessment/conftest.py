from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from orchestrator.analysis.groups import grouped
from orchestrator.analysis.trial_data import TrialData
from orchestrator.assessment.assess import assess
from orchestrator.assessment.requirements import Requirements
from orchestrator.assessment.subjects import Session
from orchestrator.assessment.verdicts import Assessed, Finding
from orchestrator.configuration.config import AnalysisConfig
from orchestrator.storage.records import CampaignRecord

Held = Callable[..., Assessed]
FIXED = {"rule": "rounds"}


def session_of(trials: Sequence[TrialData]) -> Session:
    analysis = AnalysisConfig(seed=0)
    return Session(CampaignRecord(code_version="1", name="built"), tuple(data.record for data in trials), grouped(trials, analysis), analysis)


def hold(*sessions: Sequence[TrialData], **entry: Any) -> Assessed:
    """Hold trials of one or more campaigns against one requirement."""
    found = Requirements.model_validate({"requirements": [{"id": "R", "text": "asked", **entry}]})
    [assessed] = assess(found, [session_of(trials) for trials in sessions], resamples=999).assessed
    return assessed


def only(assessed: Assessed) -> Finding:
    [finding] = assessed.findings
    assert finding.verdict == assessed.verdict
    return finding


@pytest.fixture
def quick() -> np.ndarray[Any, Any]:
    """Total times in ms of 60 rounds of 20 samples, around 10 ms."""
    return 10 * np.random.default_rng(7).lognormal(0, 0.1, (60, 20))
