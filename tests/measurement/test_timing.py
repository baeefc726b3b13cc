from __future__ import annotations

import faulthandler
import mmap
import os
import re
import resource
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from orchestrator.measurement.scratch import Scratch, read_scratch
from orchestrator.measurement.timing import Stages, run_batches


class FakeClock:
    """Moves by what the stages say they take, and by one more ns per reading."""

    def __init__(self) -> None:
        self.now = 1_000

    def __call__(self) -> int:
        self.now += 1
        return self.now

    def stage(self, takes_ns: int, result: Callable[[object], object]) -> Callable[[object], object]:
        def call(value: object) -> object:
            self.now += takes_ns
            return result(value)

        return call


def same(value: object) -> object:
    return value


@pytest.fixture
def scratch(tmp_path: Path) -> Scratch:
    made = Scratch(tmp_path / "stamps", batches=3)
    made.begin(0, 5, 6)
    return made


def test_each_stage_is_timed_by_its_own_stamps(scratch: Scratch) -> None:
    clock = FakeClock()
    stages = Stages(clock.stage(10, same), clock.stage(100, same), clock.stage(1_000, same))

    answers, errors = run_batches([["a"], ["b"], ["c"]], stages, scratch.stamps, clock)

    assert answers == [["a"], ["b"], ["c"]]
    assert errors == {}
    np.testing.assert_array_equal(np.diff(scratch.array(), axis=1), [[11, 101, 1_001]] * 3)
    assert scratch.array()[1, 0] - scratch.array()[0, 3] == 1


def test_a_batch_that_raises_is_recorded_and_the_next_goes_on(scratch: Scratch) -> None:
    clock = FakeClock()

    def infer(batch: object) -> object:
        if batch == ["b"]:
            raise RuntimeError("bad input\nwith more lines")
        return batch

    answers, errors = run_batches([["a"], ["b"], ["c"]], Stages(same, infer, same), scratch.stamps, clock)

    assert answers == [["a"], None, ["c"]]
    assert list(errors) == [1]
    assert re.fullmatch(r"RuntimeError: bad input \(test_timing.py, line \d+, in infer\)", errors[1])
    stamps = scratch.array()
    assert stamps[1, :3].tolist() == [0, 0, 0]
    assert stamps[0, 3] < stamps[1, 3] < stamps[2, 0]


@pytest.mark.skipif(not hasattr(mmap, "MADV_DONTFORK"), reason="the system cannot keep memory from a fork")
def test_a_copy_of_the_process_that_a_model_forks_writes_no_stamps(scratch: Scratch) -> None:
    def forks(batch: object) -> object:
        nonlocal copy
        if batch == ["b"] and not (copy := os.fork()):
            faulthandler.disable()
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            try:
                run_batches([["x"]], Stages(same, same, same), scratch.stamps, lambda: 7)
            finally:
                os._exit(0)
        return batch

    copy = 0
    run_batches([["a"], ["b"], ["c"]], Stages(same, forks, same), scratch.stamps, FakeClock())
    assert os.WTERMSIG(os.waitpid(copy, 0)[1]) == signal.SIGSEGV
    assert scratch.array()[0].tolist() == [1_001, 1_002, 1_003, 1_004]


@pytest.mark.parametrize("bad", [{0}, {2}, {0, 1, 2}])
def test_any_batches_may_raise(scratch: Scratch, bad: set[int]) -> None:
    def preprocess(batch: object) -> object:
        if batch in bad:
            raise ValueError
        return [batch]

    answers, errors = run_batches([0, 1, 2], Stages(preprocess, same, same), scratch.stamps, FakeClock())

    assert {number: message.partition(" (")[0] for number, message in errors.items()} == dict.fromkeys(bad, "ValueError")
    assert [answer is None for answer in answers] == [number in bad for number in range(3)]


def test_keyboard_interrupt_is_no_fault_of_a_sample(scratch: Scratch) -> None:
    def infer(batch: object) -> object:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_batches([["a"]], Stages(same, infer, same), scratch.stamps, FakeClock())


def test_what_a_killed_process_leaves_can_be_read(scratch: Scratch) -> None:
    clock = FakeClock()

    def infer(batch: object) -> object:
        if batch == ["c"]:
            raise KeyboardInterrupt
        return batch

    scratch.begin(7, 50, 60)
    with pytest.raises(KeyboardInterrupt):
        run_batches([["a"], ["b"], ["c"]], Stages(same, infer, same), scratch.stamps, clock)

    left = read_scratch(scratch.path)
    assert left is not None
    assert (left.round, left.monotonic_ns, left.wall_ns, left.origin_ns) == (7, 50, 60, 0)
    assert (left.stamps[:2] > 0).all()
    assert (left.stamps[2] == 0).all()


def test_a_new_round_starts_from_zeros(scratch: Scratch) -> None:
    run_batches([["a"], ["b"], ["c"]], Stages(same, same, same), scratch.stamps, FakeClock())
    scratch.begin(1, 0, 0)
    assert not scratch.array().any()
