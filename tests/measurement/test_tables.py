"""Stamps become rows; in a stream every arrival has one fate, whether the process lived or was killed."""

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from null_trials import null_trial
from virtual_clock import VirtualClock

from orchestrator.configuration.config import Trial
from orchestrator.contracts import Reply, Sample
from orchestrator.measurement import round_tables
from orchestrator.measurement.failures import Stamps, TrialFailed
from orchestrator.measurement.last_words import rounds_left
from orchestrator.measurement.load_loop import Service, serve
from orchestrator.measurement.round_tables import Stream, Timed
from orchestrator.measurement.timing import DROPPED, IN_FLIGHT, STAMPS, TIMED_OUT, Stages
from orchestrator.storage import schema
from orchestrator.subject.schedule import Schedule, schedule_of

TWO_BATCHES = np.array([[100, 110, 130, 160], [170, 190, 220, 260]], dtype=np.int64)
REPLIES = [
    Reply({}, b"", [], 110, 115, 130, first_token_ns=120, last_token_ns=128, tokens=3, gaps_ns=[4, 4]),
    Reply({}, b"", [], 190, 200, 220),
]


def test_all_samples_of_a_batch_carry_its_times() -> None:
    batch = round_tables.timings_batch([Timed(3, TWO_BATCHES, [[2, 0], [1]], {}, [7, 9], REPLIES)])

    assert batch.schema.equals(schema.TIMINGS)
    expected = {
        "round": [3, 3, 3],
        "sample": [0, 1, 2],
        "preprocess_ns": [10, 20, 10],
        "inference_ns": [20, 30, 20],
        "postprocess_ns": [30, 40, 30],
        "start_gap_ns": [None, 10, None],
        "outcome": ["ok"] * 3,
        "cuda_inference_ns": [7, 9, 7],
        "headers_ns": [5, 10, 5],
        "first_token_ns": [10, None, 10],
        "last_token_ns": [18, None, 18],
        "tokens": [3, None, 3],
        "token_gaps_ns": [[4, 4], None, [4, 4]],
    }
    assert batch.select([*expected]).to_pydict() == expected


def test_a_sample_that_raised_has_no_durations() -> None:
    stamps = TWO_BATCHES.copy()
    stamps[0, :3] = 0

    batch = round_tables.timings_batch([Timed(0, stamps, [[0], [1]], {0: "ValueError"}, replies=[REPLIES[0], None])])
    expected = {
        "cuda_inference_ns": [None, None],
        "outcome": ["error", "ok"],
        "inference_ns": [None, 30],
        "start_gap_ns": [None, 10],
        "headers_ns": [None, None],
        "token_gaps_ns": [None, None],
    }
    assert batch.select([*expected]).to_pydict() == expected


@pytest.mark.parametrize(
    ("stamps", "fate"),
    [
        ([5, 6, 7, 8], "ok"),
        ([0, 0, 0, 8], "error"),
        ([0, TIMED_OUT, 0, 8], "timeout"),
        ([5, 0, 0, DROPPED], "dropped"),
        ([5, 6, 0, 0], "lost"),
        ([5, 6, 0, IN_FLIGHT], "error"),
    ],
)
def test_every_arrival_has_one_fate(stamps: list[int], fate: str) -> None:
    for others in ([], [[1, 2, 3, 4]]):
        assert schema.OUTCOMES[round_tables.outcomes_of(np.array([*others, stamps]))[-1]] == fate


def test_rounds_together_are_what_each_is_alone() -> None:
    same, other = [[0, 3], [1, 2]], [[2, 1], [3, 0]]
    rounds = [
        Timed(4, TWO_BATCHES, other, cuda_ns=[7, 9]),
        Timed(5, TWO_BATCHES + 200, same, {1: "an answer of another form"}),
        Timed(6, TWO_BATCHES + 500, same, cuda_ns=[3, 5]),
        Timed(7, TWO_BATCHES + 900, other),
        Timed(8, TWO_BATCHES + 1300, same),
    ]
    together = round_tables.timings_batch(rounds).to_pylist()
    assert together == [row for one in rounds for row in round_tables.timings_batch([one]).to_pylist()]
    assert [row["outcome"] for row in together[4:8]] == ["ok", "error", "ok", "ok"]


def test_answers_are_spread_over_samples() -> None:
    spread = round_tables.spread([[2, 0], [1]], [np.array(["c", "a"]), None], {1: "boom"})
    assert spread == (["a", None, "c"], {1: "boom"})
    with pytest.raises(TrialFailed, match="1 answers for 2 samples"):
        round_tables.spread([[0, 1]], [["a"]], {})


def test_only_other_answers_are_kept() -> None:
    changed = round_tables.changed_answers("image_classification", [[1], [2], [3]], [[1], [5], None], {2: "boom"})
    assert changed is not None
    assert changed.to_pydict() == {"sample": [1], "prediction": [[5]]}
    assert round_tables.changed_answers("image_classification", [[1]], [[1]], {}) is None


def test_samples_carry_reference_answer_and_slices() -> None:
    samples = [
        Sample("a.jpg", 3, "3", {"class": "cat"}, payload=b"x"),
        Sample("b.jpg", 4, "4", {"size": "small"}, payload=b"y"),
    ]
    table = round_tables.samples_table("image_classification", samples, [[3, 1], None], [10, 20])
    assert table.column("prediction").type == pa.list_(pa.int32())
    assert table.to_pydict() == {
        "sample": [0, 1],
        "name": ["a.jpg", "b.jpg"],
        "reference": [3, 4],
        "prediction": [[3, 1], None],
        "input_size": [10, 20],
        "slice_class": ["cat", None],
        "slice_size": [None, "small"],
    }


SAMPLES = 7


ORIGIN = 1_000


def trial(**load: Any) -> Trial:
    return null_trial(load={"name": "poisson", "rate_per_s": 10, "stream_s": 3, **load})


class Killed(KeyboardInterrupt):
    """Ends the loop where it stands, as a kill does: nothing of ours runs after it."""


def stream(service: Service, seed: int, kill_at: int | None = None, raises: int | None = None) -> tuple[Trial, Schedule, np.ndarray, bool]:
    """Serve a stream on a virtual clock; ``kill_at`` is the inference during which the process dies."""
    of, clock = trial(seed=seed), VirtualClock(np.random.default_rng(seed).integers(20, 200, 10_000) * 1_000_000)
    schedule = schedule_of(of, SAMPLES, 0)
    count, seen = schedule.moments_ns.size, 0
    stamps = memoryview(bytearray(8 * STAMPS * count)).cast("q")
    stages = clock.stages

    def infer(batch: Any) -> Any:
        nonlocal seen
        seen += 1
        if seen == kill_at:
            raise Killed
        outputs = stages.infer(batch)
        if seen == raises:
            raise RuntimeError("bad sample")
        return outputs

    clock.now = 1
    due = (schedule.moments_ns + ORIGIN).tolist()
    try:
        serve(due, range(count), Stages(stages.preprocess, infer, stages.postprocess), stamps, service, clock, clock.wait_until)
        killed = False
    except Killed:
        killed = True
    return of, schedule, np.array(stamps, dtype=np.int64).reshape(-1, STAMPS), killed


services = st.builds(
    Service,
    policy=st.sampled_from(["queue", "newest", "skip_late"]),
    most=st.integers(1, 3),
    batch_wait_ns=st.sampled_from([0, 50_000_000]),
    deadline_ns=st.just(150_000_000),
    queue_limit=st.one_of(st.none(), st.integers(1, 5)),
    most_waiting=st.one_of(st.just(10**6), st.integers(2, 9)),
)


@given(services, st.integers(0, 10**6), st.one_of(st.none(), st.integers(1, 20)))
def test_arrivals_are_conserved(service: Service, seed: int, raises: int | None) -> None:
    """arrivals = ok + error + timeout + dropped + lost, in the ramp and in every round."""
    _, schedule, stamps, _ = stream(service, seed, raises=raises)
    found = Stream(schedule, stamps, ORIGIN, never="dropped")
    found.refuse_impossible()
    stored = found.rounds(0, schedule.rounds, (10**18, 0), {"process": 0, "visit": 3}, {})
    ramp, whole = stored.ramp, stored.timings
    assert ramp is not None
    rounds = [whole.slice(SAMPLES * number, SAMPLES) for number in range(schedule.rounds)]
    assert ramp.num_rows + sum(rows.num_rows for rows in rounds) == schedule.moments_ns.size
    assert {*ramp.column("ramp").to_pylist()} <= {True}
    assert all(rows.column("sample").to_pylist() == list(range(SAMPLES)) for rows in rounds)
    outcomes = [outcome for rows in (ramp, *rounds) for outcome in rows.column("outcome").to_pylist()]
    served, started = stamps[:, 3] > 0, stamps[:, 0] > 0
    assert [outcomes.count(name) for name in ("ok", "error", "dropped")] == [
        (served & started).sum(),
        (served & ~started).sum(),
        (~served).sum(),
    ]
    assert min(stored.rows.column("duration_ns").to_pylist()) >= 0


@given(services, st.integers(0, 10**6), st.integers(1, 40))
def test_what_a_killed_process_leaves_has_every_arrivals_fate(service: Service, seed: int, kill_at: int) -> None:
    of, schedule, stamps, killed = stream(service, seed, kill_at=kill_at)
    if not killed:
        return
    left = Stamps(round=5, monotonic_ns=77, wall_ns=10**18, stamps=stamps, origin_ns=ORIGIN)
    assert not left.finished
    rounds = rounds_left(of, left, 9, SAMPLES, process=1, in_flight="timeout", message="hung", visit=0)
    assert rounds.numbers == list(range(9, 9 + len(rounds.numbers)))
    outcomes, ramp = rounds.timings.column("outcome").to_pylist(), rounds.ramp
    assert ramp is not None
    everything = [*ramp.column("outcome").to_pylist(), *outcomes]
    assert len(everything) == schedule.ramp + SAMPLES * len(rounds.numbers)
    assert 1 <= everything.count("timeout") <= service.most
    kept = stamps[: len(everything)]
    assert everything.count("ok") == int((kept[:, 0] > 0).sum())
    assert rounds.rows.column("incomplete")[-1].as_py()
    assert {*rounds.rows.column("overloaded").to_pylist()} == {False}
    assert sum(map(len, rounds.errors.values())) == outcomes.count("timeout")


def test_rows_hold_arrival_wait_and_stages() -> None:
    schedule = Schedule(np.array([0, 10, 20, 30]), np.array([1, 0, 1, 0]), ramp=0, round_size=2)
    stamps = np.array([[1000, 1005, 1025, 1030], [1030, 1031, 1041, 1042], [0, 0, 0, -1], [1050, 1051, 1052, 1053]])
    found = Stream(schedule, stamps, ORIGIN)
    stored = found.rounds(4, 2, (10**18, 7), {"process": 0, "visit": 0}, {})
    rows = stored.timings.to_pylist()
    first, second = rows[:2], rows[2:]
    assert [(row["sample"], row["arrival_ns"], row["queue_ns"], row["inference_ns"]) for row in first] == [(0, 10, 20, 10), (1, 0, 0, 20)]
    assert (second[1]["outcome"], second[1]["arrival_ns"], second[1]["queue_ns"]) == ("dropped", 20, None)
    assert (second[0]["start_gap_ns"], second[0]["queue_ns"], second[0]["round"]) == (8, 20, 5)
    assert found.ends_ns.tolist() == [1000, 1042, 1053]
    together = replace(found, lanes=2).rounds(4, 2, (10**18, 0), {"process": 0, "visit": 0}, {}).timings
    assert ([row["start_gap_ns"] for row in rows], together.column("start_gap_ns").null_count) == ([0, None, 8, None], 4)
    expected = {
        "incomplete": [False, False],
        "started_monotonic_ns": [7, 49],
        "duration_ns": [42, 11],
        "stream_started_monotonic_ns": [7, 7],
    }
    assert stored.rows.select([*expected]).to_pydict() == expected
    assert [moment.timestamp() for moment in stored.rows.column("started_at").to_pylist()] == [10**9] * 2
    assert [found.last_round(arrived) for arrived in range(5)] == [0, 0, 0, 1, 1]


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [((1000, 1001, 1002, 1003), 1400, "starts 100 ns before it arrives"), ((1000, 1002, 1001, 1003), 1500, "batch 0 do not ascend")],
)
def test_a_stream_that_no_clock_can_time_is_refused(first: tuple[int, ...], second: int, said: str) -> None:
    schedule = Schedule(np.array([0, 500]), np.array([0, 1]), ramp=0, round_size=2)
    with pytest.raises(TrialFailed, match=said):
        Stream(schedule, np.array([first, range(second, second + 4)]), ORIGIN).refuse_impossible()
