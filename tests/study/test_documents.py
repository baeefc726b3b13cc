"""Files that a study writes: the same at every run, and documents whose numbers it fills in."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from synthetic_study import Effects, synthetic_campaign

from orchestrator.__main__ import main
from orchestrator.configuration.composer import shipped_folder
from orchestrator.contracts import InputError
from orchestrator.study.claims import read_criteria
from orchestrator.study.figures import draw
from orchestrator.study.study import SECTIONS, Study, differences, filled, to_document, to_json

pytestmark = pytest.mark.slow

CLAIM = "claims/C1/verdict"


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    few = Effects(model={"small": 0.0}, system={"two_cores": 0.0})
    return synthetic_campaign(tmp_path_factory.mktemp("short") / "campaign", few, repeats=1, rounds=24, samples=10)


def test_every_number_of_the_text_stands_in_the_json(study: Study) -> None:
    cells = set(json.loads(to_json(study))["numbers"].values())
    shown = set()
    for table in study.tables.values():
        shown |= {cell for row in table.to_table().rows for cell in row}
    assert shown <= cells
    assert {name for _, tables, _ in SECTIONS for name in tables} | {"measured", "claims", "claim_figures"} == set(study.tables)


def test_the_text_speaks_of_claims_tested_and_of_nothing_reproduced(study: Study) -> None:
    text = to_document(study)
    assert "re-implemented, and its claims tested on other systems" in " ".join(text.split())
    assert "reproduced" not in text
    assert text.index("## Claims of the paper") < text.index("<details>")
    for name in re.findall(r"\]\(([^)]+\.svg)\)", text):
        assert name.removesuffix(".svg") in {figure.name for figure in study.figures}


def test_figures_are_whole_svg_without_a_date(study: Study) -> None:
    assert {figure.name.split("-")[0] for figure in study.figures} == {"quality", "tail", "rjsd", "size", "heat", "density"}
    for figure in study.figures:
        text = draw(figure)
        ElementTree.fromstring(text)
        assert not re.search(r'"[^"]*\b(NaN|nan|inf|Infinity)\b[^"]*"', text)
        assert all(plot.title.split()[-1] in text for plot in figure.plots)


def test_a_document_is_filled_and_then_agrees(study: Study) -> None:
    text = f"The verdict is <!-- study:{CLAIM} -->nothing<!-- /study -->.\n\n<!-- study:measured --><!-- /study -->\nMine.\n"
    full = filled(text, study, "page.md")
    assert f"-->{study.numbers()[CLAIM]}<!-- /study -->." in full
    assert full.endswith("<!-- /study -->\nMine.\n")
    assert "## What was measured" in full
    assert list(differences(full, study, "page.md")) == []
    assert filled(full, study, "page.md") == full


def test_what_differs_is_named_with_its_line(study: Study) -> None:
    full = filled("One.\n<!-- study:measured --><!-- /study -->\n", study, "page.md")
    [said] = differences(full.replace("| numbers | top1 |", "| numbers | top5 |"), study, "page.md")
    assert said.startswith("page.md, line 7: measured says '| numbers | top5 |")
    assert "the stored results '| numbers | top1 |" in said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nothing", "holds no marker"),
        ("<!-- study:claims/C1/verdikt -->x<!-- /study -->", "did you mean claims/C1/verdict?"),
        ("<!-- study:claims -->x", "holds no marker"),
        ("<!-- study:claims -->x<!-- /study --> <!-- study:claims -->", "do not pair"),
    ],
)
def test_a_document_that_cannot_be_filled_is_refused(text: str, said: str, study: Study) -> None:
    with pytest.raises(InputError, match=said):
        filled(text, study, "page.md")


def test_criteria_are_read_and_mistakes_in_them_named(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    text = (shipped_folder() / "study.yaml").read_text()
    path.write_text(text.replace("first_rounds: 20 ", "first_rounds: 7 "))
    assert read_criteria(path).first_rounds == 7
    for content, said in (
        (f"{text}more: 1\n", "more: no such key"),
        (text.replace("    margin: 0.01", ""), r"claims\.choice\.margin: "),
        (text.replace("first_rounds: 20", "first_rounds: 0"), "first_rounds=0: "),
        ("[1]", "must be a group of keys"),
        ("a: [", "cannot be read"),
    ):
        path.write_text(content)
        with pytest.raises(InputError, match=said) as caught:
            read_criteria(path)
        assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="cannot be read"):
        read_criteria(tmp_path / "none.yaml")


def test_the_command_writes_fills_and_checks_and_writes_the_same_bytes_again(
    short: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page, folder = tmp_path / "page.md", tmp_path / "out"
    page.write_text(f"<!-- study:{CLAIM} --><!-- /study -->\n")
    assert main(["study", str(short), "--to", str(folder), "--fill", str(page)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"study: {folder / 'study.md'}"
    assert {path.name for path in folder.iterdir()} >= {"study.md", "study.json", "quality-numbers.svg", "heat.svg"}
    assert "-->holds<!--" in page.read_text()
    assert main(["study", str(short), "--check", str(page)]) == 0
    page.write_text(page.read_text().replace("holds", "fails"))
    assert main(["study", str(short), "--check", str(page)]) == 1
    assert "line 1: claims/C1/verdict says 'fails', and the stored results 'holds'" in " ".join(capsys.readouterr().out.split())
    assert not (short / "study").exists()
    assert main(["study", str(short)]) == 0
    first, second = ({path.name: path.read_bytes() for path in written.iterdir()} for written in (folder, short / "study"))
    assert first == second


def test_mistakes_of_the_command_line(stored: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words, said in (
        ([], "study takes DIR... [analysis.KEY=VALUE...], none was given"),
        ([str(stored), "--check", "a.md", "--to", "b"], "--check writes nothing"),
        ([str(stored), str(tmp_path)], "add --to FOLDER"),
        ([str(stored), "--fill", str(tmp_path / "none.md")], "cannot be read"),
        ([str(stored), "--to", str(stored / "study2")], "lies within the campaign"),
    ):
        assert main(["study", *words]) == 2
        assert said in capsys.readouterr().err
