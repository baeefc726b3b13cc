"""A model that changes its own process after the warm-up: read back at the end, and told or refused."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from orchestrator.commands.progress import Progress
from orchestrator.configuration.config import parse_trial
from orchestrator.contracts import InputError
from orchestrator.machine.host import read_machine
from orchestrator.measurement.placement_read_back import placement_kept, read_own, refuse_other_cores
from orchestrator.measurement.worker import Worker
from orchestrator.running.inline import open_inline
from orchestrator.running.pipeline import run_trials
from orchestrator.running.plan import Candidate, make_plan_of
from orchestrator.running.trial_judge import placement_flags
from orchestrator.storage.reader import open_campaign
from orchestrator.storage.records import CampaignRecord, TrialRecord
from orchestrator.storage.writer import CampaignWriter
from orchestrator.subject.inspection import Inspector

NULL = {"sleep_ms": 0, "wrong": [], "raises_on": [], "fails_to_load": False, "dies": False}

pytestmark = pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system has no affinity; run this on Linux")


@pytest.fixture
def meddled(null_targets: Path, tmp_path: Path) -> Callable[..., TrialRecord]:
    """Measure a model that does something to the thread that measures it, which ends with the trial."""

    def run(deed: str, at_round: int = 1) -> TrialRecord:
        target = {"kind": "image_classification"}
        document = {
            "model": {
                "name": "meddling", "target": "meddling_targets:MeddlingModel", "runtimes": ["torch"], "deed": deed, "results": "r",
                "at_round": at_round, **target,
            },
            "task": {"name": "numbers", "target": "null_targets:Numbers", "count": 4, **target},
            "system": {"name": "cpu_all"},
            "runtime": {"name": "torch"},
            "measurement": {"rule": "rounds", "min_rounds": 3, "max_rounds": 3},
        }  # fmt: skip
        trial = parse_trial(document)
        (planned,) = make_plan_of([Candidate(trial, Inspector().open(trial).inspection, read_machine())]).trials
        record = CampaignRecord(code_version="test", name="test", trials=(planned,))
        with CampaignWriter.create(tmp_path / "r", record) as writer, open_inline(tmp_path / "cache") as executor:
            run_trials([planned], executor, writer, Progress(1, None), threading.Event())
        return open_campaign(tmp_path / "r").trial(planned.trial_id)

    return run


def test_a_model_that_leaves_its_process_alone_has_no_flag(meddled: Callable[..., TrialRecord]) -> None:
    record = meddled("nothing")
    assert (record.state, record.flags_of_figures) == ("done", ())
    at_end = record.placement["at_end"]
    assert {name: record.placement[name] for name in read_own()} == {name: at_end[name] for name in read_own()}


@pytest.mark.parametrize(
    ("deed", "flag"),
    [
        pytest.param(
            "nice",
            "niceness {own} at first and {next} at the end",
            marks=pytest.mark.skipif(os.nice(0) == 19, reason="no process is nicer than 19; run this at less"),
        ),
        ("batch", "scheduling policy SCHED_OTHER at first and SCHED_BATCH at the end"),
        pytest.param(
            "cores",
            "the thread that measures may use cores ",
            marks=pytest.mark.skipif(os.cpu_count() == 1, reason="there is one core alone; run this on two or more"),
        ),
    ],
)
def test_what_a_model_changes_is_flagged(meddled: Callable[..., TrialRecord], deed: str, flag: str) -> None:
    record = meddled(deed)
    assert record.state == "done"
    (told,) = record.flags_of_figures
    assert told.startswith(flag.format(own=os.nice(0), next=os.nice(0) + 1))


@pytest.mark.skipif(os.nice(0) == 19, reason="no process is nicer than 19; run this at less")
def test_what_a_model_changes_from_its_first_inference_on_is_flagged(meddled: Callable[..., TrialRecord]) -> None:
    record = meddled("nice", at_round=-2)
    assert record.placement["niceness"] == os.nice(0) + 1
    assert record.flags_of_figures == (f"niceness {os.nice(0)} at first and {os.nice(0) + 1} at the end",)


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
    assert "runtime torch reads back 999 in pool intra_op" in (record.reason or "")
    assert record.rounds == 3


def test_a_pinned_process_on_other_cores_is_an_error() -> None:
    start = read_own()
    with pytest.raises(InputError, match=r"^the thread that measures may use cores \[77\] after the rounds and \["):
        placement_kept(start, {**start, "measuring_cores": [77]}, pinned=True)
    with pytest.raises(InputError, match=r"threads of frameworks \{'torch': 7\} after the rounds and \{'torch': 1\} before"):
        placement_kept({"framework_threads": {"torch": 1}}, {"framework_threads": {"torch": 7}}, pinned=False)
    assert placement_kept(start, start, pinned=True) == ()
    with pytest.raises(
        InputError, match=r"^the thread that measures may use cores \[[0-9, ]+\] after a round and \[77\] before it: the model"
    ):
        refuse_other_cores({**start, "measuring_cores": [77]}, pinned=True)
    refuse_other_cores({**start, "measuring_cores": [77]}, pinned=False)
    refuse_other_cores(start, pinned=True)


def document() -> dict[str, object]:
    target = {"kind": "image_classification"}
    return {
        "model": {"name": "null", "target": "null_targets:NullModel", "runtimes": ["torch"], **target, **NULL},
        "task": {"name": "numbers", "target": "null_targets:Numbers", "count": 4, **target},
        "system": {"name": "cpu_all"},
        "runtime": {"name": "torch"},
        "measurement": {"min_rounds": 3},
    }


def test_no_round_of_a_pinned_process_on_other_cores_is_kept(null_targets: Path, tmp_path: Path) -> None:
    """However the process ends later, and before it is asked at the trial's end."""
    before = os.sched_getaffinity(0)
    worker = Worker(parse_trial(document()), 0, tmp_path / "stamps", tmp_path, pin=True)
    try:
        worker.prepare()
        worker.run_rounds(0, 1, 0)
        os.sched_setaffinity(0, {min(before)})
        with pytest.raises(InputError, match="after a round and"):
            worker.run_rounds(1, 1, 0)
    finally:
        os.sched_setaffinity(0, before)
        worker.close()


def test_a_later_process_that_is_placed_otherwise_is_flagged() -> None:
    before: dict[str, Any] = {"cores": [0, 1], "niceness": 0, "pid": 7}
    now = {**before, "pid": 8, "turn": {"every_user": True}}
    here = partial(placement_flags, parse_trial(document()))
    assert here(before, now) == here({}, now) == ()
    assert here(before, {**now, "niceness": 5}) == ("a later process has another placement (niceness)",)
