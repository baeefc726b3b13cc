"""Built trials held against one requirement."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pytest
from built_trials import build_trial
from numpy.typing import NDArray

from orchestrator.analysis.groups import grouped
from orchestrator.analysis.trial_data import TrialData
from orchestrator.assessment.assess import Assessed, Assessment, assess
from orchestrator.assessment.kinds import Outcome
from orchestrator.assessment.requirements import Requirements
from orchestrator.assessment.subjects import Session
from orchestrator.configuration.analysis import AnalysisConfig
from orchestrator.storage.records import CampaignRecord, TrialRecord

QUICK = 10 * np.random.default_rng(7).lognormal(0, 0.1, (60, 20))
"""Total times in ms of 60 rounds of 20 samples, around 10 ms."""


class Case(NamedTuple):
    """Trials, what is asked of them, the verdict, and figures of the finding on the one system there is."""

    trials: Sequence[TrialData]
    asked: Mapping[str, Any]
    verdict: str
    figures: Mapping[str, Any] = MappingProxyType({})


def by_law(laws: Mapping[str, Sequence[Case]]) -> Any:
    """Return the mark of a test that is given each case, under the name of its law."""
    return pytest.mark.parametrize("case", [pytest.param(case, id=law) for law, cases in laws.items() for case in cases])


def check(case: Case) -> None:
    """Fail where a case has another verdict or other figures."""
    found = hold(case.trials, **case.asked)
    assert found.verdict == case.verdict
    for name, value in case.figures.items():
        assert getattr(only(found), name) == value


def measured(times: NDArray[np.float64], system: str = "one", **how: Any) -> TrialData:
    """A trial whose number of rounds was fixed beforehand, each a visit of its own."""
    rounds = len(times)
    how.setdefault("visits", np.arange(rounds, dtype=np.int32))
    measurement = {"rule": "rounds", "min_rounds": rounds, "max_rounds": rounds, "certify_rounds": rounds, **how.pop("measurement", {})}
    return build_trial(system, times, measurement=measurement, stopped="max_rounds", **how)


def session_of(trials: Sequence[TrialData], lost: Sequence[TrialRecord] = ()) -> Session:
    """A campaign of these trials, and of others of which no round is stored."""
    analysis = AnalysisConfig(seed=0)
    record = CampaignRecord(code_version="1", name="built")
    return Session(record, (*(data.record for data in trials), *lost), grouped(trials, analysis))


def hold_all(sessions: Sequence[Sequence[TrialData]], lost: Sequence[TrialRecord] = (), **entry: Any) -> Assessment:
    """Hold trials of one or more campaigns against one requirement; each campaign lost some, too."""
    found = Requirements.model_validate({"requirements": [{"id": "R", "text": "asked", **entry}]})
    return assess(found, [session_of(trials, lost) for trials in sessions])


def hold(*sessions: Sequence[TrialData], **entry: Any) -> Assessed:
    """Hold trials of one or more campaigns against one requirement."""
    [assessed] = hold_all(sessions, **entry).assessed
    return assessed


def only(assessed: Assessed) -> Outcome:
    """Return the finding on the one system there is."""
    [finding] = assessed.findings
    assert finding.verdict == assessed.verdict
    return finding
