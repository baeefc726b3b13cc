from __future__ import annotations

import re
from pathlib import Path

import pytest

from orchestrator.commands import line
from orchestrator.commands.doctor import print_findings
from orchestrator.configuration.config import ClusterConfig
from orchestrator.configuration.server import ServerSettings
from orchestrator.contracts import InputError
from orchestrator.doctor.judge import Finding, judge_here

PAGE = (Path(__file__).parents[2] / "docs" / "cluster.md").read_text()


def doctor(*overrides: str) -> int:
    return line.run(["doctor", *overrides, "--quiet", "--all"])


def lines_of(out: str) -> list[list[str]]:
    return [cells for line in out.splitlines()[3:] if len(cells := re.split(r" {2,}", line.strip())) == 5]


def test_this_machine_is_examined_without_ray(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", "2000")
    code = doctor("system=cpu_1core,v100", "system.cores=1")
    out, err = capsys.readouterr()
    lines = lines_of(out)
    assert err == ""
    grades = [grade for _, _, grade, _, _ in lines]
    assert set(grades) <= {"good", "doubtful", "bad"}
    assert code == 1 == int("bad" in grades)
    counts = ", ".join(f"{grades.count(grade)} {grade}" for grade in ("good", "doubtful", "bad"))
    assert out.splitlines()[-1] == f"{len(lines)} lines: {counts}"
    by_what = {what: (grade, seen) for _, what, grade, seen, _ in lines}
    assert by_what["system cpu_1core"][0] == "good"
    assert by_what["system v100"][0] == "bad"
    assert by_what["pinning"][0] == "good"


@pytest.fixture(scope="module")
def findings() -> list[Finding]:
    return judge_here(ClusterConfig(name="inline"), [], ServerSettings())


@pytest.mark.parametrize("width", [60, 80, 120])
def test_problems_alone_are_named_unless_all_is_asked_for(
    findings: list[Finding], width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    print_findings(findings)
    everything = capsys.readouterr().out
    print_findings(findings, everything=False)
    brief = capsys.readouterr().out
    assert re.search(r"(\d+) lines: (\d+) good, (\d+) doubtful, (\d+) bad", everything) is not None
    assert not re.search(r" good  ", brief)
    assert ["doctor --all" in " ".join(text.split()) for text in (everything, brief)] == [False, True]
    assert all(len(line) <= width for line in brief.splitlines()[:-1])


def test_every_line_stands_on_the_page(findings: list[Finding]) -> None:
    whats = {finding.what for finding in findings}
    told = set(re.findall(r"^\| ([\w -]+) \|", PAGE, re.MULTILINE))
    assert {re.sub(r"GPU \d+", "GPU N", what) for what in whats} <= told


@pytest.mark.parametrize(
    ("overrides", "complaint"),
    [
        (["model=resnet18"], "model: a look at hosts takes cluster, system and server keys only"),
        (["+sweep=vision"], "sweep: a look at hosts takes cluster, system and server keys only; name the systems with system=a,b"),
        (["system=cpu_1cor"], r"system=cpu_1cor: no such system; did you mean cpu_1core\?"),
        (["system.cores=-1"], "system.cores=-1: "),
        (["cluster=local,inline"], "cluster=local,inline: one value is wanted here"),
        (["cluster=address"], "cluster.address: has no value yet"),
        (["cluster.address=10.0.0.1:6379"], "cluster=address needs cluster.address=HOST:PORT"),
        (["cluster=address", "cluster.address=somewhere"], "cluster.address=somewhere: nothing answers at this HOST:PORT"),
    ],
)
def test_mistakes_are_in_one_line(overrides: list[str], complaint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "0" * 64)  # else a cluster is not even asked
    with pytest.raises(InputError, match=complaint) as raised:
        doctor(*overrides)
    assert "\n" not in str(raised.value)
