import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator.compare.campaigns import compare as compare_campaigns
from orchestrator.compare.comparison_tables import comparison_tables, short_table
from orchestrator.compare.documents import difference_picture, difference_spec, to_comment, to_page
from orchestrator.compare.headline import headline, sentences
from orchestrator.configuration.analysis import AnalysisConfig
from orchestrator.storage.reader import open_campaign

pytestmark = pytest.mark.slow

NASTY = '<img src=x onerror=alert(1)> [link](https://x.example) @somebody & | "\u202e\x1b'


@pytest.fixture
def pair(measure_pairs: Any) -> tuple[Path, Path]:
    return measure_pairs({"name_of_campaign": NASTY}, {"slower": {"cpu_all": 0.2}})


@pytest.fixture
def written(pair: tuple[Path, Path], compare: Any, tmp_path: Path) -> Path:
    files = {"json_file": tmp_path / "c.json", "html_file": tmp_path / "c.html", "markdown_file": tmp_path / "c.md"}
    assert compare(*pair, power=True, gate=True, **files)[0] == 1
    return tmp_path


def test_json_has_stable_keys_and_no_infinities(written: Path) -> None:
    text = (written / "c.json").read_text()
    document = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert {"schema_version", "gate_exit_code", "measured_apart", "baseline", "candidate", "trials", "changes", "sha256"} <= set(document)
    assert document["gate_exit_code"] == 1
    assert document["trials"][0]["verdict"] == "worse"
    assert {"difference", "low", "high", "p_value", "detectable_drop"} <= set(document["trials"][0]["fresh_processes"])


def test_names_with_markup_are_text(written: Path) -> None:
    page, comment = ((written / name).read_text() for name in ("c.html", "c.md"))
    assert not re.search(r"<(img|script)", page + comment)
    assert "&lt;img src=x" in page
    assert not {"\u202e", "\x1b"} & {*page}
    assert not re.search(r"(src|href)=\"(?!data:)", page)
    assert len(page) < 50_000
    assert "[link](" not in comment
    assert re.search(r"(?<!\\)@somebody", comment) is None


def test_the_picture_draws_differences_and_limits(pair: tuple[Path, Path]) -> None:
    comparison = compare_campaigns(*map(open_campaign, pair), AnalysisConfig())
    spec = difference_spec(comparison)
    found = [row.verdict.found for row in comparison.rows if row.verdict is not None]
    rows = [(row["low"], row["difference"], row["high"]) for row in spec["data"]["values"]]
    assert rows == [(one.low, one.difference, one.high) for one in found]
    assert [row["floor"] for row in spec["data"]["values"]] == [row.verdict.detectable_drop for row in comparison.rows if row.verdict]
    assert all(row["words"] in (difference_picture(comparison) or "") for row in spec["data"]["values"])


def test_markup_in_reasons_and_flags_is_text(pair: tuple[Path, Path]) -> None:
    before = open_campaign(pair[0])
    comparison = compare_campaigns(before, before, AnalysisConfig())
    nasty = replace(comparison, commands=((), (NASTY,)), rows=tuple(replace(row, flags=(NASTY,), why=NASTY) for row in comparison.rows))
    written = {
        "title": NASTY, "headline": headline(nasty, (Path(NASTY), Path("b"))), "sentences": list(sentences(nasty)), "short": short_table(nasty),
        "tables": list(comparison_tables(nasty, power=True)), "picture": difference_picture(nasty),
    }  # fmt: skip
    page, comment = to_page(written), to_comment(written)
    assert "<img" not in page + comment
    assert "[link](" not in comment
    assert re.search(r"(?<!\\)@somebody", comment) is None
