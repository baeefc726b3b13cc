"""A model that changes its own process after the warm-up: read back at the end, and told or refused."""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from null_trials import measure, null_document, null_trial, planned
from refusals import refused

from orchestrator.measurement.placement_read_back import placement_kept, read_own, refuse_other_cores
from orchestrator.measurement.worker import Worker
from orchestrator.running.trial_judge import placement_flags
from orchestrator.storage.records import TrialRecord

NICER = pytest.mark.skipif(os.nice(0) == 19, reason="no process is nicer than 19; run this at less")
SEVERAL = pytest.mark.skipif(os.cpu_count() == 1, reason="there is one core alone; run this on two or more")


@pytest.fixture
def meddled(null_targets: Path, tmp_path: Path) -> Callable[..., TrialRecord]:
    """Measure a model that does something to the thread that measures it, which ends with the trial."""

    def run(deed: str, at_round: int = 1) -> TrialRecord:
        model = {"name": "meddling", "target": "meddling_targets:MeddlingModel", "deed": deed, "results": "r", "at_round": at_round}
        (trial,) = planned(null_document(model=model, task={"count": 4}))
        return measure(tmp_path / "r", [trial]).trial(trial.trial_id)

    return run


def test_a_model_that_leaves_its_process_alone_has_no_flag(meddled: Callable[..., TrialRecord]) -> None:
    record = meddled("nothing")
    assert (record.state, record.flags_of_figures) == ("done", ())
    at_end = record.placement["at_end"]
    assert {name: record.placement[name] for name in read_own()} == {name: at_end[name] for name in read_own()}


@pytest.mark.parametrize(
    ("deed", "at_round", "changed"),
    [
        pytest.param("nice", 1, "niceness", marks=NICER),
        pytest.param("nice", -2, "niceness", marks=NICER),  # from its first inference on
        ("batch", 1, "scheduling policy"),
        pytest.param("cores", 1, "the thread that measures", marks=SEVERAL),
    ],
)
def test_what_a_model_changes_is_flagged(meddled: Callable[..., TrialRecord], deed: str, at_round: int, changed: str) -> None:
    record = meddled(deed, at_round)
    assert record.state == "done"
    (flag,) = record.flags_of_figures
    assert flag.startswith(changed)
    if deed == "nice":
        assert flag == f"niceness {os.nice(0)} at first and {os.nice(0) + 1} at the end"


def test_what_a_model_changes_while_it_loads_is_flagged() -> None:
    threads = {"framework_threads": {"torch": 4}}
    given = {"niceness": 0, "scheduling_policy": "SCHED_OTHER", "measuring_cores": [0, 1], **threads}
    own = {"niceness": 5, "scheduling_policy": "SCHED_BATCH", "measuring_cores": [1], **threads}
    assert placement_kept(given, own, pinned=False) == (
        "the thread that measures may use cores [0, 1] at first and [1] at the end",
        "niceness 0 at first and 5 at the end",
        "scheduling policy SCHED_OTHER at first and SCHED_BATCH at the end",
    )


def test_a_runtime_that_reads_back_other_threads_at_the_end_has_failed(meddled: Callable[..., TrialRecord]) -> None:
    record = meddled("pool")
    assert record.state == "failed"
    assert "999 in pool intra_op" in (record.reason or "")
    assert record.rounds == 3


def test_a_pinned_process_on_other_cores_is_refused() -> None:
    start = read_own()
    moved = {**start, "measuring_cores": [77]}
    assert placement_kept(start, start, pinned=True) == ()
    refuse_other_cores(moved, pinned=False)
    refuse_other_cores(start, pinned=True)
    with refused("unsupported", "measuring_cores", [77]):
        placement_kept(start, moved, pinned=True)
    with refused("unsupported", "framework_threads", {"torch": 7}):
        placement_kept({"framework_threads": {"torch": 1}}, {"framework_threads": {"torch": 7}}, pinned=False)
    with refused("unsupported", "system.cores"):
        refuse_other_cores(moved, pinned=True)


def test_no_round_of_a_pinned_process_on_other_cores_is_kept(null_targets: Path, tmp_path: Path) -> None:
    """However the process ends later, and before it is asked at the trial's end."""
    before = os.sched_getaffinity(0)
    worker = Worker(null_trial(task={"count": 4}), 0, tmp_path / "stamps", tmp_path, pin=True)
    try:
        worker.prepare()
        worker.run_rounds(0, 1, 0)
        os.sched_setaffinity(0, {min(before)})
        with refused("unsupported", "system.cores"):
            worker.run_rounds(1, 1, 0)
    finally:
        os.sched_setaffinity(0, before)
        worker.close()


def test_a_later_process_that_is_placed_otherwise_is_flagged() -> None:
    before: dict[str, Any] = {"cores": [0, 1], "niceness": 0, "pid": 7}
    now = {**before, "pid": 8, "turn": {"every_user": True}}
    here = partial(placement_flags, null_trial())
    assert here(before, now) == here({}, now) == ()
    assert here(before, {**now, "niceness": 5}) == ("a later process has another placement (niceness)",)
