import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from null_trials import null_trial
from small_cats import INSPECTION, make_trial

from orchestrator.configuration.config import Trial
from orchestrator.running.identity import LONGEST_SLUG, identity, match_key, slug, trial_id


def test_the_id_is_slug_hash_and_repeat() -> None:
    key = match_key(make_trial(), INSPECTION)
    assert re.fullmatch(r"small-cats-cpu_1core-torch-b1-[0-9a-f]{8}", key)
    assert trial_id(key, 2) == f"{key}-r2"


@pytest.mark.parametrize(
    "keys",
    [
        {"model__name": "other"},
        {"model__target": "a.b:Other"},
        {"model__size": 224},
        {"task__name": "other"},
        {"task__size": 224},
        {"task__preload": "none"},
        {"system__name": "other"},
        {"system__device": "cuda:0"},
        {"system__device": "cuda:0,1"},
        {"system__cores": 2},
        {"system__cores": [0]},
        {"system__threads": 2},
        {"system__numa": 0},
        {"system__labels": {"zone": "a"}},
        {"system__exclusive": False},
        {"runtime__name": "onnxruntime"},
        {"runtime__dtype": "fp16"},
        {"runtime__deterministic": True},
        {"runtime__autotune": True},
        {"measurement__batch": 2},
        {"measurement__rule": "paper"},
        {"measurement__min_rounds": 2},
        {"measurement__max_rounds": 1001},
        {"measurement__max_seconds": 10.0},
        {"measurement__half_width": 0.03},
        {"measurement__warmup_rounds": 3},
        {"measurement__order": "shuffled"},
        {"measurement__lead_in": 0},
        {"measurement__garbage_collection": "on"},
    ],
)
def test_what_changes_the_work_changes_the_key(keys: dict[str, Any]) -> None:
    assert match_key(make_trial(**keys), INSPECTION) != match_key(make_trial(), INSPECTION)


@pytest.mark.parametrize(
    "keys",
    [
        {"model__runtimes": ["torch"]},
        {"model__several_gpus": True},
        {"model__classes": 10},
        {"model__path": None},
        {"model__added_later": None},
        {"task__classes": 10},
        {"task__root": "elsewhere"},
        {"task__limit": 20},
        {"task__subset_seed": 1},
        {"task__memory_limit": "1GiB"},
        {"system__paths": {"task.root": "/x"}},
        {"system__python": "/usr/bin/python3"},
        {"measurement__repeat": 3},
        {"measurement__round_timeout_s": 5.0},
        {"measurement__max_errors": 1},
        {"measurement__schedule": "interleaved"},
        {"measurement__schedule": "sequential"},
        {"measurement__visit_rounds": 10},
        {"measurement__pause": 0.0},
    ],
)
def test_what_leaves_the_work_alone_leaves_the_key_alone(keys: dict[str, Any]) -> None:
    assert match_key(make_trial(**keys), INSPECTION) == match_key(make_trial(), INSPECTION)


def test_every_key_of_a_trial_is_accounted_for() -> None:
    """A key that is added one day must be put on one of the two lists above."""
    hashed = identity(make_trial(), INSPECTION)
    assert {name: set(block) for name, block in hashed.items() if isinstance(block, dict)} == {
        "model": {"name", "kind", "target", "options"},
        "task": {"name", "kind", "target", "preload", "options"},
        "system": {"name", "device", "cores", "threads", "numa", "labels", "exclusive"},
        "runtime": {"name", "dtype", "deterministic", "autotune"},
        "measurement": {
            "batch", "rule", "min_rounds", "max_rounds", "max_seconds", "half_width", "warmup_rounds", "order", "schedule",
            "garbage_collection",
        },
    }  # fmt: skip


@pytest.mark.parametrize("field", ["data_digest", "model_digest"])
def test_another_content_is_another_key(field: str) -> None:
    assert match_key(make_trial(), replace(INSPECTION, **{field: "0" * 64})) != match_key(make_trial(), INSPECTION)  # type: ignore[arg-type]


def test_a_path_counts_by_its_content_and_a_word_by_itself() -> None:
    def key(value: str, paths: dict[str, str]) -> str:
        return match_key(make_trial(model__weights=value), replace(INSPECTION, model_paths=paths))

    assert key("/a/w.pth", {"weights": "/a/w.pth"}) == key("b/w.pth", {"weights": "/x/b/w.pth"})
    assert key("V1", {}) != key("V2", {})


@pytest.mark.parametrize(
    ("letters", "more", "expected"),
    [
        (22, {}, ["n" * 22] * 3 + ["torch", "b1"]),
        (40, {}, ["n" * 22] * 3 + ["torch", "b1"]),
        (40, {"load": {"name": "poisson", "rate_per_s": 40}}, ["n" * 17] * 3 + ["torch", "b1", "poisson40"]),
        (40, {"neighbour": {"name": "m" * 20, "command": ["x"]}}, ["n" * 16] * 3 + ["torch", "b1", "beside_" + "m" * 13]),
        (
            40,
            {"runtime": {"name": "r" * 20, "asks_server": True}, "server": {"name": "s" * 20, "url": "http://host:1"}},
            [letter * 13 for letter in "nnnrs"] + ["b1"],
        ),
    ],
)
def test_long_names_are_cut_so_that_every_part_fits(letters: int, more: dict[str, Any], expected: list[str]) -> None:
    long = {"name": "n" * letters}
    assert slug(null_trial(model=long, task=long, system=long, **more)) == "-".join(expected)


def test_a_load_shows_in_the_slug_and_its_every_key_in_the_hash() -> None:
    def loaded(**load: Any) -> Trial:
        return Trial.model_validate(make_trial().model_dump() | {"load": {"name": "poisson", "rate_per_s": 40} | load})

    assert slug(loaded(name="periodic", rate_per_s=29.97)) == f"{slug(make_trial())}-periodic29_97"
    other = {"rate_per_s": 41, "group": 2, "seed": 1, "policy": "newest", "queue_limit": 3, "stream_s": 3, "ramp_s": 2, "idle": "spin"}
    keys = [match_key(loaded(**{key: value}), INSPECTION) for key, value in other.items()]
    keys += [match_key(null_trial(neighbour={"name": "n", "command": ["x"], "cores": one}), INSPECTION) for one in ("same", "beside", None)]
    assert len({*keys, match_key(loaded(), INSPECTION), match_key(make_trial(), INSPECTION)}) == len(other) + 5


def test_a_trace_counts_by_its_content() -> None:
    def key(file: str, digest: str) -> str:
        trial = Trial.model_validate(make_trial().model_dump() | {"load": {"name": "trace", "file": file}})
        return match_key(trial, replace(INSPECTION, load_digest=digest))

    assert key("/a/t.csv", "1") == key("b.csv", "1") != key("/a/t.csv", "2")


names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,99}", fullmatch=True).filter(lambda name: ".." not in name)


@given(model=names, task=names, system=names, batch=st.integers(1, 99_999))
def test_a_slug_is_short_and_plain(model: str, task: str, system: str, batch: int) -> None:
    trial = null_trial(
        model={"name": model}, task={"name": task}, system={"name": system}, runtime={"dtype": "fp16"}, measurement={"batch": batch}
    )
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", slug(trial))
    assert len(slug(trial)) <= LONGEST_SLUG
    assert slug(trial).endswith(f"-b{batch}")
