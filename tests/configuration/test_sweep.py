import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from refusals import refused

from orchestrator.configuration.sweep import applying, combinations, parse_sweep
from orchestrator.contracts import Code

values = st.lists(st.sampled_from("abcd"), min_size=1, max_size=3, unique=True).map(tuple)
axes_of = st.dictionaries(st.sampled_from(["model", "task", "system", "runtime"]), values, max_size=4)


@given(axes_of)
def test_combinations_are_the_product_with_the_last_axis_fastest(axes: dict[str, tuple[str, ...]]) -> None:
    rows, excluded = combinations(axes)
    assert [tuple(row.values()) for row in rows] == list(itertools.product(*axes.values()))
    assert all(list(row) == list(axes) for row in rows)
    assert excluded == 0


@given(axes_of, st.data())
def test_exclusions_split_the_product_in_two(axes: dict[str, tuple[str, ...]], data: st.DataObject) -> None:
    if not axes:
        return
    rule_keys = data.draw(st.lists(st.sampled_from(sorted(axes)), min_size=1, unique=True))
    rule = {key: data.draw(values) for key in rule_keys}
    everything, _ = combinations(axes)
    hit = [row for row in everything if all(row[key] in rule[key] for key in rule)]
    if len(hit) == len(everything):
        with refused("no_data", "exclude"):
            combinations(axes, exclude=[rule])
        return
    kept, excluded = combinations(axes, exclude=[rule])
    assert excluded == len(hit)
    assert kept == [row for row in everything if row not in hit]


PAIR = [["model", "task"]]
THREE = {"model": ("r", "e", "d"), "task": ("images", "images", "boxes")}
LAWS = {
    "paired axes move together at the place of the first": (
        {"axes": {"model": ("r", "d"), "system": ("x", "y"), "task": ("images", "boxes")}, "pair": [["task", "model"]]},
        [
            {"model": "r", "task": "images", "system": "x"}, {"model": "r", "task": "images", "system": "y"},
            {"model": "d", "task": "boxes", "system": "x"}, {"model": "d", "task": "boxes", "system": "y"},
        ],
    ),
    "one replaced axis of a pair keeps the rows that hold its values": (
        {"axes": THREE, "pair": PAIR, "narrowed": {"model": ("d",)}}, [{"model": "d", "task": "boxes"}],
    ),
    "the other one does so, too": (
        {"axes": THREE, "pair": PAIR, "narrowed": {"task": ("images",)}},
        [{"model": "r", "task": "images"}, {"model": "e", "task": "images"}],
    ),
    "all replaced axes of a pair are paired anew": (
        {"axes": {"model": ("r", "e"), "task": ("images", "boxes")}, "pair": PAIR, "narrowed": {"model": ("p",), "task": ("q",)}},
        [{"model": "p", "task": "q"}],
    ),
    "a replaced axis keeps its place, and new axes come last": (
        {"axes": {"model": ("a", "b"), "task": ("t",)}, "narrowed": {"batch": ("1",), "model": ("c",)}},
        [{"model": "c", "task": "t", "batch": "1"}],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("arguments", "expected"), LAWS.values(), ids=LAWS)
def test_the_rows_of_pairs_and_replaced_axes(arguments: dict[str, Any], expected: list[dict[str, str]]) -> None:
    rows, _ = combinations(**arguments)
    assert rows == expected
    assert "batch" not in rows[0] or [*rows[0]] == [*expected[0]]


@pytest.mark.parametrize(
    ("arguments", "code", "key"),
    [
        ({"axes": {"model": ()}}, "missing", "model"),
        ({"axes": {"model": ("",)}}, "missing", "model"),
        ({"axes": {"model": ("a",)}, "exclude": [{"tsk": ("b",)}]}, "unknown", "tsk"),
        ({"axes": {"model": ("a",)}, "pair": [["model", "task"]]}, "unknown", "task"),
        ({"axes": {"a": ("1", "2"), "b": ("1",)}, "pair": [["a", "b"]]}, "conflict", ""),
        ({"axes": {"a": ("1",), "b": ("1",), "c": ("1",)}, "pair": [["a", "b"], ["a", "c"]]}, "conflict", "a"),
        ({"axes": {"a": ("1",)}, "exclude": [{"a": ("1",)}]}, "no_data", "exclude"),
        ({"axes": {"a": tuple(map(str, range(101))), "b": tuple(map(str, range(100)))}}, "too_large", ""),
    ],
)
def test_impossible_sweeps_are_refused(arguments: dict[str, Any], code: Code, key: str) -> None:
    with refused(code, key):
        combinations(**arguments)


def test_a_sweep_file_is_read_as_written() -> None:
    data = {
        "axes": {"model": "a,b", "measurement.batch": 4, "runtime.deterministic": True},
        "set": ["measurement.max_seconds=10"],
        "exclude": [{"model": "a", "measurement.batch": [1, 2]}],
        "pair": [["model", "task"]],
        "notes": [{"when": {"model": ["a", "b"]}, "say": "as in the paper"}],
        "set_when": [{"when": {"measurement.rule": "paper", "model": ["a", "b"]}, "set": ["measurement.min_rounds=1"]}],
    }
    sweep = parse_sweep(data)
    assert sweep.axes == {"model": "a,b", "measurement.batch": "4", "runtime.deterministic": "true"}
    assert sweep.settings == ("measurement.max_seconds=10",)
    assert sweep.exclude == ({"model": ("a",), "measurement.batch": ("1", "2")},)
    assert sweep.pair == (("model", "task"),)
    assert [(note.when, note.say) for note in sweep.notes] == [({"model": ("a", "b")}, "as in the paper")]
    assert [(each.when, each.settings) for each in sweep.set_when] == [
        ({"measurement.rule": ("paper",), "model": ("a", "b")}, ("measurement.min_rounds=1",))
    ]


def test_settings_hold_where_every_key_has_a_listed_value() -> None:
    whens = [{"when": {"rule": "paper"}, "set": ["x=1"]}, {"when": {"rule": "paper", "model": ["a", "b"]}, "set": ["y=2", "z=3"]}]
    given = parse_sweep({"set_when": whens}).set_when
    found = [applying(given, {"rule": rule, "model": model}, "set_when") for rule in ("paper", "rounds") for model in "ac"]
    assert found == [[*given], [given[0]], [], []]
    with refused("unknown", "model"):
        applying(given, {"rule": "paper"}, "set_when")


def test_notes_are_said_of_the_combinations_they_name() -> None:
    said = [{"when": {"model": "a"}, "say": "one"}, {"when": {"model": ["a", "b"], "task": "x"}, "say": "two"}]
    notes = parse_sweep({"notes": said}).notes
    found = [[note.say for note in applying(notes, {"model": model, "task": task}, "notes")] for model in "abc" for task in "xy"]
    assert found == [["one", "two"], ["one"], ["two"], [], [], []]
    with refused("unknown", "model"):
        applying(notes, {"task": "x"}, "notes")


@pytest.mark.parametrize(
    ("data", "code", "key"),
    [
        (["a"], "invalid", ""),
        ({"axis": {}}, "unknown", "axis"),
        ({"axes": ["model"]}, "invalid", "axes"),
        ({"set": "a=1"}, "invalid", "set"),
        ({"exclude": {"model": "a"}}, "invalid", "exclude"),
        ({"pair": ["model", "task"]}, "invalid", "pair"),
        ({"notes": [{"when": {"model": "a"}}]}, "invalid", "notes"),
        ({"set_when": [{"when": {}, "set": []}]}, "invalid", "set_when"),
    ],
)
def test_a_sweep_file_of_another_form_is_refused(data: object, code: Code, key: str) -> None:
    with refused(code, key):
        parse_sweep(data)
