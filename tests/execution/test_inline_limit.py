"""In one process a round cannot be cut off: one that took longer than it may has failed once it has ended."""

from __future__ import annotations

import time

import pytest

from orchestrator.running.inline import InlineJob


def test_a_round_that_took_longer_than_it_may_has_failed() -> None:
    with pytest.raises(TimeoutError, match=r"its rounds took .* s and may take 0.001 s: raise measurement.round_timeout_s"):
        InlineJob(lambda: time.sleep(0.002), limited=True).result(0.001)


@pytest.mark.parametrize(("limited", "timeout"), [(False, 0.001), (True, None), (True, 600.0)])
def test_what_prepares_or_keeps_its_time_brings_its_result(limited: bool, timeout: float | None) -> None:
    assert InlineJob(lambda: time.sleep(0.002) or 7, limited).result(timeout) == 7
