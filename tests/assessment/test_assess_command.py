"""`assess` on stored campaigns: exit codes, and what is printed and written."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from program import Done, orchestrator
from synthetic_study import Effects, synthetic_campaign

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples" / "requirements"
MODELS = {"efficientnet_lite0": 0.0, "efficientnet_lite2": 0.5}
"""Names of `+sweep=vision`, and 120 rounds in visits of two."""


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    effects = Effects(
        model=MODELS, system={"cpu_1core": 0.6, "cpu_all": 0.0}, right={"efficientnet_lite0": 0.8, "efficientnet_lite2": 0.9},
        bursts={"cpu_1core": (0.05, 5.0)}, drift={"cpu_all": 0.5},
    )  # fmt: skip
    return synthetic_campaign(tmp_path_factory.mktemp("assess") / "campaign", effects, repeats=1, rounds=120, samples=20)


def assessed(campaign: Path, requirements: Path, *more: str | Path) -> Done:
    return orchestrator("assess", campaign, "--requirements", requirements, *more, cwd=campaign.parent)


@pytest.mark.parametrize(("name", "code"), [("met", 0), ("not_met", 1), ("not_shown", 3)])
def test_the_examples_give_their_exit_codes(name: str, code: int, campaign: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    found = assessed(campaign, EXAMPLES / f"{name}.yaml")
    assert (found.returncode, found.stderr) == (code, "")
    assert max(map(len, found.stdout.splitlines())) <= 80
    assert "No met is false, of all together, at a confidence of 0.95" in " ".join(found.stdout.split())


def test_never_a_bare_pass(campaign: Path) -> None:
    out = " ".join(assessed(campaign, EXAMPLES / "met.yaml").stdout.split())
    assert "met EXAMPLE-1 Within a minute" in out
    assert "tail quality (top1, total) at 60000 ms: 0.8" in out
    assert "rests on 120 rounds, 60 visits, 1 process, 1 day" in out
    assert "source: an example; confidence 0.9875" in out


def test_not_shown_says_how_many_rounds_are_missing(campaign: Path) -> None:
    out = " ".join(assessed(campaign, EXAMPLES / "not_shown.yaml").stdout.split())
    assert "missing: too few for this share: about " in out
    assert "missing: too few for this share: about 367 more processes" in out


def test_every_system_is_shown_on_request(campaign: Path) -> None:
    short, full = (assessed(campaign, EXAMPLES / "met.yaml", *more).stdout for more in ([], ["--full"]))
    assert "8 systems: 8 met; --full shows all" in short
    assert full.count("EXAMPLE-1") == 1
    assert full.count("rests on") == 4 * 8
    assert short.count("rests on") == 4 * 3


def test_a_file_that_breaks_a_rule_is_a_mistake(campaign: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("requirements: [{id: A, text: x}]")
    found = assessed(campaign, bad)
    assert (found.returncode, found.stdout) == (2, "")
    assert found.stderr.startswith(f"error: {bad}: line 1: requirement A: ")
    assert len(found.stderr.splitlines()) == 1
    assert assessed(campaign, tmp_path / "none.yaml").returncode == 2
    assert assessed(tmp_path, EXAMPLES / "met.yaml").returncode == 2


def test_json_holds_every_figure(campaign: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    found = assessed(campaign, EXAMPLES / "not_met.yaml", "--json", path)
    assert f"written: {path}" in found.stdout
    document: dict[str, Any] = json.loads(path.read_text("utf-8"))
    assert (document["exit_code"], document["confidence"], document["correction"]) == (1, 0.95, "Bonferroni")
    first = document["requirements"][0]
    assert (first["id"], first["verdict"], first["allowed_error"]) == ("EXAMPLE-1", "not met", pytest.approx(0.025))
    assert len(first["systems"]) == 8
    one = first["systems"][0]
    assert one["figure"] == 0
    assert one["high"] < one["asked"]
    assert (one["rounds"], one["visits"], one["processes"], one["sessions"]) == (120, 60, 1, 1)
    again = tmp_path / "b.json"
    assessed(campaign, EXAMPLES / "not_met.yaml", "--json", again)
    assert again.read_bytes() == path.read_bytes()


@pytest.mark.parametrize(("name", "failures", "errors"), [("met", 0, 0), ("not_met", 16, 0), ("not_shown", 0, 16)])
def test_junit_fails_what_is_not_met_and_does_not_pass_what_is_not_shown(
    name: str, failures: int, errors: int, campaign: Path, tmp_path: Path
) -> None:
    path = tmp_path / "a.xml"
    assessed(campaign, EXAMPLES / f"{name}.yaml", "--junit", path)
    root = ET.fromstring(path.read_bytes())
    assert root.tag == "testsuites"
    assert (int(root.attrib["failures"]), int(root.attrib["errors"])) == (failures, errors)
    cases = root.findall("testsuite/testcase")
    assert len(cases) == int(root.attrib["tests"])
    assert len(root.findall("testsuite/testcase/failure")) == failures
    assert len(root.findall("testsuite/testcase/error")) == errors
    assert all(case.attrib["classname"].startswith("EXAMPLE-") and "efficientnet" in case.attrib["name"] for case in cases)
    assert {suite.attrib["name"] for suite in root.findall("testsuite")} == {case.attrib["classname"] for case in cases}


def test_markdown_and_page_show_names_as_they_are(campaign: Path, tmp_path: Path) -> None:
    wanted = tmp_path / "r.yaml"
    wanted.write_text(
        'requirements: [{id: A, text: "<script>alert(1)</script> *x*", source: "[a](b)", latency: {percentile: 50, within: 60 s}, '
        'evidence: {accept_flags: "*"}}]'
    )
    markdown, page, junit = (tmp_path / f"a.{end}" for end in ("md", "html", "xml"))
    found = assessed(campaign, wanted, "--markdown", markdown, "--html", page, "--junit", junit)
    assert found.returncode == 0
    assert "<script>" not in page.read_text("utf-8")
    assert "&lt;script&gt;alert(1)" in page.read_text("utf-8")
    assert "&lt;script>" in markdown.read_text("utf-8")
    assert "\\[a\\](b)" in markdown.read_text("utf-8")
    assert ET.fromstring(junit.read_bytes()).find("testsuite/properties/property").attrib["value"].startswith("<script>")  # type: ignore[union-attr]


def test_campaigns_of_several_directories_are_one_evidence(campaign: Path, tmp_path: Path) -> None:
    other = synthetic_campaign(
        tmp_path / "other", Effects(model=MODELS, system={"cpu_1core": 0.6}, runtime={"torch": 0.0}, right=dict.fromkeys(MODELS, 0.8)),
        repeats=1, rounds=120, samples=20, seed=1,
    )  # fmt: skip
    path = tmp_path / "a.json"
    orchestrator("assess", campaign, other, "--requirements", EXAMPLES / "met.yaml", "--json", path, cwd=tmp_path)
    document = json.loads(path.read_text("utf-8"))
    assert len(document["campaigns"]) == 2
    assert {one["processes"] for one in document["requirements"][0]["systems"]} == {1, 2}
    twice = orchestrator("assess", campaign, campaign, "--requirements", EXAMPLES / "met.yaml", cwd=tmp_path)
    assert (twice.returncode, twice.stderr) == (2, f"error: {campaign} and {campaign} are one campaign: name each campaign once\n")


def test_a_copied_campaign_counts_once_and_every_form_says_so(campaign: Path, tmp_path: Path) -> None:
    copied = tmp_path / "copied"
    shutil.copytree(campaign, copied)
    forms = {form: tmp_path / f"a.{form}" for form in ("json", "markdown", "junit", "html")}
    words = [word for form, place in forms.items() for word in (f"--{form}", place)]
    found = assessed(campaign, EXAMPLES / "met.yaml", *words, copied)
    said = "8 trials of campaign 2 have the times of trials of campaign 1: they are copies and count once"
    assert (found.returncode, found.stderr) == (0, "")
    assert said in " ".join(found.stdout.split())
    for place in forms.values():
        assert said in place.read_text("utf-8")
    document = json.loads(forms["json"].read_text("utf-8"))
    assert {one["processes"] for requirement in document["requirements"] for one in requirement["systems"]} == {1}
