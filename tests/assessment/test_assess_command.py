"""`assess` on stored campaigns: exit codes, and what is printed and written."""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from program import Done, orchestrator
from synthetic_study import Effects, synthetic_campaign

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples" / "requirements"


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Names of `+sweep=vision`, and 120 rounds in visits of two."""
    effects = Effects(
        model={"efficientnet_lite0": 0.0, "efficientnet_lite2": 0.5}, system={"cpu_1core": 0.6, "cpu_all": 0.0},
        right={"efficientnet_lite0": 0.8, "efficientnet_lite2": 0.9}, bursts={"cpu_1core": (0.05, 5.0)}, drift={"cpu_all": 0.5},
    )  # fmt: skip
    return synthetic_campaign(tmp_path_factory.mktemp("assess") / "campaign", effects, repeats=1, rounds=120, samples=20)


def assessed(campaign: Path, requirements: Path, *more: str | Path) -> Done:
    return orchestrator("assess", campaign, "--requirements", requirements, *more, cwd=campaign.parent)


def test_a_file_that_breaks_a_rule_is_a_mistake(campaign: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("requirements: [{id: A, text: x}]")
    found = assessed(campaign, bad)
    assert (found.returncode, found.stdout) == (2, "")
    assert found.stderr.endswith("[invalid]\n")
    assert assessed(campaign, tmp_path / "none.yaml").returncode == 2
    assert assessed(tmp_path, EXAMPLES / "met.yaml").returncode == 2


def test_json_holds_every_figure(campaign: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    assessed(campaign, EXAMPLES / "not_met.yaml", "--json", path)
    document: dict[str, Any] = json.loads(path.read_text("utf-8"))
    assert (document["exit_code"], document["confidence"], document["correction"]) == (1, 0.95, "Bonferroni")
    first = document["requirements"][0]
    assert (first["id"], first["verdict"], first["allowed_error"]) == ("EXAMPLE-1", "not met", pytest.approx(0.025))
    assert len(first["systems"]) == 8
    one = first["systems"][0]
    assert one["figure"] == 0 <= one["high"] < one["asked"]
    assert (one["rounds"], one["visits"], one["processes"], one["sessions"]) == (120, 60, 1, 1)
    again = tmp_path / "b.json"
    assessed(campaign, EXAMPLES / "not_met.yaml", "--json", again)
    assert again.read_bytes() == path.read_bytes()


@pytest.mark.parametrize(("name", "code", "failures", "errors"), [("met", 0, 0, 0), ("not_met", 1, 16, 0), ("not_shown", 3, 0, 16)])
def test_the_examples_give_their_exit_codes_and_junit_passes_what_is_met_alone(
    name: str, code: int, failures: int, errors: int, campaign: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    path = tmp_path / "a.xml"
    found = assessed(campaign, EXAMPLES / f"{name}.yaml", "--junit", path)
    assert (found.returncode, found.stderr) == (code, "")
    assert max(map(len, found.stdout.splitlines()[:-1])) <= 80  # the last one is the path that was written
    root = ET.fromstring(path.read_bytes())
    assert (int(root.attrib["failures"]), int(root.attrib["errors"])) == (failures, errors)
    cases = [len(root.findall(f"testsuite/testcase{kind}")) for kind in ("", "/failure", "/error")]
    assert cases == [int(root.attrib["tests"]), failures, errors]


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
