"""Trials in a table of a terminal: full ids where they fit, else what tells the trials apart."""

from __future__ import annotations

from orchestrator.commands.inspect import with_one_host_said
from orchestrator.configuration.config import Trial, parse_trial
from orchestrator.configuration.load import LoadConfig
from orchestrator.report.table import Table
from orchestrator.report.trial_names import IDS, id_ends, with_fitting_names


def trial(system: str, repeat: int = 0) -> Trial:
    kind = {"kind": "image_classification", "target": "nothing:Nothing"}
    return parse_trial(
        {
            "model": {"name": "a_model", "runtimes": ["torch"], **kind}, "task": {"name": "pictures", **kind}, "system": {"name": system},
            "runtime": {"name": "torch"}, "repeat": repeat, "measurement": {"rule": "rounds", "min_rounds": 1, "max_rounds": 1},
        }
    )  # fmt: skip


IDS_OF = ["a_model-pictures-cpu_1-torch-b1-01234567-r0", "a_model-pictures-cpu_2-torch-b1-89abcdef-r0"]
TABLE = Table("Campaign", ["trial", "state", "rounds"], [[IDS_OF[0], "done", "3"], [IDS_OF[1], "done", "4"]])
TRIALS = list(zip(IDS_OF, [trial("cpu_1"), trial("cpu_2")], strict=True))


def test_full_ids_stand_where_they_fit() -> None:
    for width in (None, 64):
        made = with_fitting_names(TABLE, TRIALS, width)
        assert (made.columns, made.rows[0]) == (["trial", "state", "rounds"], [IDS_OF[0], "done", "3"])


def test_an_id_in_which_a_name_is_cut_gives_way_to_columns_on_a_terminal() -> None:
    long = [f"a_system_whose_name_is_as_long_as_names_may_be_no_{number}" for number in (1, 2)]
    trials = [(one.replace(short, name[:22]), trial(name)) for one, short, name in zip(IDS_OF, ("cpu_1", "cpu_2"), long, strict=True)]
    table = Table("Campaign", ["trial", "rounds"], [[trial_id, "3"] for trial_id, _ in trials])
    made = with_fitting_names(table, trials, 120, ids=True)
    assert (made.columns, [row[0] for row in made.rows]) == (["system", IDS], long)
    assert with_fitting_names(table, trials, None).columns == ["trial"]  # of a pipe: whole ids, for a program


def test_else_what_all_share_is_said_once_and_the_end_of_an_id_names_it() -> None:
    made = with_fitting_names(TABLE, TRIALS, 63)
    assert (made.columns, made.rows) == (["system", "rounds", IDS], [["cpu_1", "3", "01234567-r0"], ["cpu_2", "4", "89abcdef-r0"]])
    assert (made.title, made.note) == ("Campaign: a_model, pictures, torch", "In all: batch 1, repeat 0, state done.")
    narrow = with_fitting_names(TABLE, TRIALS, 20)
    assert (narrow.columns, narrow.rows) == (["system", "rounds"], [["cpu_1", "3"], ["cpu_2", "4"]])
    assert with_fitting_names(TABLE, TRIALS, 20, ids=True) == made


def test_a_load_that_differs_is_a_name_and_one_that_all_share_stands_in_the_title() -> None:
    loads = [LoadConfig(name="poisson", rate_per_s=rate) for rate in (10.0, 20.0)]
    apart = [(one, of.model_copy(update={"load": load})) for (one, of), load in zip(TRIALS, loads, strict=True)]
    made = with_fitting_names(TABLE, apart, 63)
    assert (made.columns, made.rows[1]) == (["system", "load", "rounds", IDS], ["cpu_2", "poisson 20/s", "4", "89abcdef-r0"])
    alike = [(one, of.model_copy(update={"load": loads[0]})) for one, of in TRIALS]
    assert with_fitting_names(TABLE, alike, 63).title == "Campaign: a_model, pictures, torch, poisson 10/s"


def test_trials_of_equal_names_keep_their_ids_at_any_width() -> None:
    alike = [(trial_id, trial("cpu_1")) for trial_id in IDS_OF]
    assert with_fitting_names(TABLE, alike, 20).columns == ["rounds", IDS]


def test_what_follows_from_a_name_is_said_once_where_it_does_not_fit() -> None:
    trials = [
        (f"x-{system}-{repeat:08}-r{repeat}", trial(system).model_copy(update={"repeat": repeat}))
        for system in ("cpu_1", "cpu_2")
        for repeat in (0, 1)
    ]
    rows = [[one, {"cpu_1": "cpu", "cpu_2": "cuda:0"}[of.system.name], str(number)] for number, (one, of) in enumerate(trials)]
    table = Table("Plan", ["trial", "device", "rounds"], rows)
    narrow = with_fitting_names(table, trials, 32)
    assert (narrow.columns, narrow.rows[2]) == (["system", "repeat", "rounds"], ["cpu_2", "0", "2"])
    assert narrow.note == "Device: cpu of cpu_1; cuda:0 of cpu_2. In all: batch 1."
    assert "device" in with_fitting_names(table, trials, 40).columns
    apart = Table("Plan", ["trial", "device", "rounds"], [[one, str(number), str(number)] for number, (one, _) in enumerate(trials)])
    assert "device" in with_fitting_names(apart, trials, 32).columns


def test_an_id_whose_end_is_that_of_another_is_whole() -> None:
    assert id_ends(["x-torch-r0", "y-torch-r0", "y-torch-r1"]) == ["x-torch-r0", "y-torch-r0", "torch-r1"]


def test_the_one_host_of_a_campaign_that_is_not_finished_is_no_column() -> None:
    rows = [["a", "done", "vm"], ["b", "planned", ""]]
    made = with_one_host_said(Table("Campaign", ["trial", "state", "host"], rows))
    assert (made.columns, made.rows, made.note) == (["trial", "state"], [["a", "done"], ["b", "planned"]], "Host: vm.")
    several = Table("Campaign", ["trial", "state", "host"], [*rows, ["c", "done", "other"]])
    assert with_one_host_said(several) == several
