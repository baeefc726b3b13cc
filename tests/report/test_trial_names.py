"""Trials in a table of a terminal, and what is true of several: full ids where they fit, else what tells trials apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from orchestrator.configuration.config import Trial, parse_trial
from orchestrator.configuration.load import LoadConfig
from orchestrator.report.table import Table
from orchestrator.report.trial_names import id_ends, said_once, short_names, with_names
from orchestrator.storage.records import PlannedTrial


def trial(system: str, repeat: int = 0) -> Trial:
    kind = {"kind": "image_classification", "target": "nothing:Nothing"}
    return parse_trial(
        {
            "model": {"name": "a_model", "runtimes": ["torch"], **kind}, "task": {"name": "pictures", **kind}, "system": {"name": system},
            "runtime": {"name": "torch"}, "measurement": {"rule": "rounds", "min_rounds": 1, "max_rounds": 1},
        }
    ).model_copy(update={"repeat": repeat})  # fmt: skip


def planned(trial_id: str, of: Trial) -> PlannedTrial:
    return PlannedTrial(trial_id=trial_id, match_key=trial_id.rpartition("-r")[0], trial=of)


IDS = ["a_model-pictures-cpu_1-torch-b1-01234567-r0", "a_model-pictures-cpu_2-torch-b1-89abcdef-r0"]
TABLE = Table("Campaign", ["trial", "state", "rounds"], [[IDS[0], "done", "3"], [IDS[1], "done", "4"]])
TRIALS = [planned(IDS[0], trial("cpu_1")), planned(IDS[1], trial("cpu_2"))]
LOADS = [
    planned(one.trial_id, one.trial.model_copy(update={"load": LoadConfig(name="poisson", rate_per_s=rate)}))
    for one, rate in zip(TRIALS, (10.0, 20.0), strict=True)
]


def test_full_ids_stand_where_they_fit() -> None:
    for width in (200, 58):
        made = with_names(TABLE, TRIALS, width)
        assert (made.columns, made.rows[0]) == (["trial", "state", "rounds"], [IDS[0], "done", "3"])


@pytest.mark.parametrize(
    ("trials", "apart", "names"), [(TRIALS, ["system"], ["cpu_2"]), (LOADS, ["system", "load"], ["cpu_2", "poisson 20/s"])]
)
def test_else_what_all_share_is_said_once_and_the_end_of_an_id_names_it(
    trials: Sequence[PlannedTrial], apart: list[str], names: list[str]
) -> None:
    made = with_names(TABLE, trials, 57)
    assert made.columns == [*apart, "rounds", "id ends"]
    assert made.rows[1] == [*names, "4", "89abcdef-r0"]
    assert made.note.startswith("In all: model a_model, task pictures, runtime torch, ")


def test_an_id_whose_end_is_that_of_another_is_whole() -> None:
    assert id_ends(["x-torch-r0", "y-torch-r0", "y-torch-r1"]) == ["x-torch-r0", "y-torch-r0", "torch-r1"]


def test_trials_are_called_by_what_differs_among_them() -> None:
    assert short_names(TRIALS) == {IDS[0]: "cpu_1", IDS[1]: "cpu_2"}
    assert short_names(LOADS) == {IDS[0]: "cpu_1 poisson 10/s", IDS[1]: "cpu_2 poisson 20/s"}
    assert short_names(TRIALS[:1]) == {IDS[0]: "a_model"}
    alike = [TRIALS[0], planned("other-r0", TRIALS[0].trial)]
    assert short_names(alike) == {IDS[0]: IDS[0], "other-r0": "other-r0"}


PLAN = [planned(f"{system}-r{repeat}", trial(system, repeat)) for system in ("cpu_1", "cpu_2", "cpu_3") for repeat in (0, 1)]


@pytest.mark.parametrize(
    ("ids", "whom"),
    [
        ([one.trial_id for one in PLAN], "all trials"),
        (["cpu_1-r0"], "cpu_1 r0"),
        (["cpu_1-r0", "cpu_2-r1"], "cpu_1 r0, cpu_2 r1"),
        (["cpu_1-r0", "cpu_1-r1", "cpu_3-r0", "cpu_3-r1"], "system cpu_1, cpu_3 (4 trials)"),
        (["cpu_1-r1", "cpu_2-r1", "cpu_3-r1"], "repeat 1 (3 trials)"),
    ],
)
def test_a_remark_names_whom_it_is_true_of(ids: list[str], whom: str) -> None:
    assert list(said_once(PLAN, {one: ["no", "no"] for one in ids})) == [(whom, "no")]


def test_each_remark_stands_once_in_the_order_of_the_trials() -> None:
    remarks: Mapping[str, Sequence[str]] = {"cpu_3-r0": ["second", "third"], "cpu_1-r0": ["first", "third"]}
    assert [remark for _, remark in said_once(PLAN, remarks)] == ["first", "third", "second"]
    assert list(said_once(PLAN[:1], {"cpu_1-r0": ["no"]})) == [("cpu_1-r0", "no")]
