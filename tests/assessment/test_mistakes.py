"""Every wrong file of requirements is one line: where, the value, the rule and the remedy."""

from pathlib import Path

import pytest
from program import orchestrator

from orchestrator.assessment.requirements import read_requirements
from orchestrator.contracts import InputError

HEAD = "requirements:\n  - id: A\n    text: x\n"


def told(content: str, folder: Path) -> str:
    """What is said of a file, after its name."""
    path = folder / "r.yaml"
    path.write_text(content, "utf-8")
    with pytest.raises(InputError) as caught:
        read_requirements(path)
    message = str(caught.value)
    assert message.isprintable()
    assert message.startswith(f"{path}: ")
    return message.removeprefix(f"{path}: ")


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("tail_qualty: {threshold: 50 ms, at_least: 0.9}", "tail_qualty: no such key; did you mean tail_quality?"),
        ("latency: {percentile: 0.99, within: 50 ms}", "latency.percentile=0.99: must be in per cent: write 99"),
        ("latency: {percentile: 100, within: 50 ms}", "latency.percentile=100: must be in per cent, above 1 and below 100, such as 99"),
        ("latency: {percentile: p99, within: 50 ms}", "latency.percentile=p99: must be a number; write one such as 0.95"),
        ("latency: {percentile: true, within: 50 ms}", "latency.percentile=true: must be a number; write one such as 0.95"),
        (
            "latency: {percentile: 99, within: 50}",
            'latency.within=50: must be a time above 0 with its unit, ns, us, ms or s, such as "33.3 ms" or "2 s"',
        ),
        (
            "latency: {percentile: 99, within: 2 min}",
            'latency.within=2 min: must be a time above 0 with its unit, ns, us, ms or s, such as "33.3 ms" or "2 s"',
        ),
        (
            "latency: {percentile: 99, within: 99999999999999 s}",
            'latency.within=99999999999999 s: must be a time above 0 with its unit, ns, us, ms or s, such as "33.3 ms" or "2 s"',
        ),
        ("latency: {percentile: 99}", "latency.within: is missing: add it, as docs/requirements.md does"),
        (
            "tail_quality: {threshold: 50, at_least: 0.9}",
            'tail_quality.threshold=50: must be a percentile of the reference trial such as p95, or a time with its unit such as "50 ms"',
        ),
        (
            "tail_quality: {threshold: p0.99, at_least: 0.9}",
            "tail_quality.threshold=p0.99: must be in per cent, above 1 and below 100, such as p99",
        ),
        (
            "tail_quality: {threshold: p100, at_least: 0.9}",
            "tail_quality.threshold=p100: must be in per cent, above 1 and below 100, such as p99",
        ),
        (
            "tail_quality: {threshold: 50 ms, at_least: 95}",
            "tail_quality: at_least=95 of ideal quality: must be a share above 0 and below 1; write 0.95",
        ),
        ("tail_quality: {threshold: 50 ms, at_least: 95%}", "tail_quality.at_least=95%: must be a number; write one such as 0.95"),
        (
            "tail_quality: {threshold: 50 ms, at_least: 1}",
            "tail_quality: at_least=1 of ideal quality: must be a share above 0 and below 1; write 0.95",
        ),
        ("tail_quality: {threshold: 50 ms, at_least: .nan}", "tail_quality.at_least=nan: must be a finite number"),
        ("tail_quality: {threshold: 50 ms, at_least: 0.9, of: idael}", "tail_quality.of=idael: must be ideal or absolute"),
        (
            "tail_quality: {threshold: 50 ms, at_least: 0.9, slice: size}",
            'tail_quality.slice=size: must be all, or NAME=GROUP such as "size=small"',
        ),
        (
            "tail_quality: {threshold: 50 ms, at_least: 0.9, metric: ''}",
            "tail_quality.metric=: is empty; write a text, or leave the key out",
        ),
        (
            "tail_quality: {threshold: 50 ms, at_least: 0.9, share_of_rounds: 90}",
            "tail_quality.share_of_rounds=90: must be a share; write 0.9",
        ),
        (
            "tail_quality: {threshold: 50 ms, at_least: 0.9, share_of_rounds: 1}",
            "tail_quality.share_of_rounds=1: must be below 1; write a smaller number",
        ),
        ("deadline: {within: 50 ms, keep: 99}", "deadline.keep=99: must be a share; write 0.99"),
        (
            "late_answers: {threshold: 50 ms, longest_streak: -1}",
            "late_answers.longest_streak=-1: must be at least 0; write a larger number",
        ),
        (
            "late_answers: {threshold: 50 ms, longest_streak: 1.5}",
            "late_answers.longest_streak=1.5: must be a whole number; write one such as 60",
        ),
        (
            "late_answers: {threshold: 50 ms, longest_streak: 2, warnings: 1}",
            "late_answers: exactly one of longest_streak, at_most with out_of, warnings, errors with error_after must be given",
        ),
        ("late_answers: {threshold: 50 ms, at_most: 3, out_of: 2}", "late_answers: at_most=3 of out_of=2 allows everything; lower at_most"),
        (
            "late_answers: {threshold: 50 ms, at_most: 3}",
            "late_answers: exactly one of longest_streak, at_most with out_of, warnings, errors with error_after must be given",
        ),
        ("memory: {at_most: 2 RAM}", "memory.at_most=2 RAM: could not interpret byte unit: RAM"),
        ("memory: {at_most: 2GiB, of: gpu}", "memory.of=gpu: must be resident or device"),
        ("answers: {}", "answers.between: is missing: add it, as docs/requirements.md does"),
        ("capacity: {at_least_per_s: 0, threshold: 50 ms}", "capacity.at_least_per_s=0: must be above 0; write a larger number"),
        ("tail_quality: {threshold: 50 ms, at_least: 0.9}\nevidence: 60", "evidence=60: must be a mapping with its keys"),
        ("tail_quality: {threshold: 50 ms, at_least: 0.9}\nevidence: {round: 60}", "evidence.round: no such key; did you mean rounds?"),
        (
            "latency: {percentile: 99, within: 50 ms}\nevidence: {rounds: 99999999999999999999999}",
            "evidence.rounds=99999999999999999999999: must be at most 1,000,000,000; write a smaller number",
        ),
        (
            "tail_quality: {threshold: 50 ms, at_least: 0.9}\ntrials: [model]",
            'trials: must be patterns by axis; write {model: "efficientnet_*"}',
        ),
        ("tail_quality: {threshold: 50 ms, at_least: 0.9}\ntrials: {model: []}", "trials.model: is empty; write at least one"),
        ("Latency: {percentile: 99, within: 50 ms}", "Latency: no such key; did you mean latency?"),
        ("tail_quality: {threshold: 50 ms, at-least: 0.9}", "tail_quality.at-least: no such key; did you mean at_least?"),
    ],
)
def test_a_mistake_in_an_entry(entry: str, said: str, tmp_path: Path) -> None:
    lines = entry.splitlines()
    content = HEAD + "".join(f"    {line}\n" for line in lines)
    assert told(content, tmp_path) == f"line {3 + len(lines)}: requirement A: {said}"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            "confidence: 95\nrequirements:\n  - id: A\n    text: x\n    tail_quality: {threshold: 50 ms, at_least: 0.9}\n",
            "line 1: confidence=95: must be a share; write 0.95",
        ),
        (
            "confidence: true\nrequirements:\n  - id: A\n    text: x\n    tail_quality: {threshold: 50 ms, at_least: 0.9}\n",
            "line 1: confidence=true: must be a number; write one such as 0.95",
        ),
        (
            "confidance: 0.95\nrequirements:\n  - id: A\n    text: x\n    tail_quality: {threshold: 50 ms, at_least: 0.9}\n",
            "line 1: confidance: no such key; did you mean confidence?",
        ),
        (
            "requirements:\n  id: A\n  text: x\n  latency: {percentile: 99, within: 50 ms}\n",
            'line 1: requirements: must be a list; begin each entry with "- "',
        ),
        ("requirements:\n", 'line 1: requirements=null: must be a list; begin each entry with "- "'),
        ("confidence: 0.95\n", "line 1: requirements: is missing: add it, as docs/requirements.md does"),
        ("requirement:\n  - {id: A, text: x}\n", "line 1: requirement: no such key; did you mean requirements?"),
        ("requirements: [A, B]\n", "line 1: requirement 1: must be a mapping with its keys"),
        (
            "requirements:\n  - id: 1\n    text: x\n    latency: {percentile: 99, within: 50 ms}\n",
            "line 2: requirement 1: id=1: must be a text; write it in quotes",
        ),
        (
            "requirements:\n  - text: x\n    latency: {percentile: 99, within: 50 ms}\n",
            "line 2: requirement 1: id: is missing: add it, as docs/requirements.md does",
        ),
        (
            "requirements:\n  - id: A\n    text: x\n    latency: {percentile: 99, within: 50 ms}\n  - id: A\n    text: y\n    latency: {percentile: 99, within: 50 ms}\n",
            "A is the id of several; every requirement needs one of its own",
        ),
        (
            "requirements:\n  - id: my req\n    text: x\n    latency: {percentile: 99, within: 50 ms}\n",
            "line 2: requirement my req: id=my req: must be 1 to 80 of the characters A-Z a-z 0-9 _ . : / + - and start with a letter or digit",
        ),
        (
            "requirements:\n  - id: A\n    text: x\n    tail_quality: {threshold: 50 ms, at_least: 0.9}\nrequirements: []\n",
            "line 5: requirements is given twice, first in line 1: write it in the form of docs/requirements.md",
        ),
        (
            "requirements:\n\t- id: A\n",
            "while scanning for the next token found character '\\t' that cannot start any token in \"<byte string>\", line 2, column 1: - id: A ^: write it in the form of docs/requirements.md",
        ),
        (
            "requirements:\n  - id: A\n    text: At 30: x\n    latency: {percentile: 99, within: 50 ms}\n",
            'mapping values are not allowed here in "<byte string>", line 3, column 16: text: At 30: x ^: write it in the form of docs/requirements.md',
        ),
        (
            "requirements: []\n---\nrequirements: []\n",
            'expected a single document in the stream in "<byte string>", line 1, column 1: requirements: [] ^ but found another document in "<byte string>", line 2, column 1: --- ^: write it in the form of docs/requirements.md',
        ),
        (
            "a: &x {percentile: 99, within: 50 ms}\nrequirements:\n  - id: A\n    text: x\n    latency:\n      <<: *x\n",
            "line 6: refers to another place with *, or is nested deeper than 30 levels: write it in the form of docs/requirements.md",
        ),
        (
            "requirements:\n  - id: no\n    text: x\n    latency: {percentile: 99, within: 50 ms}\n",
            "line 2: requirement False: id=false: must be a text; write it in quotes",
        ),
        ("requirements: 2026-99-99\n", "month must be in 1..12: write it in the form of docs/requirements.md"),
        (
            "requirements:\n  - {[a]: b}\n",
            'while constructing a mapping in "<byte string>", line 2, column 5: - {[a]: b} ^ found unhashable key in "<byte string>", line 2, column 6: - {[a]: b} ^: write it in the form of docs/requirements.md',
        ),
        (
            "requirements: \x00\n",
            'unacceptable character #x0000: special characters are not allowed in "<byte string>", position 14: write it in the form of docs/requirements.md',
        ),
        (
            f"requirements: {'[' * 500_000}\n",
            "line 1: refers to another place with *, or is nested deeper than 30 levels: write it in the form of docs/requirements.md",
        ),
        (
            'requirements:\n  - id: "A\\e[31m"\n    text: x\n    latency: {percentile: 99, within: "50\\nms"}\n',
            "line 2: requirement A\\x1b[31m: id=A\\x1b[31m: must be 1 to 80 of the characters A-Z a-z 0-9 _ . : / + - and start with a letter or digit",
        ),
        (
            "requirements:\n  - id: A\n    text: x\n    latency:\n",
            "line 2: requirement A: asks for nothing: must have exactly one of deadline, late_answers, answers, tail_quality, latency, capacity, first_inference, cold_start, memory",
        ),
        (
            "requirements:\n  - id: A\n    text: x\n    latency: {percentile: 99, within: 50 ms}\n    tail_quality: {threshold: 50 ms, at_least: 0.9}\n",
            "line 2: requirement A: has tail_quality and latency: must have exactly one of deadline, late_answers, answers, tail_quality, latency, capacity, first_inference, cold_start, memory",
        ),
        (
            "requirements:\n  - id: A\n    text: x\n    latency: {percentile: 99, within: 50 ms}\n    latency: {percentile: 95, within: 50 ms}\n",
            "line 5: latency is given twice, first in line 4: write it in the form of docs/requirements.md",
        ),
    ],
)
def test_a_mistake_in_a_file(content: str, said: str, tmp_path: Path) -> None:
    assert told(content, tmp_path) == said


def test_a_mistake_ends_every_verb_with_2(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(HEAD + "    latency: {percentile: 0.99, within: 50 ms}\n", "utf-8")
    found = orchestrator("assess", tmp_path, "--requirements", path, cwd=tmp_path)
    said = "requirement A: latency.percentile=0.99: must be in per cent: write 99"
    assert (found.returncode, found.stdout, found.stderr) == (2, "", f"error: {path}: line 4: {said}\n")
