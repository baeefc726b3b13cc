import numpy as np
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from null_trials import null_trial
from refusals import refused

from orchestrator.configuration.config import Trial
from orchestrator.measurement.failures import Stamps
from orchestrator.measurement.last_words import rounds_left
from orchestrator.running.attempt import MOST_AT_ONCE
from orchestrator.running.trial_judge import clocks
from orchestrator.stats.times import Clock
from orchestrator.storage.handover import Rounds
from orchestrator.subject.samples import batch_numbers, batches_of_round, batches_that_ran, first_of_batches


def make(batch: int, order: str = "fixed") -> Trial:
    return null_trial(measurement={"batch": batch, "order": order})


@settings(max_examples=50, deadline=None)
@given(samples=st.integers(1, 40), batch=st.integers(1, 9), order=st.sampled_from(["fixed", "shuffled"]), number=st.integers(0, 99))
def test_every_sample_is_in_one_batch_and_every_batch_gives_one_time(samples: int, batch: int, order: str, number: int) -> None:
    trial = make(batch, order)
    batches = batches_of_round(trial, samples, number)
    assert sorted(sample for members in batches for sample in members) == list(range(samples))
    assert {len(members) for members in batches[:-1]} <= {batch}
    of_sample = batch_numbers(trial, samples, number)
    assert all(of_sample[sample] == place for place, members in enumerate(batches) for sample in members)
    of_batch = np.arange(1.0, len(batches) + 1)
    [first] = first_of_batches(trial, [number], of_batch[of_sample][None], np.array([False]))
    assert of_batch[of_sample][first].tolist() == of_batch.tolist()


def test_samples_of_a_batch_with_different_times_are_refused() -> None:
    with refused("damaged"):
        first_of_batches(make(2), [7], np.array([[5.0, 5.0, 6.0, 7.0]]), np.array([False]))


@pytest.mark.parametrize("order", ["fixed", "shuffled"])
@pytest.mark.parametrize("ahead", [0, 3, 2 * MOST_AT_ONCE])
def test_a_round_that_a_dead_process_left_gives_one_time_per_inference(order: str, ahead: int) -> None:
    trial, samples, stored = make(4, order), 22, 30
    stamps = np.zeros((6, 4), dtype=np.int64)
    stamps[:4] = 100 * np.arange(1, 5)[:, None] + np.arange(4) * np.arange(1, 5)[:, None]  # the fifth batch never came back
    left = Stamps(stored + ahead, 1, 1, stamps)
    result: Rounds = rounds_left(trial, left, stored, samples, 0, "timeout", "hung")
    assert pc.sum(pc.equal(result.timings.column("outcome"), "ok")).as_py() == 16
    of_samples, of_inferences = clocks(trial, result)
    [inference_ns], [total_ns] = of_inferences.values()
    assert inference_ns.tolist() == [1, 2, 3, 4, np.inf, np.inf]
    assert total_ns.tolist() == [3, 6, 9, 12, np.inf, np.inf]
    batches = batches_that_ran(trial, stored, of_samples[Clock.TOTAL][0], incomplete=True)
    assert batches == batches_of_round(trial, samples, stored + ahead)
