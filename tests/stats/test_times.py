"""What clocks count, and in which order they are shown."""

from __future__ import annotations

import numpy as np
import pytest

from orchestrator.contracts import InputError
from orchestrator.stats.times import LOAD_CLOCKS, SERVICE_CLOCKS, STAGES_OF, Clock, checked_times, primary_of, shown


def test_a_clock_is_the_sum_of_its_stages() -> None:
    assert Clock.INFERENCE.stages == ("inference_ns",)
    assert Clock.TOTAL.stages == ("preprocess_ns", "inference_ns", "postprocess_ns")
    assert Clock.RESPONSE.stages == ("queue_ns", *Clock.TOTAL.stages)
    assert Clock.FIRST_TOKEN.stages == ("queue_ns", "preprocess_ns", "first_token_ns")
    assert Clock.PER_TOKEN.stages == ()
    assert STAGES_OF.keys() == set(Clock)


def test_the_response_counts_first_where_samples_arrive_by_a_schedule() -> None:
    assert (primary_of(SERVICE_CLOCKS), primary_of(LOAD_CLOCKS)) == (Clock.TOTAL, Clock.RESPONSE)
    assert shown(SERVICE_CLOCKS) == (Clock.TOTAL, Clock.INFERENCE)
    assert shown(LOAD_CLOCKS) == (Clock.RESPONSE, Clock.TOTAL, Clock.INFERENCE)


def test_times_keep_their_type_and_must_be_positive_numbers() -> None:
    assert checked_times(np.array([3, 5], dtype=np.int32)).dtype == np.int64
    assert checked_times([3.5, np.inf]).tolist() == [3.5, np.inf]
    assert checked_times([]).size == 0
    for wrong, says in (([0], "a time of 0 ns"), ([5, -1], "a time of -1 ns"), ([np.nan, 1.0], "a time of nan")):
        with pytest.raises(InputError, match=says):
            checked_times(wrong)
