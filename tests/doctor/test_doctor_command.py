import re
from pathlib import Path
from typing import Any

import pytest
from refusals import refused

from orchestrator.commands import line
from orchestrator.commands.doctor import print_findings
from orchestrator.configuration.config import ClusterConfig
from orchestrator.configuration.server import ServerSettings
from orchestrator.doctor.judge import Diagnosis, judge_here

PAGE = (Path(__file__).parents[2] / "docs" / "cluster.md").read_text()


def doctor(*overrides: str) -> int:
    return line.run(["doctor", *overrides, "--quiet", "--all"])


def test_this_machine_is_examined_without_ray(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", "2000")
    code = doctor("system=cpu_1core,v100", "system.cores=1")
    lines = [cells for line in capsys.readouterr().out.splitlines()[3:] if len(cells := re.split(r" {2,}", line.strip())) == 5]
    by_what = {what: grade for _, what, grade, _, _ in lines}
    assert set(by_what.values()) <= {"good", "doubtful", "bad"}
    assert (code, by_what["system cpu_1core"], by_what["system v100"], by_what["pinning"]) == (1, "good", "bad", "good")


@pytest.fixture(scope="module")
def findings() -> list[Diagnosis]:
    return judge_here(ClusterConfig(name="inline"), [], ServerSettings())


def test_problems_alone_are_named_unless_all_is_asked_for(
    findings: list[Diagnosis], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "2000")  # a narrow terminal gets lines in place of the table where a machine is busy
    for everything in (True, False):
        print_findings(findings, everything=everything)
        out = capsys.readouterr().out
        assert bool(re.search(r" good  ", out)) is everything
        assert ("doctor --all" in " ".join(out.split())) is not everything


def test_every_line_stands_on_the_page(findings: list[Diagnosis]) -> None:
    whats = {finding.what for finding in findings}
    told = set(re.findall(r"^\| ([\w -]+) \|", PAGE, re.MULTILINE))
    assert {re.sub(r"GPU \d+", "GPU N", what) for what in whats} <= told


@pytest.mark.parametrize(
    ("overrides", "code", "key"),
    [
        (["model=resnet18"], "unsupported", "model"),
        (["+sweep=vision"], "unsupported", "sweep"),
        (["system=cpu_1cor"], "unknown", "system"),
        (["system.cores=-1"], "invalid", "system.cores"),
        (["cluster=local,inline"], "conflict", "cluster"),
        (["cluster=address"], "missing", "cluster.address"),
        (["cluster.address=10.0.0.1:6379"], "invalid", "cluster"),
        (["cluster=address", "cluster.address=somewhere"], "not_found", "cluster.address"),
    ],
)
def test_mistakes_are_refused(overrides: list[str], code: Any, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "0" * 64)  # else a cluster is not even asked
    with refused(code, key):
        doctor(*overrides)
