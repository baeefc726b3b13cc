"""What is true of several trials is said once, of what they have in common where that is enough, else of each by its short name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from orchestrator.configuration.config import Trial, parse_trial
from orchestrator.report.said_once import said_once
from orchestrator.storage.records import PlannedTrial


def trial(system: str, repeat: int) -> Trial:
    kind = {"kind": "image_classification", "target": "nothing:Nothing"}
    return parse_trial(
        {
            "model": {"name": "a_model", "runtimes": ["torch"], **kind}, "task": {"name": "pictures", **kind}, "system": {"name": system},
            "runtime": {"name": "torch"}, "measurement": {"rule": "rounds", "min_rounds": 1, "max_rounds": 1},
        }
    ).model_copy(update={"repeat": repeat})  # fmt: skip


SYSTEMS = [f"cpu_{number}" for number in range(6)]
PLAN = [
    PlannedTrial(trial_id=f"{system}-r{repeat}", match_key=system, trial=trial(system, repeat)) for system in SYSTEMS for repeat in (0, 1)
]


def of(*systems: str) -> dict[str, Sequence[str]]:
    return {one.trial_id: ["no"] for one in PLAN if one.trial.system.name in systems}


@pytest.mark.parametrize(
    ("remarks", "whom"),
    [
        (of(*SYSTEMS), "all trials"),
        (of("cpu_1", "cpu_4"), "system cpu_1, cpu_4 (4 trials)"),
        ({f"{system}-r0": ["no"] for system in SYSTEMS}, "repeat 0 (6 trials)"),
        ({"cpu_1-r0": ["no"]}, "cpu_1 r0"),
        ({"cpu_1-r0": ["no", "no"], "cpu_2-r1": ["no"]}, "cpu_1 r0, cpu_2 r1"),
        (of(*SYSTEMS[:5]), ", ".join(f"{system} r{repeat}" for system in SYSTEMS[:5] for repeat in (0, 1))),
    ],
)
def test_a_remark_names_whom_it_is_true_of(remarks: Mapping[str, Sequence[str]], whom: str) -> None:
    assert list(said_once(PLAN, remarks)) == [(whom, "no")]


def test_each_remark_stands_once_in_the_order_of_the_trials() -> None:
    found = list(said_once(PLAN, {"cpu_3-r0": ["second", "third"], "cpu_0-r0": ["first", "third"]}))
    assert [remark for _, remark in found] == ["first", "third", "second"]


def test_one_trial_alone_is_named_by_its_id() -> None:
    assert list(said_once(PLAN[:1], {"cpu_0-r0": ["no"]})) == [("cpu_0-r0", "no")]
