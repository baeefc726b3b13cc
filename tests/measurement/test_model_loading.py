"""What a user's model returns that no round could use is said where it is returned."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from orchestrator.configuration.config import Trial, parse_trial
from orchestrator.configuration.fields import DEEPEST, PLAIN
from orchestrator.contracts import LoadContext, LoadedModel, Model
from orchestrator.measurement.failures import TrialFailed
from orchestrator.measurement.model_loading import input_sizes, load_model

STAGES: dict[str, Any] = dict.fromkeys(("input_size", "preprocess", "infer", "postprocess"), len)


@pytest.fixture(scope="module")
def trial() -> Trial:
    target = {"kind": "numbers", "target": "a:B"}
    return parse_trial(
        {
            "model": {"name": "mine", "runtimes": ["torch"], **target},
            "task": {"name": "numbers", **target},
            "system": {"name": "cpu_all"},
            "runtime": {"name": "torch"},
            "measurement": {"min_rounds": 3},
        }
    )


def loaded_with(facts: dict[str, Any]) -> object:
    return SimpleNamespace(facts=facts, **STAGES)


def nested(depth: int) -> list[Any]:
    found: list[Any] = []
    for _ in range(depth):
        found = [found]
    return found


class Returns:
    def __init__(self, loaded: object) -> None:
        self._loaded = loaded

    def check(self) -> None: ...

    def files(self) -> list[Path]:
        return []

    def load(self, context: LoadContext) -> LoadedModel:
        return cast(LoadedModel, self._loaded)


@pytest.mark.parametrize(
    ("loaded", "wrong"),
    [
        (None, "load returned NoneType, which has no facts: it must have facts, input_size, preprocess, infer, postprocess"),
        (SimpleNamespace(facts={}, input_size=len, preprocess=len, infer=len), "load returned SimpleNamespace, which has no postprocess"),
        (SimpleNamespace(facts=None, **STAGES), "its facts are NoneType and must be a mapping"),
        (SimpleNamespace(facts={"threads": "many"}, **STAGES), 'its facts["threads"] is str and must map each pool'),
        (loaded_with({"x": object()}), "facts.x=<object object"),
        (loaded_with({"x": [1.5, {"y": math.nan}]}), f"facts.x.1.y=nan: must be {PLAIN}"),
        (loaded_with({"x": {1: "a"}}), "facts.x: its key 1 is no text"),
        (loaded_with({"x": np.zeros((2, 2))}), f"facts.x=array([[0., 0.], [0., 0.]]): must be {PLAIN}"),
        (loaded_with({"x": 2**200}), "facts.x: must be null, "),
        (loaded_with({"x": nested(5000)}), f"facts.x: is nested more than {DEEPEST} deep"),
    ],
)
def test_what_load_returns_is_named(trial: Trial, tmp_path: Path, loaded: object, wrong: str) -> None:
    model: Model = Returns(loaded)
    with pytest.raises(TrialFailed) as caught:
        load_model(model, trial, 1, tmp_path, None)
    assert str(caught.value).startswith(f"model mine: {wrong}")
    assert "\n" not in str(caught.value)


def test_facts_of_plain_values_are_taken(trial: Trial, tmp_path: Path) -> None:
    facts = {"threads": {"intra_op": 1}, "shape": (1, 3), "none": None, "text": "a", "scale": 0.5, "nested": nested(DEEPEST - 1)}
    loaded = loaded_with(facts)
    assert load_model(Returns(loaded), trial, 1, tmp_path, None) is loaded


@pytest.mark.parametrize(("size", "shown"), [(None, "NoneType"), (1.5, "float"), ("12", "str"), (-1, "-1"), (2**63, str(2**63))])
def test_a_size_that_is_no_number_of_pixels_or_tokens_fails_the_trial(size: object, shown: str) -> None:
    loaded = SimpleNamespace(facts={}, **{**STAGES, "input_size": lambda sample: size})
    with pytest.raises(TrialFailed, match=f"^model mine: input_size returned {shown}: it must return a whole number from 0 on"):
        input_sizes(cast(LoadedModel, loaded), "mine", ["sample"])


def test_sizes_of_numpy_are_whole_numbers_too() -> None:
    loaded = SimpleNamespace(facts={}, **{**STAGES, "input_size": lambda sample: np.int32(len(sample))})
    assert input_sizes(cast(LoadedModel, loaded), "mine", ["ab", ""]) == [2, 0]
