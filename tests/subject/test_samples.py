import math
from collections import Counter
from fractions import Fraction

import numpy as np
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from null_trials import null_trial
from refusals import refused

from orchestrator.configuration.config import Trial
from orchestrator.contracts import Sample, doubling_range
from orchestrator.measurement.failures import Stamps
from orchestrator.measurement.last_words import rounds_left
from orchestrator.running.attempt import MOST_AT_ONCE
from orchestrator.running.trial_judge import clocks
from orchestrator.stats.times import Clock
from orchestrator.storage.handover import Rounds
from orchestrator.subject.samples import (
    batch_numbers,
    batches_of_round,
    batches_that_ran,
    draw_subset,
    first_of_batches,
    in_order,
    share_out,
    slices_offered,
    turns_of,
)


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


sizes_of = st.dictionaries(st.text(max_size=3), st.integers(1, 40), min_size=1, max_size=12)


def samples_of(sizes: dict[str, int]) -> list[Sample]:
    return [Sample(f"{stratum}-{number}", None, stratum, payload=b"") for stratum, size in sizes.items() for number in range(size)]


@given(sizes_of, st.integers(0, 500), st.integers(0, 5))
def test_quotas_are_the_exact_shares_rounded_and_sum_up(sizes: dict[str, int], limit: int, seed: int) -> None:
    quotas = share_out(limit, sizes, seed)
    total = sum(sizes.values())
    assert sum(quotas.values()) == min(limit, total)
    for stratum, size in sizes.items():
        exact = Fraction(min(limit, total) * size, total)
        assert math.floor(exact) <= quotas[stratum] <= math.ceil(exact) <= size


@given(sizes_of, st.integers(1, 300), st.integers(0, 5), st.randoms())
def test_a_subset_keeps_order_and_shares_and_depends_on_names_alone(sizes: dict[str, int], limit: int, seed: int, shuffle: object) -> None:
    samples = samples_of(sizes)
    drawn = draw_subset(samples, limit, seed)
    assert len(drawn) == min(limit, len(samples))
    assert drawn == [sample for sample in samples if sample in drawn]
    assert Counter(sample.stratum for sample in drawn) == Counter(
        {stratum: count for stratum, count in share_out(limit, sizes, seed).items() if count}
    )
    mixed = list(samples)
    shuffle.shuffle(mixed)  # type: ignore[attr-defined]
    assert {sample.name for sample in draw_subset(mixed, limit, seed)} == {sample.name for sample in drawn}


def test_no_limit_takes_everything() -> None:
    samples = samples_of({"a": 3, "b": 2})
    assert draw_subset(samples, None, 0) == draw_subset(samples, 5, 0) == draw_subset(samples, 99, 1) == samples


def test_a_seed_draws_the_same_samples_on_any_machine() -> None:
    samples = samples_of({"a": 100, "b": 100})
    assert [sample.name for sample in draw_subset(samples, 4, seed=7)] == ["a-46", "a-70", "b-46", "b-76"]
    assert draw_subset(samples, 4, seed=8) != draw_subset(samples, 4, seed=7)


def test_every_sample_is_as_likely_as_the_others() -> None:
    samples = samples_of({"a": 20})
    counts = Counter(sample.name for seed in range(2000) for sample in draw_subset(samples, 5, seed))
    expected, sd = 500, math.sqrt(2000 * 0.25 * 0.75)
    assert all(abs(counts[sample.name] - expected) < 5 * sd for sample in samples)


@given(st.floats(0, 1e12))
def test_a_number_lies_in_its_range_which_reaches_to_twice_the_one_before(number: float) -> None:
    low, _, high = doubling_range(number).partition("-")
    assert int(low) - 1 <= number <= int(high or low)
    assert not high or int(high) == 2 * (int(low) - 1)


@given(st.lists(st.floats(0, 1e9), max_size=30))
def test_ranges_stand_in_the_order_of_their_numbers(numbers: list[float]) -> None:
    assert in_order(map(doubling_range, numbers)) == list(dict.fromkeys(map(doubling_range, sorted(numbers))))


def test_names_of_any_text_have_an_order() -> None:
    names = ["b2", "b10", "", "٣", "9" * 50, "a", "10", "9"]
    assert in_order(names) == in_order(reversed(names))
    assert in_order(["b10", "b2", "10", "9"]) == ["9", "10", "b2", "b10"]


@pytest.mark.parametrize(
    ("kind", "metrics", "offered"),
    [
        ("image_classification", ["top1"], {"own", "size"}),
        ("object_detection", ["map", "map50"], {"own", "size", "area", "class"}),
        ("multiple_choice", ["accuracy", "of another package"], {"own"}),
    ],
)
def test_what_a_task_offers_follows_from_samples_kind_and_metrics(kind: str, metrics: list[str], offered: set[str]) -> None:
    assert slices_offered(["own"], kind, metrics) == offered


def test_samples_of_a_sequence_stand_together() -> None:
    with refused("invalid", value="a"):
        turns_of(["a", "b", "a"])
