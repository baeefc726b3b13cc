"""What is no plain value is refused with its key before anything is planned."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.configuration.composition import compose_trials
from orchestrator.configuration.fields import DEEPEST, LARGEST, PLAIN, check_plain
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
        ("tag: !!binary aGVsbG8=", f"model.tag=b'hello': {UNPLAIN}"),
        (
            "tag: !!timestamp 2020-01-01",
            "a value in the YAML of task=first, model=odd: tag: Value 'date' is not a supported primitive type; ",
        ),
        ("tag: !!bool x", "a value in the YAML of task=first, model=odd: 'x'; a YAML tag such as !!bool does not fit"),
        ("tag: !!int x", "a value in the YAML of task=first, model=odd: invalid literal for int()"),
        ("tag: .inf", f"model.tag=inf: {UNPLAIN}"),
        ("tag: {of: [1, -.inf]}", "model.tag.of.1=-inf: must be "),
        ("tag: .nan", "model.tag=nan: must be "),
        (f"tag: 0x{'f' * 5000}", "model.tag: must be "),
        (f"tag: {2**128}", ""),
        (f"tag: {-(2**128) - 1}", "model.tag: must be "),
        ('tag: "a\\uD800"', "model.tag='a\\ud800': must be "),
        ('tag: {"\\uD800": 1}', "model.tag='\\ud800': must be "),
        ("tag: {1: a}", "model.tag: its key 1 is no text; put it into quotes"),
        ("1: a", "model: its key 1 is no text; put it into quotes"),
        (f"tag: {'[' * (DEEPEST + 1)}{']' * (DEEPEST + 1)}", ""),
        (f"tag: {'[' * (DEEPEST + 2)}1{']' * (DEEPEST + 2)}", "model.tag"),
        (f"tag: {'[' * 300}{']' * 300}", "a value in the YAML of task=first, model=odd: is nested too deeply"),
        ("tag: &itself [*itself]", "a value in the YAML of task=first, model=odd: is nested too deeply, or inside itself"),
    ],
)
def test_a_value_of_a_file_that_json_would_not_give_back(own_conf: Path, write: Write, text: str, message: str) -> None:
    write("model/odd", f"{MODEL}{text}\n")
    if message:
        assert complaint(own_conf, "model=odd").startswith(message)
    else:
        compose_trials(["task=first", "model=odd"], config_dirs=[own_conf])


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.path=[inf]", "model.path.0=inf: must be "),
        ("results_dir='\udcff'", "results_dir='\\udcff': must be "),
        (f"model.path={'[' * 40}{']' * 40}", "model.path"),
        (f"model.path={'[' * 900}{']' * 900}", "model.path=[[["),
    ],
)
def test_a_value_of_the_command_line_that_json_would_not_give_back(own_conf: Path, override: str, message: str) -> None:
    assert complaint(own_conf, "model=alpha", override).startswith(message)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-LARGEST, LARGEST) | st.floats() | st.text(st.characters(codec=None)) | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec=None)) | st.integers(), inner),
    max_leaves=8,
)


@given(VALUES)
def test_whatever_passes_comes_back_from_a_file_as_it_was(value: object) -> None:
    told = complaint_about(value)
    assert is_json(value) == (told is None)
    assert told is None or told.encode().startswith(b"model.tag")


def complaint_about(value: object) -> str | None:
    try:
        check_plain(value, "model.tag")
    except InputError as error:
        return str(error)
    return None


def is_json(value: object) -> bool:
    """Whether a file of JSON gives a value back, by trying it."""
    try:
        back = json.loads(json.dumps(value, allow_nan=False, ensure_ascii=False).encode())
    except (TypeError, ValueError):
        return False
    return bool(back == value) and not (isinstance(value, float) and math.isnan(value))
