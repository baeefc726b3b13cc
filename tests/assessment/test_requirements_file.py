"""A file of requirements is read, or refused with one line that names the entry, the value, the rule and the remedy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from orchestrator.assessment.requirements import KINDS, read_requirements
from orchestrator.contracts import InputError

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "docs" / "examples" / "requirements"
GOOD: dict[str, Any] = {"id": "A", "text": "x", "deadline": {"within": "50 ms"}}


def told(tmp_path: Path, content: str | bytes) -> str:
    path = tmp_path / "r.yaml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(InputError) as caught:
        read_requirements(path)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"{path}: ")
    return message.removeprefix(f"{path}: ")


def refused(tmp_path: Path, **changes: Any) -> str:
    """What is said of one entry with these keys changed; None leaves a key out."""
    entry = {key: value for key, value in {**GOOD, **changes}.items() if value is not None}
    return told(tmp_path, json.dumps({"requirements": [entry]}))


@pytest.mark.parametrize("name", ["met", "not_met", "not_shown", "camera"])
def test_the_examples_are_read(name: str) -> None:
    found = read_requirements(EXAMPLES / f"{name}.yaml")
    assert all(requirement.source for requirement in found.requirements)
    assert found.confidence == 0.95


def test_a_time_has_its_unit_and_a_pattern_may_be_a_number(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text("requirements: [{id: A, text: x, trials: {batch: 8, model: [a*, b]}, latency: {percentile: 99, within: 33.3 ms}}]")
    [found] = read_requirements(path).requirements
    assert found.trials == {"batch": ("8",), "model": ("a*", "b")}
    assert found.latency is not None
    assert found.latency.within == 33_300_000
    assert (found.kind, found.confidence, found.evidence.rounds) == ("latency", 0.95, 1)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"deadline": None}, f"line 1: requirement A: asks for nothing: must have exactly one of {', '.join(KINDS)}"),
        (
            {"latency": {"percentile": 99, "within": "1 s"}},
            "requirement A: has latency and deadline: must have exactly one of ",
        ),
        ({"dedline": {}}, "requirement A: dedline: no such key; did you mean deadline?"),
        (
            {"deadline": {"within": 50}},
            'must be a time above 0 with its unit, ns, us, ms or s, such as "33.3 ms" or "2 s"; if it is in milliseconds, write "50 ms"',
        ),
        ({"deadline": {"within": "0 ms"}}, "must be a time above 0 with its unit"),
        ({"deadline": {"within": "50 ms", "share_of_rounds": 1}}, "share_of_rounds=1: "),
        ({"deadline": {"within": "50 ms", "keep": 0}}, "keep=0: "),
        ({"id": "a b"}, "must be 1 to 80 of the characters A-Z a-z 0-9 _ . : / + -"),
        ({"id": None}, "requirement 1: id is missing: add it"),
        ({"confidence": 1}, "confidence=1: "),
        ({"evidence": {"rounds": 0}}, "evidence.rounds=0: must be at least 1; write a larger number"),
        ({"trials": {"model": []}}, "trials.model"),
        ({"trials": {"sistem": "x"}}, "trials.sistem"),
        (
            {"trials": {"sistem": "x"}},
            "no trial has such a key: choose model, task, system, runtime, batch, repeat, load or a key of a trial, "
            "such as measurement.batch; did you mean system?",
        ),
        ({"trials": {"measurement.bach": 1}}, "did you mean measurement.batch?"),
        ({"trials": {"measurement": 1}}, "no trial has such a key"),
        ({"deadline": None, "tail_quality": {"threshold": "50", "at_least": 0.9}}, "must be a percentile such as p95 or a time"),
        (
            {"deadline": None, "tail_quality": {"threshold": "p95", "at_least": 1}},
            "at_least=1 of ideal quality: must be a share above 0 and below 1",
        ),
        ({"deadline": None, "tail_quality": {"threshold": "p95", "at_least": 0.9, "slice": "x"}}, "slice=x"),
        ({"deadline": None, "late_answers": {"threshold": "p95"}}, "exactly one of longest_streak, at_most with out_of, warnings, errors"),
        ({"deadline": None, "late_answers": {"threshold": "p95", "at_most": 1}}, "at_most and out_of belong together"),
        ({"deadline": None, "late_answers": {"threshold": "p95", "at_most": 3, "out_of": 3}}, "at_most=3 of out_of=3 allows everything"),
        ({"deadline": None, "late_answers": {"threshold": "p95", "errors": 0}}, "errors and error_after belong together"),
        ({"deadline": None, "memory": {"at_most": "2 apples"}}, "must be a number of bytes such as 500MB or 4GiB"),
        ({"deadline": None, "answers": {"between": "days"}}, "between=days"),
    ],
)
def test_a_mistake_is_one_line(changes: dict[str, Any], said: str, tmp_path: Path) -> None:
    assert said in refused(tmp_path, **changes)


def test_the_entry_with_the_mistake_is_named(tmp_path: Path) -> None:
    assert refused(tmp_path, deadline={"within": 50}).startswith("line 1: requirement A: deadline.within=50: ")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "holds no mapping with the key requirements"),
        ("[1, 2]", "holds no mapping"),
        ("requirements: []", "requirements"),
        ("requirements: {", "is no YAML ("),
        (b"\xff\xff\xff", "is no YAML ("),
        (
            json.dumps({"requirements": [GOOD, {**GOOD, "text": "y"}]}),
            "line 1: requirement A: id: is that of entries 1 and 2; every requirement needs one of its own",
        ),
        ("a: &a [x, x]\nrequirements: [*a, *a]", "line 2: *a refers to another place"),
        ("x" * (2**20 + 1), "has more than 1,048,576 bytes"),
        ("requirements: !!python/object/apply:os.system [exit]", "is no YAML ("),
    ],
)
def test_a_file_that_cannot_be_one(content: str | bytes, said: str, tmp_path: Path) -> None:
    assert said in told(tmp_path, content)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no\.yaml: cannot be read \(No such file or directory\): name a file of requirements"):
        read_requirements(tmp_path / "no.yaml")


def test_the_error_is_divided_evenly_or_as_the_requirement_says(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    entries = [{**GOOD, "id": f"R{number}"} for number in range(4)]
    path.write_text(json.dumps({"confidence": 0.9, "requirements": [*entries, {**GOOD, "confidence": 0.999}]}))
    found = read_requirements(path)
    assert [round(found.error_of(one), 6) for one in found.requirements] == [0.02, 0.02, 0.02, 0.02, 0.001]


def test_every_key_stands_on_the_page() -> None:
    page = (ROOT / "docs" / "requirements.md").read_text("utf-8")
    for kind in KINDS:
        assert f"| `{kind}` |" in page
