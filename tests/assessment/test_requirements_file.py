"""A file of requirements is read, or refused with a code, the key and the value."""

import json
from pathlib import Path
from typing import Any

import pytest
from refusals import refused

from orchestrator.assessment.requirements import read_requirements
from orchestrator.contracts import Code

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples" / "requirements"
GOOD: dict[str, Any] = {"id": "A", "text": "x", "deadline": {"within": "50 ms"}}


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
    assert found.asked.within == 33_300_000
    assert (found.asked.kind, found.confidence, found.evidence.rounds) == ("latency", 0.95, 1)


def test_the_error_is_divided_evenly_or_as_the_requirement_says(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    entries = [{**GOOD, "id": f"R{number}"} for number in range(4)]
    path.write_text(json.dumps({"confidence": 0.9, "requirements": [*entries, {**GOOD, "confidence": 0.999}]}))
    found = read_requirements(path)
    assert [round(found.error_of(one), 6) for one in found.requirements] == [0.02, 0.02, 0.02, 0.02, 0.001]


@pytest.mark.parametrize(
    ("entry", "key", "code"),
    [
        ("tail_qualty: {threshold: 50 ms, at_least: 0.9}", "tail_qualty", "unknown"),
        ("tail_quality: {threshold: 50 ms, at-least: 0.9}", "tail_quality.at-least", "unknown"),
        ("latency: {percentile: 0.99, within: 50 ms}", "latency.percentile", "invalid"),
        ("latency: {percentile: p99, within: 50 ms}", "latency.percentile", "invalid"),
        ("latency: {percentile: true, within: 50 ms}", "latency.percentile", "invalid"),
        ("latency: {percentile: 99, within: 50}", "latency.within", "invalid"),
        ("latency: {percentile: 99, within: 2 min}", "latency.within", "invalid"),
        ("latency: {percentile: 99, within: 99999999999999 s}", "latency.within", "invalid"),
        ("latency: {percentile: 99}", "latency.within", "missing"),
        ("tail_quality: {threshold: p0.99, at_least: 0.9}", "tail_quality.threshold", "invalid"),
        ("tail_quality: {threshold: 50 ms, at_least: 95}", "tail_quality", "invalid"),
        ("tail_quality: {threshold: 50 ms, at_least: .nan}", "tail_quality.at_least", "invalid"),
        ("tail_quality: {threshold: 50 ms, at_least: 0.9, slice: size}", "tail_quality.slice", "invalid"),
        ("tail_quality: {threshold: 50 ms, at_least: 0.9, share_of_rounds: 90}", "tail_quality.share_of_rounds", "invalid"),
        ("tail_quality: {threshold: 50 ms, at_least: 0.9, share_of_rounds: 1}", "tail_quality.share_of_rounds", "invalid"),
        ("deadline: {within: 50 ms, keep: 99}", "deadline.keep", "invalid"),
        ("late_answers: {threshold: 50 ms, longest_streak: -1}", "late_answers.longest_streak", "invalid"),
        ("late_answers: {threshold: 50 ms, longest_streak: 2, warnings: 1}", "late_answers", "invalid"),
        ("late_answers: {threshold: 50 ms, at_most: 3, out_of: 2}", "late_answers", "invalid"),
        ("late_answers: {threshold: 50 ms, at_most: 3}", "late_answers", "invalid"),
        ("memory: {at_most: 2 RAM}", "memory.at_most", "invalid"),
        ("answers: {}", "answers.between", "missing"),
        ("capacity: {at_least_per_s: 0, threshold: 50 ms}", "capacity.at_least_per_s", "invalid"),
        ("deadline: {within: 50 ms}\nevidence: {round: 60}", "evidence.round", "unknown"),
        ("deadline: {within: 50 ms}\nevidence: {rounds: 99999999999999999999999}", "evidence.rounds", "invalid"),
        ("deadline: {within: 50 ms}\ntrials: {model: []}", "trials.model", "invalid"),
    ],
)
def test_a_mistake_in_an_entry_is_reported_with_its_line(entry: str, key: str, code: Code, tmp_path: Path) -> None:
    lines = entry.splitlines()
    path = tmp_path / "r.yaml"
    path.write_text("requirements:\n  - id: A\n    text: x\n" + "".join(f"    {line}\n" for line in lines))
    with refused(code, key) as caught:
        read_requirements(path)
    assert str(caught.value).startswith(f"{path}: line {3 + len(lines)}: requirement A: ")


@pytest.mark.parametrize(
    ("content", "code", "key"),
    [
        ("confidence: 95\nrequirements: [{id: A, text: x, deadline: {within: 50 ms}}]", "invalid", "confidence"),
        ("confidance: 0.95\nrequirements: [{id: A, text: x, deadline: {within: 50 ms}}]", "unknown", "confidance"),
        ("requirements:\n", "invalid", "requirements"),
        ("requirements: []", "invalid", "requirements"),
        ("confidence: 0.95\n", "missing", "requirements"),
        ("requirements: [A, B]\n", "invalid", ""),
        ("requirements: [{text: x, deadline: {within: 50 ms}}]", "missing", "id"),
        ("requirements: [{id: 1, text: x, deadline: {within: 50 ms}}]", "invalid", "id"),
        ("requirements: [{id: my req, text: x, deadline: {within: 50 ms}}]", "invalid", "id"),
        ("requirements: [{id: A, text: x}]", "invalid", ""),
        ("requirements: [{id: A, text: x, deadline: {within: 5 ms}, cold_start: {within: 1 s}}]", "invalid", ""),
        (json.dumps({"requirements": [GOOD, {**GOOD, "text": "y"}]}), "invalid", ""),
        ("requirements: []\nrequirements: []\n", "damaged", ""),
        ("requirements: []\n---\nrequirements: []\n", "damaged", ""),
        ("requirements: 2026-99-99\n", "damaged", ""),
        ("requirements: {", "damaged", ""),
        ("", "damaged", ""),
        ("[1, 2]", "damaged", ""),
        (b"\xff\xff\xff", "damaged", ""),
        ("a: &a [x, x]\nrequirements: [*a, *a]", "damaged", ""),
        (f"requirements: {'[' * 500_000}\n", "damaged", ""),
        ("x" * (2**20 + 1), "too_large", ""),
        ("requirements: !!python/object/apply:os.system [exit]", "damaged", ""),
    ],
    ids=lambda given: str(given)[:40],
)
def test_a_file_that_cannot_be_one(content: str | bytes, code: Code, key: str, tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with refused(code, key) as caught:
        read_requirements(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert str(caught.value).isprintable()


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with refused("unreadable", value=tmp_path / "no.yaml"):
        read_requirements(tmp_path / "no.yaml")
