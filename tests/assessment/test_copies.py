"""What was measured once counts once, in however many campaigns it lies."""

from datetime import UTC, datetime
from typing import Any

import numpy as np
from built_trials import build_trial
from held import QUICK, hold, hold_all, only
from numpy.typing import NDArray

from orchestrator.analysis.trial_data import TrialData
from orchestrator.storage.records import Process

ASKED: dict[str, Any] = {"tail_quality": {"threshold": "20 ms", "at_least": 0.9}}


def on(day: int, times: NDArray[np.float64], repeat: int = 0) -> TrialData:
    process = Process(process=0, pid=1, host="h", started_at=datetime(2026, 5, day, tzinfo=UTC))
    visits = np.arange(len(times), dtype=np.int32)
    return build_trial("one", times, visits=visits, repeat=repeat, processes=(process,), measurement={"rule": "rounds", "max_rounds": 60})


def test_a_copied_campaign_is_no_second_session_whatever_its_record_says() -> None:
    """The copy's record was changed to another day, and its times were not."""
    found = hold_all([[on(1, QUICK)], [on(2, QUICK)]], **ASKED, evidence={"sessions": 2})
    finding = only(found.assessed[0])
    assert (finding.verdict, finding.basis["sessions"], finding.basis["processes"], finding.basis["rounds"]) == ("not shown", 1, 1, 60)
    assert len(found.remarks) == 1


def test_a_campaign_that_went_on_after_it_was_copied_is_read_in_its_longer_form() -> None:
    found = hold_all([[on(1, QUICK[:40])], [on(1, QUICK)]], **ASKED)
    assert only(found.assessed[0]).basis["rounds"] == 60
    assert len(found.remarks) == 1


def test_one_trial_under_two_numbers_is_no_second_process() -> None:
    found = hold_all([[on(1, QUICK), on(1, QUICK, repeat=1)]], **ASKED, evidence={"processes": 2})
    assert only(found.assessed[0]).basis["processes"] == 1


def test_trials_that_differ_in_one_nanosecond_are_two() -> None:
    other = QUICK.copy()
    other[-1, -1] += 1e-6
    assert only(hold([on(1, QUICK)], [on(2, other)], **ASKED, evidence={"sessions": 2})).verdict == "met"
