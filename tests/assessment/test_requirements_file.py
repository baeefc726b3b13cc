"""A file of requirements is read, or refused with one line that names the entry, the value, the rule and the remedy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from orchestrator.assessment.kinds.means import Latency
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
    assert isinstance(found.asked, Latency)
    assert found.asked.within == 33_300_000
    assert (found.asked.kind, found.confidence, found.evidence.rounds) == ("latency", 0.95, 1)


def test_the_entry_with_the_mistake_is_named(tmp_path: Path) -> None:
    mistake = json.dumps({"requirements": [{**GOOD, "deadline": {"within": 50}}]})
    assert told(tmp_path, mistake).startswith("line 1: requirement A: deadline.within=50: ")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "holds no mapping with the key requirements"),
        ("[1, 2]", "holds no mapping"),
        ("requirements: []", "requirements"),
        ("requirements: {", "expected the node content"),
        (b"\xff\xff\xff", "invalid start byte"),
        (
            json.dumps({"requirements": [GOOD, {**GOOD, "text": "y"}]}),
            "A is the id of several; every requirement needs one of its own",
        ),
        ("a: &a [x, x]\nrequirements: [*a, *a]", "line 2: refers to another place with *"),
        ("x" * (2**20 + 1), "has more than 1,048,576 bytes"),
        ("requirements: !!python/object/apply:os.system [exit]", "could not determine a constructor"),
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
