from __future__ import annotations

import html
import html.parser
import json
import re
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator.commands.line import VERBS, read
from orchestrator.compare.campaigns import Comparison
from orchestrator.compare.campaigns import compare as compare_campaigns
from orchestrator.compare.comparison_tables import comparison_tables, short_table
from orchestrator.compare.documents import difference_picture, difference_spec, to_comment, to_page
from orchestrator.compare.headline import Headline, headline, sentences
from orchestrator.configuration.analysis import AnalysisConfig
from orchestrator.report.pasted import words_again
from orchestrator.storage.reader import open_campaign

pytestmark = pytest.mark.slow

NASTY = '<img src=x onerror=alert(1)> [link](https://x.example) @somebody & | "\u202e\x1b'


@pytest.fixture
def written(measure_pairs: Any, compare: Any, tmp_path: Path) -> Path:
    before, after = measure_pairs({"name_of_campaign": NASTY}, {"slower": {"cpu_all": 0.2}})
    files = {"json_file": tmp_path / "c.json", "html_file": tmp_path / "c.html", "markdown_file": tmp_path / "c.md"}
    code, out = compare(before, after, power=True, gate=True, **files)
    assert code == 1
    assert [line for line in out.splitlines() if line.startswith("written: ")] == [
        f"written: {tmp_path / name}" for name in ("c.json", "c.html", "c.md")
    ]
    return tmp_path


def test_json_has_stable_keys_and_no_infinities(written: Path) -> None:
    text = (written / "c.json").read_text()
    document = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert list(document) == [
        *("schema_version", "gate_exit_code", "allow_no_verdict", "min_effect", "measured_apart", "baseline", "baseline_campaigns"),
        *("candidate", "trials", "only_in_candidate", "capacities", "changes"),
        "sha256",
    ]
    assert document["gate_exit_code"] == 1
    assert document["trials"][0]["verdict"] == "worse"
    assert set(document["trials"][0]["fresh_processes"]) == {
        *("difference", "low", "high", "confidence", "method", "p_value", "degrees_of_freedom"),
        *("detectable_drop", "detectable_slow_down", "smallest_effect"),
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
    assert not {"\u202e", "\x1b"} & {*page}
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


def test_the_page_says_pass_or_fail_first_then_draws_the_differences_and_then_lists_them(written: Path) -> None:
    page = (written / "c.html").read_text()
    places = [page.index(part) for part in ('<p class="verdict fail">Fail: 1 worse', "<svg ", "<table>", "<details>")]
    assert places == sorted(places)
    assert page.count("no difference shown") + page.count("worse") > 2
    assert "</script" not in page
    comment = (written / "c.md").read_text()
    assert comment.splitlines()[2].startswith("**Fail: 1 worse")
    assert comment.index("## Candidate against baseline") < comment.index("<details>") < comment.index("## What these repeats would find")


def test_the_picture_draws_differences_and_limits(measure_pairs: Any) -> None:
    before, after = measure_pairs(after={"slower": {"cpu_all": 0.1}})
    comparison = compare_campaigns(open_campaign(before), open_campaign(after), AnalysisConfig())
    spec = difference_spec(comparison)
    assert spec is not None
    found = [row.verdict.found for row in comparison.rows if row.verdict is not None]
    rows = [(row["low"], row["difference"], row["high"]) for row in spec["data"]["values"]]
    assert rows == [(one.low, one.difference, one.high) for one in found]
    assert [row["floor"] for row in spec["data"]["values"]] == [row.verdict.detectable_drop for row in comparison.rows if row.verdict]
    assert all(row["words"] in (difference_picture(comparison) or "") for row in spec["data"]["values"])


def test_without_bounds_there_is_no_picture_but_a_command(measure: Any, compare: Any, tmp_path: Path) -> None:
    before, after = (
        measure("a", repeats=1),
        measure("b", repeats=1, command=("run", "+sweep=mine", "code=[mine]", "measurement.repeat=1", "model.path='$(x)'")),
    )
    code, said = compare(before, after, gate=True, html_file=tmp_path / "c.html", markdown_file=tmp_path / "c.md")
    assert code == 3
    page = (tmp_path / "c.html").read_text()
    assert "<svg" not in page
    assert '<p class="verdict no-verdict">No verdict on 2 trials: ' in page
    command = "python -m orchestrator compare --run A B +sweep=mine 'code=[mine]' KEY=VALUE --gate  # in pairs"
    assert command in html.unescape(page)
    assert (
        said.index("No verdict on 2 trials: ")
        < said.index(f"What would give a verdict:\n{command}")
        < said.index("Candidate against baseline")
    )
    assert command in (tmp_path / "c.md").read_text()


def test_each_lack_of_a_verdict_has_a_command_that_gives_one(measure: Any, measure_pairs: Any) -> None:
    places = Path("base.json"), Path("results/new")
    apart = compare_campaigns(open_campaign(measure("a")), open_campaign(measure("b", seed=1)), AnalysisConfig())
    in_pairs = [open_campaign(side) for side in measure_pairs()]
    blind = compare_campaigns(*in_pairs, AnalysisConfig(), min_effect=0.0001)
    commands = [command for one in (apart, blind) for command in headline(measured_by(one, "+sweep=mine"), places).commands]
    assert [command.partition("  #")[0] for command in commands] == [
        "python -m orchestrator compare --run A B +sweep=mine --gate",
        "python -m orchestrator compare base.json results/new --gate analysis.primary=p50",
        "python -m orchestrator compare --run A B +sweep=mine --pairs 10 --gate",
    ]
    assert all(map(read_of, commands)), "their verbs take all of them"
    seeing = compare_campaigns(*in_pairs, AnalysisConfig(), min_effect=10.0)
    assert headline(seeing, places) == Headline("pass", "Pass: 2 no difference shown.")


def measured_by(comparison: Comparison, *command: str) -> Comparison:
    return replace(comparison, commands=((), command))


def read_of(command: str) -> Any:
    """What a command's verb reads of it; InputError where it takes it not."""
    assert "KEY=VALUE" not in command
    typed = shlex.split(command, comments=True)[3:]
    return read(typed[0], typed[1:]) if typed[0] in VERBS.list_commands() else read("run", typed)


def test_a_command_that_measures_pairs_has_all_options_and_a_search_has_none(measure: Any) -> None:
    single = open_campaign(measure("a", repeats=1))
    undecided = compare_campaigns(single, single, AnalysisConfig(), min_effect=0.2)
    words = ("run", "--config-dir", "mine", "--config-dir", "yours", "model=null", 'analysis.primary="50 ms"', "measurement.repeat=1")
    again = read_of(headline(measured_by(undecided, *words)).commands[0])
    assert [str(one) for one in again["config_dirs"]] == ["mine", "yours"]
    assert again["words"][2:] == ("model=null", 'analysis.primary="50 ms"')
    search = ("capacity", "model=null", "--deadline", "50 ms", "--keep", "0.9", "--minutes", "4")
    found = headline(measured_by(undecided, *search))
    assert (found.result, found.commands) == ("no verdict", ()), "capacity repeats no rate"
    assert words_again(search).endswith("--deadline '50 ms' --keep 0.9 --minutes 4")


def test_markup_in_reasons_and_flags_is_text(measure: Any) -> None:
    before = open_campaign(measure("a"))
    comparison = compare_campaigns(before, before, AnalysisConfig())
    rows = tuple(type(row)(**{**row.__dict__, "flags": (NASTY,), "why": NASTY}) for row in comparison.rows)
    nasty = type(comparison)(**{**comparison.__dict__, "rows": rows})
    told, tables = list(sentences(nasty)), list(comparison_tables(nasty, power=True))
    head = headline(measured_by(nasty, NASTY), (Path(NASTY), Path("b")))
    short, picture = short_table(nasty), difference_picture(nasty)
    written = {"title": NASTY, "headline": head, "sentences": told, "short": short, "tables": tables, "picture": picture}
    page, comment = to_page(written), to_comment(written)
    assert "<img" not in page
    assert "<img" not in comment
    assert "[link](" not in comment
    assert re.search(r"(?<!\\)@somebody", comment) is None
