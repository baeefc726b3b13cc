"""What is no plain value is refused with its key before anything is planned."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.configuration.composition import compose_trials
from orchestrator.configuration.fields import PLAIN
from orchestrator.contracts import InputError

Write = Callable[[str, str], Path]
MODEL = "name: odd\nkind: numbers\ntarget: null_targets:NullModel\nruntimes: [torch]\n"
UNPLAIN = f"must be {PLAIN}; write it as one of these"


def complaint(folder: Path, *overrides: str) -> str:
    with pytest.raises(InputError) as caught:
        compose_trials(["task=first", *overrides], config_dirs=[folder])
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tag: !!binary aGVsbG8=", f"model.tag: {UNPLAIN}"),
        (
            "tag: !!timestamp 2020-01-01",
            "a value in the YAML of task=first, model=odd: tag: Value 'date' is not a supported primitive type; ",
        ),
        ("tag: !!int x", "a value in the YAML of task=first, model=odd: invalid literal for int()"),
        ("tag: .inf", f"model.tag: {UNPLAIN}"),
        ("tag: {of: [1, -.inf]}", "model.tag.of.1: must be "),
        ("tag: .nan", "model.tag: must be "),
        ("tag: {1: a}", "model.tag.1: must be "),
        ("1: a", "model.1: must be "),
    ],
)
def test_a_value_of_a_file_that_json_would_not_give_back(own_conf: Path, write: Write, text: str, message: str) -> None:
    write("model/odd", f"{MODEL}{text}\n")
    assert complaint(own_conf, "model=odd").startswith(message)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.path=[inf]", "model.path.0: must be "),
    ],
)
def test_a_value_of_the_command_line_that_json_would_not_give_back(own_conf: Path, override: str, message: str) -> None:
    assert complaint(own_conf, "model=alpha", override).startswith(message)
