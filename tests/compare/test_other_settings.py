"""Which trials of two campaigns of other settings belong together, and the words that set what differs."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest

from orchestrator.commands.line import read
from orchestrator.commands.paired_run import composing_of
from orchestrator.compare.differences import closest, differences, drawn_otherwise, partners_by, sides_of
from orchestrator.compare.headline import commands, narrowing, other_settings
from orchestrator.compare.rows import MISSING, Compared, Nearest
from orchestrator.configuration.config import Trial, parse_trial
from orchestrator.contracts import InputError


def trial(
    model: str = "null", system: str = "one", runtime: str = "torch", load: dict[str, Any] | None = None, **measurement: Any
) -> Trial:
    kind = {"kind": "image_classification", "target": "nothing:Nothing"}
    limit = {"limit": measurement.pop("limit")} if "limit" in measurement else {}
    return parse_trial(
        {
            "model": {"name": model, "runtimes": ["torch", "onnxruntime"], **kind},
            "task": {"name": "numbers", **kind, **limit},
            "system": {"name": system, "cores": measurement.pop("cores", 1)},
            "runtime": {"name": runtime},
            "measurement": {"rule": "rounds", "min_rounds": 3, "max_rounds": 3, **measurement},
            **({"load": load} if load else {}),
        }
    )


def test_trials_of_equal_names_belong_together_and_no_others_where_there_are_such() -> None:
    before = {"a": trial(batch=1), "b": trial(batch=4), "c": trial(system="two")}
    after = {"x": trial(batch=8), "y": trial(batch=4, max_errors=1, order="shuffled"), "z": trial(model="other", system="two")}
    assert closest(before, after) == {"b": "y", "a": "x"}


def test_else_those_belong_together_of_which_the_fewest_names_differ() -> None:
    before = {f"{system}": trial(system=system) for system in ("one", "two")}
    after = {f"{system} onnx": trial(system=system, runtime="onnxruntime") for system in ("two", "one", "three")}
    assert closest(before, after) == {"one": "one onnx", "two": "two onnx"}
    assert closest(before, {}) == {}


def test_what_differs_is_written_as_a_command_has_it() -> None:
    one, other = trial(), trial(runtime="onnxruntime", load={"name": "poisson", "rate_per_s": 40}, lead_in=0, min_rounds=2)
    assert differences(one, other) == [
        "runtime torch -> onnxruntime", "load closed -> poisson", "measurement.min_rounds 3 -> 2", "load.rate_per_s null -> 40.0",
        "measurement.lead_in 3 -> 0",
    ]  # fmt: skip
    assert sides_of(one, other, ("load.rate_per_s=40",)) == (
        ("runtime=torch", "load=closed", "measurement.min_rounds=3", "load.rate_per_s=null", "measurement.lead_in=3"),
        ("runtime=onnxruntime", "load=poisson", "measurement.min_rounds=2", "load.rate_per_s=40.0", "measurement.lead_in=0"),
    )
    assert (differences(one, trial(limit=10)), drawn_otherwise(one, trial(limit=10))) == ([], ["task.limit null -> 10"])


def test_a_name_is_told_with_it_what_was_typed_and_nothing_else_of_its_block() -> None:
    one, other = trial(system="one", cores=1), trial(system="two", cores=2)
    assert sides_of(one, other, ()) == (("system=one",), ("system=two",))
    assert sides_of(one, other, ("system.cores=2",)) == (("system=one", "system.cores=1"), ("system=two", "system.cores=2"))


def test_trials_that_differ_in_a_setting_alone_belong_together_by_it() -> None:
    before = {"a": trial(batch=1), "b": trial(system="two", batch=1)}
    after = {"x": trial(system="two", batch=4), "y": trial(batch=4)}
    assert partners_by(["measurement.batch"], before, after) == {"a": "y", "b": "x"}
    assert partners_by(["measurement", "system"], {"a": before["a"]}, {"x": after["x"]}) == {"a": "x"}
    assert partners_by(["model"], before, after) == {}
    with pytest.raises(InputError, match=r"^--by measurement\.bach: no trial has this setting; did you mean measurement\.batch\?$"):
        partners_by(["measurement.bach"], before, after)
    with pytest.raises(InputError, match=r"^--by system: a may belong to a or b: name what these differ in, too$"):
        partners_by(["system"], before, before)


def test_narrowing_leaves_the_trials_that_are_wanted() -> None:
    every = [trial(model=model, system=system) for model in ("null", "other") for system in ("one", "two", "three")]
    assert narrowing(every[:2], every, ["model", "system"]) == ["-m", "model=null", "system=one,two"]
    assert narrowing(every[:3], every, ["model", "system"]) == ["model=null"]
    assert narrowing(every, every, ["model", "system"]) == []


class Compares:
    """As much of a comparison as its remedies read."""

    apart, min_effect = False, None

    def __init__(self, pairs: list[tuple[Trial, Trial | None]], trials: list[Trial], command: tuple[str, ...]) -> None:
        self.commands, self.after_trials = ((), command), tuple(trials)
        self.rows = [
            Compared(str(number), one, MISSING, nearest=None if other is None else Nearest("x", other))
            for number, (one, other) in enumerate(pairs)
        ]


COMMAND = (
    "run", "+sweep=mine", "-m", "--config-dir", "conf", "--skip-infeasible", "model=null,other", "measurement.batch=2", "cluster=inline",
    'analysis.primary="50 ms"', "measurement.repeat=3", "results_dir=x",
)  # fmt: skip


def test_the_commands_have_what_was_typed_but_what_the_sides_set_and_where_it_ran() -> None:
    every = [trial(model=model, batch=2) for model in ("null", "other")]
    found: Any = Compares([(trial(batch=1), every[0]), (trial(model="third"), None)], every, COMMAND)
    assert list(other_settings(found)) == [
        "In 1 of 2 trials the settings differ (baseline -> candidate): measurement.batch 1 -> 2. --by measurement.batch pairs them.",
        "The candidate has nothing like 1 trial of the baseline.",
    ]
    (pairs,) = commands(found, (Path("base"), Path("new")), True)
    words = shlex.split(pairs, comments=True)[3:]
    typed = read("compare", words[1:])
    assert typed["run"]
    assert typed["words"] == ("measurement.batch=1", "measurement.batch=2", "+sweep=mine", 'analysis.primary="50 ms"', "model=null")
    assert (typed["multirun"], typed["config_dirs"]) == (True, (Path("conf"),))
    composed = composing_of(typed["words"][:2], typed["words"][2:], 5)
    assert [asked["overrides"][0] for _, asked in composed] == ["measurement.batch=1", "measurement.batch=2"]
    found.commands = ((), ("import", "x"))
    assert list(commands(found, (Path("a"), Path("b")), True)) == []


def test_other_samples_are_never_compared() -> None:
    found: Any = Compares([(trial(limit=20), trial(limit=10))], [trial(limit=10)], COMMAND)
    assert list(commands(found, (Path("base"), Path("new")), True)) == []
