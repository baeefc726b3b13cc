"""Which trials of two campaigns of other settings belong together, and the commands that measure both again."""

import shlex
from pathlib import Path
from typing import Any

from null_trials import null_trial
from refusals import refused

from orchestrator.commands.line import read
from orchestrator.compare.differences import closest, differences, partners_by
from orchestrator.compare.headline import commands
from orchestrator.compare.rows import MISSING, Compared
from orchestrator.configuration.config import Trial
from orchestrator.storage.records import PlannedTrial


def trial(
    model: str = "null", system: str = "one", runtime: str = "torch", measurement: dict[str, Any] | None = None, **blocks: dict[str, Any]
) -> Trial:
    runtimes = {"name": model, "runtimes": ["torch", "onnxruntime"]}
    return null_trial(model=runtimes, system={"name": system}, runtime={"name": runtime}, measurement=measurement or {}, **blocks)


def test_trials_of_equal_names_belong_together_and_no_others_where_there_are_such() -> None:
    before = {"a": trial(measurement={"batch": 1}), "b": trial(measurement={"batch": 4}), "c": trial(system="two")}
    after = {
        "x": trial(measurement={"batch": 8}),
        "y": trial(measurement={"batch": 4, "max_errors": 1, "order": "shuffled"}),
        "z": trial(model="other", system="two"),
    }
    assert closest(before, after) == {"b": "y", "a": "x"}


def test_what_differs_is_written_as_a_command_has_it() -> None:
    one, other = (
        trial(),
        trial(runtime="onnxruntime", load={"name": "poisson", "rate_per_s": 40}, measurement={"lead_in": 0, "min_rounds": 2}),
    )
    assert differences(one, other) == [
        "runtime torch -> onnxruntime", "load closed -> poisson", "measurement.min_rounds 3 -> 2", "load.rate_per_s null -> 40.0",
        "measurement.lead_in 3 -> 0",
    ]  # fmt: skip
    assert differences(one, trial(task={"limit": 10})) == ["task.limit null -> 10"]


def test_trials_that_differ_in_a_setting_alone_belong_together_by_it() -> None:
    before = {"a": trial(measurement={"batch": 1}), "b": trial(system="two", measurement={"batch": 1})}
    after = {"x": trial(system="two", measurement={"batch": 4}), "y": trial(measurement={"batch": 4})}
    assert partners_by(["measurement.batch"], before, after) == {"a": "y", "b": "x"}
    assert partners_by(["measurement", "system"], {"a": before["a"]}, {"x": after["x"]}) == {"a": "x"}
    assert partners_by(["model"], before, after) == {}
    with refused("unknown", "--by", "measurement.bach"):
        partners_by(["measurement.bach"], before, after)
    with refused("conflict", "--by", ["system"]):
        partners_by(["system"], before, before)


class Compares:
    """As much of a comparison as its remedies read."""

    apart, min_effect, differing = False, None, ()

    def __init__(self, pairs: list[tuple[Trial, Trial | None]], before: tuple[str, ...], after: tuple[str, ...]) -> None:
        self.commands, self.trials = (before, after), len(pairs)
        self.rows = [
            Compared(
                str(number), one, MISSING, nearest=None if other is None else PlannedTrial(trial_id="x-r0", match_key="x", trial=other)
            )
            for number, (one, other) in enumerate(pairs)
        ]


PLACES = (Path("base"), Path("new"))
OF_BOTH = ("+sweep=mine", "-m", "--config-dir", "conf", "--skip-infeasible", "model=null,other", 'analysis.primary="50 ms"')


def test_the_commands_have_what_either_typed_and_what_both_did() -> None:
    pairs = [(trial(measurement={"batch": 1}), trial(measurement={"batch": 2})), (trial(model="third"), None)]
    found: Any = Compares(
        pairs, ("run", *OF_BOTH, "measurement.batch=1", "results_dir=y"), (*OF_BOTH, "measurement.batch=2", "results_dir=x")
    )
    (command,) = commands(found, PLACES, True)
    typed = read("compare", shlex.split(command, comments=True)[4:])
    assert typed["words"][:2] == ("measurement.batch=1", "measurement.batch=2")
    assert typed["words"][2:] == ("+sweep=mine", "model=null,other", 'analysis.primary="50 ms"')
    assert (typed["run"], typed["multirun"], typed["config_dirs"]) == (True, True, (Path("conf"),))
    found.commands = ("model=null", "task=numbers"), ("model=null", "task=numbers", "measurement.batch=2")
    (command,) = commands(found, PLACES, True)
    words = read("compare", shlex.split(command, comments=True)[4:])["words"]
    assert words == ("model=null task=numbers", "model=null task=numbers measurement.batch=2"), "no side is empty"
