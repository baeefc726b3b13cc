from __future__ import annotations

import html.parser
import json
import re
from pathlib import Path
from typing import Any

import pytest

from orchestrator.compare.campaigns import compare as compare_campaigns
from orchestrator.compare.comparison_tables import comparison_tables, sentences
from orchestrator.compare.documents import to_comment, to_page
from orchestrator.configuration.config import AnalysisConfig
from orchestrator.storage.reader import open_campaign

pytestmark = pytest.mark.slow

NASTY = '<img src=x onerror=alert(1)> [link](https://x.example) @somebody & | "'


@pytest.fixture
def written(measure: Any, compare: Any, tmp_path: Path) -> Path:
    before, after = measure("a", name_of_campaign=NASTY), measure("b", seed=1, slower={"cpu_all": 0.1})
    files = {"json_file": tmp_path / "c.json", "html_file": tmp_path / "c.html", "markdown_file": tmp_path / "c.md"}
    code, out = compare(before, after, power=True, gate=True, **files)
    assert code == 1
    assert [line for line in out.splitlines() if line.startswith("written: ")] == [
        f"written: {tmp_path / name}" for name in ("c.json", "c.md", "c.html")
    ]
    return tmp_path


def test_json_has_stable_keys_and_no_infinities(written: Path) -> None:
    text = (written / "c.json").read_text()
    document = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert list(document) == [
        *("schema_version", "gate_exit_code", "allow_no_verdict", "accept_drift", "min_effect", "drift", "baseline", "baseline_campaigns"),
        *("candidate", "trials", "only_in_candidate", "changes"),
        "sha256",
    ]
    assert document["gate_exit_code"] == 1
    assert document["trials"][0]["verdict"] == "worse"
    assert set(document["trials"][0]["fresh_processes"]) == {
        *("difference", "low", "high", "p_worse", "p_better", "sd", "degrees_of_freedom", "baseline_repeats", "repeats"),
        *("detectable_drop", "detectable_slow_down", "smallest_effect", "drift_that_turns_it", "turned_verdict"),
    }


def test_names_with_markup_are_text_in_html(written: Path) -> None:
    page = (written / "c.html").read_text()
    tags: list[str] = []

    class Tags(html.parser.HTMLParser):
        def handle_starttag(self, tag: str, attrs: object) -> None:
            tags.append(tag)

    Tags().feed(page)
    assert "img" not in tags
    assert "script" not in tags
    assert "&lt;img src=x" in page
    assert not re.search(r"(src|href)=\"(?!data:)", page)
    assert len(page) < 50_000


def test_names_with_markup_are_text_in_markdown(written: Path) -> None:
    text = (written / "c.md").read_text()
    assert "<img" not in text
    assert "[link](" not in text
    assert re.search(r"(?<!\\)@somebody", text) is None
    rows = [line for line in text.splitlines() if line.startswith("| null |")]
    assert len(rows) == 4
    assert "| worse |" in rows[0]


def test_markup_in_reasons_and_flags_is_text(measure: Any) -> None:
    before = open_campaign(measure("a"))
    comparison = compare_campaigns(before, before, AnalysisConfig())
    rows = tuple(type(row)(**{**row.__dict__, "flags": (NASTY,), "why": NASTY}) for row in comparison.rows)
    nasty = type(comparison)(**{**comparison.__dict__, "rows": rows})
    told, tables = list(sentences(nasty, gated=True, allow_no_verdict=False)), list(comparison_tables(nasty, power=True))
    page, comment = to_page(NASTY, told, tables), to_comment(NASTY, told, tables)
    assert "<img" not in page
    assert "<img" not in comment
    assert "[link](" not in comment
    assert re.search(r"(?<!\\)@somebody", comment) is None
