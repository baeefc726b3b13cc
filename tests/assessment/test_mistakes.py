"""Every wrong file of requirements is one line: where, the value, the rule and the remedy."""

from __future__ import annotations

from pathlib import Path

import pytest
from program import orchestrator

from orchestrator.assessment.requirements import KINDS, read_requirements
from orchestrator.contracts import InputError

HEAD = "requirements:\n  - id: A\n    text: x\n"
ALL = ", ".join(KINDS)
ONE_KIND = f"must have exactly one of {ALL}"
TIME = 'must be a time above 0 with its unit, ns, us, ms or s, such as "33.3 ms" or "2 s"'
PER_CENT = "must be in per cent, above 1 and below 100, such as 99"
TRUTH = "must be a number, which true and false are not; write one"
PATTERNS = 'must be a pattern or a list of them, such as "cpu_*"'
CHARACTERS = "must be 1 to 80 of the characters A-Z a-z 0-9 _ . : / + - and start with a letter or digit"
FORM = "write it in the form of docs/requirements.md"


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
        ("source:", "source=null: must be a text"),
        ("tail_qualty: {threshold: 50 ms, at_least: 0.9}", "tail_qualty: no such key; did you mean tail_quality?"),
        ("latency: 50 ms", "latency=50 ms: must be a mapping with its keys; write {percentile: ..., within: ...}"),
        ("latency: [99, 50 ms]", "latency: must be a mapping with its keys; write {percentile: ..., within: ...}"),
        ("latency: {percentile: 0.99, within: 50 ms}", "latency.percentile=0.99: must be in per cent: write 99"),
        ("latency: {percentile: 1, within: 50 ms}", f"latency.percentile=1: {PER_CENT}"),
        ("latency: {percentile: 100, within: 50 ms}", f"latency.percentile=100: {PER_CENT}"),
        ("latency: {percentile: 0, within: 50 ms}", f"latency.percentile=0: {PER_CENT}"),
        ("latency: {percentile: p99, within: 50 ms}", "latency.percentile=p99: must be a number; write one such as 99"),
        ("latency: {percentile: true, within: 50 ms}", f"latency.percentile=true: {TRUTH}"),
        ("latency: {percentile: 99, within: 50}", f'latency.within=50: {TIME}; if it is in milliseconds, write "50 ms"'),
        ("latency: {percentile: 99, within: 2 min}", f"latency.within=2 min: {TIME}"),
        ("latency: {percentile: 99, within: 2 seconds}", f"latency.within=2 seconds: {TIME}"),
        ("latency: {percentile: 99, within: -2 ms}", f"latency.within=-2 ms: {TIME}"),
        ("latency: {percentile: 99, within: '2,5 ms'}", f"latency.within=2,5 ms: {TIME}"),
        ("latency: {percentile: 99, within: '1e3 ms'}", f"latency.within=1e3 ms: {TIME}"),
        ("latency: {percentile: 99, within: 50 MS}", f"latency.within=50 MS: {TIME}"),
        ("latency: {percentile: 99}", "latency.within is missing: add it; the form of docs/requirements.md has an example"),
        (
            "latency: {percentile: 99, within: 99999999999999 s}",
            "latency.within=99999999999999 s: must be at most 292 years; write a shorter time",
        ),
        ("latency: {percentile: 99, within: [50 ms]}", f"latency.within: {TIME}"),
        ("latency: {percentile: 99, within: 50 µs}", f"latency.within=50 µs: {TIME}"),
        (
            "tail_quality: {threshold: 50, at_least: 0.9}",
            'tail_quality.threshold=50: has no unit: write "50 ms" for a time, p50 for a percentile of the reference trial',
        ),
        ("tail_quality: {threshold: 1 s, at_least: 0.9}", 'tail_quality.threshold=1 s: must be in ms: write "1000 ms"'),
        ("tail_quality: {threshold: 500 us, at_least: 0.9}", 'tail_quality.threshold=500 us: must be in ms: write "0.5 ms"'),
        ("tail_quality: {threshold: p0.99, at_least: 0.9}", "tail_quality.threshold=p0.99: must be in per cent: write p99"),
        ("tail_quality: {threshold: p100, at_least: 0.9}", "tail_quality.threshold=p100: must lie above p0 and below p100, such as p99"),
        (
            "tail_quality: {threshold: P95, at_least: 0.9}",
            'tail_quality.threshold=P95: must be a percentile such as p95 or a time such as "50 ms"',
        ),
        (
            "tail_quality: {threshold: p, at_least: 0.9}",
            'tail_quality.threshold=p: must be a percentile such as p95 or a time such as "50 ms"',
        ),
        (
            "tail_quality: {threshold: 50 ms, at_least: 95}",
            "tail_quality: at_least=95 of ideal quality: must be a share above 0 and below 1; write 0.95",
        ),
        ("tail_quality: {threshold: 50 ms, at_least: 95%}", "tail_quality.at_least=95%: must be a number; of a share write 0.95"),
        (
            "tail_quality: {threshold: 50 ms, at_least: 1}",
            "tail_quality: at_least=1 of ideal quality: must be a share above 0 and below 1 (that nothing at all is lost, no number of rounds shows); write 0.95",
        ),
        ("tail_quality: {threshold: 50 ms, at_least: .nan}", "tail_quality.at_least=nan: must be a number; write one such as 0.95"),
        ("tail_quality: {threshold: 50 ms, at_least: true}", f"tail_quality.at_least=true: {TRUTH}"),
        (
            "tail_quality: {threshold: 50 ms, at_least: .inf, of: absolute}",
            "tail_quality.at_least=inf: must be a number; write one such as 0.95",
        ),
        ("tail_quality: {threshold: 50 ms, at_least: 0.9, of: idael}", "tail_quality.of=idael: must be ideal or absolute"),
        (
            "tail_quality: {threshold: 50 ms, at_least: 0.9, clock: totl}",
            "tail_quality.clock=totl: must be inference, total, response, first_token or per_token",
        ),
        (
            "tail_quality: {threshold: 50 ms, at_least: 0.9, slice: size}",
            'tail_quality.slice=size: must be all, or NAME=GROUP such as "size=small"',
        ),
        (
            "tail_quality: {threshold: 50 ms, at_least: 0.9, slice: size=}",
            'tail_quality.slice=size=: must be all, or NAME=GROUP such as "size=small"',
        ),
        ("tail_quality: {threshold: 50 ms, at_least: 0.9, metric: [top1]}", "tail_quality.metric: must be a text"),
        (
            "tail_quality: {threshold: 50 ms, at_least: 0.9, metric: ''}",
            "tail_quality.metric: is empty; write a text, or leave the key out",
        ),
        (
            "tail_quality: {threshold: 50 ms, at_least: 0.9, share_of_rounds: 1}",
            "tail_quality.share_of_rounds=1: must be below 1; write less, such as 0.9: that all of them keep it, no number of them shows",
        ),
        (
            "tail_quality: {threshold: 50 ms, at_least: 0.9, share_of_rounds: 90}",
            "tail_quality.share_of_rounds=90: must be below 1; of a share write 0.9",
        ),
        (
            "tail_quality: {threshold: 50 ms, at_least: 0.9, share_of_rounds: 0}",
            "tail_quality.share_of_rounds=0: must be above 0; write a larger number",
        ),
        ("deadline: {within: 50 ms, keep: 99}", "deadline.keep=99: must be at most 1; of a share write 0.99"),
        (
            "late_answers: {threshold: 50 ms, longest_streak: -1}",
            "late_answers.longest_streak=-1: must be at least 0; write a larger number",
        ),
        (
            "late_answers: {threshold: 50 ms, longest_streak: 1.5}",
            "late_answers.longest_streak=1.5: must be a whole number; write one such as 60",
        ),
        (
            "late_answers: {threshold: 50 ms, longest_streak: two}",
            "late_answers.longest_streak=two: must be a whole number; write one such as 60",
        ),
        ("late_answers: {threshold: 50 ms, longest_streak: true}", f"late_answers.longest_streak=true: {TRUTH}"),
        (
            "late_answers: {threshold: 50 ms, longest_streak: 2, warnings: 1}",
            "late_answers: exactly one of longest_streak, at_most with out_of, warnings, errors with error_after must be given",
        ),
        (
            "late_answers: {threshold: 50 ms}",
            "late_answers: exactly one of longest_streak, at_most with out_of, warnings, errors with error_after must be given",
        ),
        ("late_answers: {threshold: 50 ms, at_most: 3, out_of: 2}", "late_answers: at_most=3 of out_of=2 allows everything; lower at_most"),
        (
            "late_answers: {threshold: 50 ms, at_most: 3}",
            "late_answers: at_most and out_of belong together, as at_most: 1 and out_of: 10; add the other",
        ),
        (
            "late_answers: {threshold: 50 ms, out_of: 3}",
            "late_answers: at_most and out_of belong together, as at_most: 1 and out_of: 10; add the other",
        ),
        (
            "late_answers: {threshold: 50 ms, errors: 3}",
            'late_answers: errors and error_after belong together, as errors: 0 and error_after: "100 ms"; add the other',
        ),
        ("first_inference: {within: 50 ms, state: hot}", "first_inference.state=hot: must be cold or warm"),
        (
            "cold_start: {within: 5 s, share_of_starts: 1}",
            "cold_start.share_of_starts=1: must be below 1; write less, such as 0.9: that all of them keep it, no number of them shows",
        ),
        ("memory: {at_most: 2 GB RAM}", "memory.at_most=2 GB RAM: must be a number of bytes such as 500MB or 4GiB"),
        ("memory: {at_most: 0}", "memory.at_most=0: must be above 0 and at most 2^60 bytes; write one such as 500MB or 4GiB"),
        ("memory: {at_most: 2}", 'memory.at_most=2: has no unit: write "2GiB", "2MB" or, if it is in bytes, "2B"'),
        ("memory: {at_most: '2048'}", 'memory.at_most=2048: has no unit: write "2048GiB", "2048MB" or, if it is in bytes, "2048B"'),
        ("memory: {at_most: 2GiB, of: gpu}", "memory.of=gpu: must be resident or device"),
        ("memory: {at_most: [1]}", "memory.at_most: must be a number of bytes such as 500MB or 4GiB"),
        ("memory: {at_most: true}", "memory.at_most=true: must be a number of bytes such as 500MB or 4GiB"),
        ("answers: {between: models}", "answers.between=models: must be rounds or systems"),
        ("answers: {}", "answers.between is missing: add it; the form of docs/requirements.md has an example"),
        ("capacity: {at_least_per_s: 30/s, threshold: 50 ms}", "capacity.at_least_per_s=30/s: must be a number; write one such as 30"),
        ("capacity: {at_least_per_s: 0, threshold: 50 ms}", "capacity.at_least_per_s=0: must be above 0; write a larger number"),
        (
            "tail_quality: {threshold: 50 ms, at_least: 0.9}\nevidence: 60",
            "evidence=60: must be a mapping with its keys; write {rounds: ...}",
        ),
        ("tail_quality: {threshold: 50 ms, at_least: 0.9}\nevidence: {round: 60}", "evidence.round: no such key; did you mean rounds?"),
        (
            "tail_quality: {threshold: 50 ms, at_least: 0.9}\nevidence: {visits: -1}",
            "evidence.visits=-1: must be at least 0; write a larger number",
        ),
        (
            "tail_quality: {threshold: 50 ms, at_least: 0.9}\nevidence: {sessions: 0}",
            "evidence.sessions=0: must be at least 1; write a larger number",
        ),
        (
            "tail_quality: {threshold: 50 ms, at_least: 0.9}\nevidence: {rounds: 60.5}",
            "evidence.rounds=60.5: must be a whole number; write one such as 60",
        ),
        (
            "tail_quality: {threshold: 50 ms, at_least: 0.9}\nevidence: {rounds: all}",
            "evidence.rounds=all: must be a whole number; write one such as 60",
        ),
        ("tail_quality: {threshold: 50 ms, at_least: 0.9}\nevidence: {accept_flags:}", f"evidence.accept_flags=null: {PATTERNS}"),
        ("tail_quality: {threshold: 50 ms, at_least: 0.9}\nevidence: {accept_flags: {a: 1}}", f"evidence.accept_flags: {PATTERNS}"),
        (
            "tail_quality: {threshold: 50 ms, at_least: 0.9}\ntrials: [model]",
            'trials: must be patterns by axis; write {model: "efficientnet_*"}',
        ),
        (
            "tail_quality: {threshold: 50 ms, at_least: 0.9}\ntrials: efficientnet",
            'trials=efficientnet: must be patterns by axis; write {model: "efficientnet_*"}',
        ),
        ("tail_quality: {threshold: 50 ms, at_least: 0.9}\ntrials: {model: []}", "trials.model: is empty; write at least one"),
        (
            "tail_quality: {threshold: 50 ms, at_least: 0.9}\ntrials: {model: ''}",
            "trials.model.0: is empty; write a text, or leave the key out",
        ),
        ("tail_quality: {threshold: 50 ms, at_least: 0.9}\ntrials: {model: {name: x}}", f"trials.model: {PATTERNS}"),
        (
            "tail_quality: {threshold: 50 ms, at_least: 0.9}\ntrials: {modle: x}",
            "trials.modle: no trial has such a key: choose model, task, system, runtime, batch, repeat, load or a key of a trial, such as measurement.batch; did you mean model?",
        ),
        ("tail_quality: {threshold: 50 ms, at_least: 0.9}\ntrials: {1: x}", 'trials.1=1: must be a text; write it in quotes, as "1"'),
        ("Latency: {percentile: 99, within: 50 ms}", "Latency: no such key; did you mean latency?"),
        ("latency: {Percentile: 99, within: 50 ms}", "latency.Percentile: no such key; did you mean percentile?"),
        ("tail-quality: {threshold: 50 ms, at_least: 0.9}", "tail-quality: no such key; did you mean tail_quality?"),
        ("tail_quality: {threshold: 50 ms, at-least: 0.9}", "tail_quality.at-least: no such key; did you mean at_least?"),
        (
            "latency: {percentile: 99, within: 50 ms}\nevidence: {rounds: 99999999999999999999999}",
            "evidence.rounds=99999999999999999999999: must be at most 1,000,000,000; write a smaller number",
        ),
        ("latency: {percentile: 99, within: 1:30}", f'latency.within=90: {TIME}; if it is in milliseconds, write "90 ms"'),
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
            "line 1: confidence=95: must be below 1; of a share write 0.95",
        ),
        (
            "confidence: 95%\nrequirements:\n  - id: A\n    text: x\n    tail_quality: {threshold: 50 ms, at_least: 0.9}\n",
            "line 1: confidence=95%: must be a number; of a share write 0.95",
        ),
        (
            "confidence: -1\nrequirements:\n  - id: A\n    text: x\n    tail_quality: {threshold: 50 ms, at_least: 0.9}\n",
            "line 1: confidence=-1: must be at least 0.5; write a larger number",
        ),
        (
            "confidence: true\nrequirements:\n  - id: A\n    text: x\n    tail_quality: {threshold: 50 ms, at_least: 0.9}\n",
            f"line 1: confidence=true: {TRUTH}",
        ),
        (
            "confidence: 0.3\nrequirements:\n  - id: A\n    text: x\n    tail_quality: {threshold: 50 ms, at_least: 0.9}\n",
            "line 1: confidence=0.3: must be at least 0.5; write a larger number",
        ),
        (
            "confidence:\nrequirements:\n  - id: A\n    text: x\n    tail_quality: {threshold: 50 ms, at_least: 0.9}\n",
            "line 1: confidence=null: must be a number; write one such as 0.95",
        ),
        (
            "confidance: 0.95\nrequirements:\n  - id: A\n    text: x\n    tail_quality: {threshold: 50 ms, at_least: 0.9}\n",
            "line 1: confidance: no such key; did you mean confidence?",
        ),
        (
            "requirements:\n  id: A\n  text: x\n  latency: {percentile: 99, within: 50 ms}\n",
            'line 1: requirements: must be a list; begin each entry with "- id: NAME"',
        ),
        ("requirements:\n", 'line 1: requirements=null: must be a list; begin each entry with "- id: NAME"'),
        ("requirements: all\n", 'line 1: requirements=all: must be a list; begin each entry with "- id: NAME"'),
        ("confidence: 0.95\n", "line 1: requirements is missing: add it; the form of docs/requirements.md has an example"),
        ("requirement:\n  - {id: A, text: x}\n", "line 1: requirement: no such key; did you mean requirements?"),
        (
            "requirements: [A, B]\n",
            "line 1: requirements.0=A: must be a mapping with its keys; write - id: NAME, and its keys below (and 1 more: line 1 (requirements.1))",
        ),
        ("requirements:\n  -\n", "line 2: requirements.0=null: must be a mapping with its keys; write - id: NAME, and its keys below"),
        (
            "requirements:\n  - id: 1\n    text: x\n    latency: {percentile: 99, within: 50 ms}\n",
            'line 2: requirement 1: id=1: must be a text; write it in quotes, as "1"',
        ),
        (
            "requirements:\n  - id: 1.10\n    text: x\n    latency: {percentile: 99, within: 50 ms}\n",
            'line 2: requirement 1.1: id=1.1: must be a text; write it in quotes, as "1.1"',
        ),
        (
            "requirements:\n  - text: x\n    latency: {percentile: 99, within: 50 ms}\n",
            "line 2: requirement 1: id is missing: add it; the form of docs/requirements.md has an example",
        ),
        (
            "requirements:\n  - id: A\n    text: x\n    latency: {percentile: 99, within: 50 ms}\n  - id: A\n    text: y\n    latency: {percentile: 99, within: 50 ms}\n",
            "line 5: requirement A: id: is that of entries 1 and 2; every requirement needs one of its own",
        ),
        (
            "requirements:\n  - id: my req\n    text: x\n    latency: {percentile: 99, within: 50 ms}\n",
            f"line 2: requirement my req: id=my req: {CHARACTERS}",
        ),
        (
            "requirements:\n  - id: A\n    latency: {percentile: 99, within: 50 ms}\n",
            "line 2: requirement A: text is missing: add it; the form of docs/requirements.md has an example",
        ),
        (
            "requirements:\n  - id: A\n    text: ''\n    latency: {percentile: 99, within: 50 ms}\n",
            "line 3: requirement A: text: is empty; write a text, or leave the key out",
        ),
        (
            "requirements:\n  - id: A\n    text: [a]\n    latency: {percentile: 99, within: 50 ms}\n",
            "line 3: requirement A: text: must be a text",
        ),
        (
            "requirements:\n  - id: A\n    text: 5\n    latency: {percentile: 99, within: 50 ms}\n",
            'line 3: requirement A: text=5: must be a text; write it in quotes, as "5"',
        ),
        (
            "requirements:\n  - id: A\n    text: x\n    tail_quality: {threshold: 50 ms, at_least: 0.9}\nrequirements: []\n",
            "line 5: requirements is given twice, first in line 1: leave one of them",
        ),
        ("requirements:\n\t- id: A\n", "line 2: is no YAML (found character '\\t' that cannot start any token): indent with spaces"),
        (
            "requirements:\n  - id: A\n    text: At 30: x\n    latency: {percentile: 99, within: 50 ms}\n",
            "line 3: is no YAML (mapping values are not allowed here): write a text that has a colon in quotes",
        ),
        ("requirements:\n  - id: A\n   text: x\n", f"line 3: is no YAML (expected <block end>, but found '<block mapping start>'): {FORM}"),
        (
            "requirements:\n  - id: A\n    text: x\n    tail_quality: {threshold: 50 ms, at_least: 0.9}\n---\nrequirements:\n  - id: A\n    text: x\n    tail_quality: {threshold: 50 ms, at_least: 0.9}\n",
            "line 5: is no YAML (holds several documents): leave out what follows ---, or put it into a file of its own",
        ),
        (
            "a: &x {percentile: 99, within: 50 ms}\nrequirements:\n  - id: A\n    text: x\n    latency:\n      <<: *x\n",
            "line 6: *x refers to another place, which may stand for more than memory holds: write it out",
        ),
        (
            "requirements:\n  - id: 2026-01-01\n    text: x\n    latency: {percentile: 99, within: 50 ms}\n",
            "line 2: requirement 2026-01-01: id: must be a text",
        ),
        (
            "requirements:\n  - id: no\n    text: x\n    latency: {percentile: 99, within: 50 ms}\n",
            'line 2: requirement false: id=false: must be a text; write it in quotes, as "false"',
        ),
        ("requirements: 2026-99-99\n", f"is no YAML (month must be in 1..12): {FORM}"),
        ("requirements:\n  - {[a]: b}\n", f"line 2: is no YAML (found unhashable key): {FORM}"),
        (
            "requirements: \x00\n",
            f'is no YAML (unacceptable character #x0000: special characters are not allowed in "<byte string>", position 14): {FORM}',
        ),
        (
            f"requirements: {'[' * 500_000}\n",
            f"line 1: is nested deeper than 30 levels: {FORM}",
        ),
        ("<html>\n<body>: x", "line 2: is no YAML (mapping values are not allowed here): write a text that has a colon in quotes"),
        (
            'requirements:\n  - id: "A\\nB"\n    text: x\n    latency: {percentile: 99, within: 50 ms}\n',
            f"line 2: requirement A B: id=A B: {CHARACTERS}",
        ),
        (
            'requirements:\n  - id: "A\\e[31m"\n    text: x\n    latency: {percentile: 99, within: "50\\nms"}\n',
            f"line 2: requirement A\\x1b[31m: id=A\\x1b[31m: {CHARACTERS} (and 1 more: line 4 (latency.within))",
        ),
        ("requirements:\n  - id: A\n    text: x\n    latency:\n", f"line 2: requirement A: asks for nothing: {ONE_KIND}"),
        (
            "requirements:\n  - id: A\n    text: x\n    latency: {percentile: 99, within: 50 ms}\n    tail_quality: {threshold: 50 ms, at_least: 0.9}\n",
            f"line 2: requirement A: has tail_quality and latency: {ONE_KIND}",
        ),
        ("requirements:\n  - id: A\n    text: x\n    source: y\n", f"line 2: requirement A: asks for nothing: {ONE_KIND}"),
        (
            "requirements:\n  - id: A\n    text: x\n    latency: {percentile: 99, within: 50 ms}\n    latency: {percentile: 95, within: 50 ms}\n",
            "line 5: latency is given twice, first in line 4: leave one of them",
        ),
        (
            "requirements:\n  - id: A\n    text: x\n    latency: {percentile: 99, within: 50 ms, within: 5 ms}\n",
            "line 4: within is given twice, first in line 4: leave one of them",
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
