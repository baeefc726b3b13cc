"""A campaign whose every text is hostile, read by every verb and export: nothing steers, links, runs or leaves the directory."""

import copy
import csv
import io
import json
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from markdown_it import MarkdownIt
from pydantic import BaseModel, ValidationError
from small_campaign import contents, measure_small, read_document, reseal_json, reseal_table

from orchestrator.__main__ import main
from orchestrator.compare.baseline import Baseline
from orchestrator.compare.documents import FOLDED_IN_COMMENT
from orchestrator.report.markdown import FOLDED, METHOD, OF_CAMPAIGN, PICTURE
from orchestrator.report.text import printable
from orchestrator.storage.records import CampaignRecord, TrialRecord

Place = tuple[str | int, ...]

POISONS = [
    "\x1b]0;owned\x07\x1b[31m\x9b2J\r\b",
    "\u202egnp.exe\u2066\u200b\ufeff\u2028",
    "<script>fetch('//x.y')</script><img src=x onerror=alert(1)></td>",
    "![i](https://x.y/i.png) [a](javascript:alert(1)) <https://x.y> https://x.y me@x.y",
    "| a | b |\n\n# head\n\n- item\n\n```\ncode\n```\n[r]: https://x.y",
    "\\input{/etc/passwd} \\write18{touch MARK} $x$ % # & ^^5cinput _ ~",
    "=cmd|'/c touch MARK'!A1",
    "+1+1", "-2+3", "@SUM(A1)", "\t=1+1", "\r=1+1",
    "$(touch MARK) `touch MARK` ; touch MARK",
    "__import__('os').system('touch MARK')",
    "!!python/object/apply:os.system ['touch MARK']",
    "../../../outside/MARK",
    "{{ 7 * 7 }}{% include 'x' %}",
    "%s%n{0}{x!r}",
]  # fmt: skip
pytestmark = pytest.mark.slow
PARSER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])

LABELS = ("Caution: ", "No deadline: ", "Rounds: ", "Next: ")
"""Findings that name settings of ours as code."""


def texts(value: Any, at: Place = ()) -> Iterator[Place]:
    """Yield where texts stand in a document: values, and keys of open mappings, each as the place with ``KEY`` after it."""
    if isinstance(value, str):
        yield at
    for key, below in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from texts(below, (*at, key))
        if isinstance(value, dict):
            yield (*at, key, "KEY")


def put(document: Any, at: Place, poison: str) -> Any:
    """Return a copy with poison at a place; a key is given it too."""
    path = at[:-1] if at[-1] == "KEY" else at
    changed = holder = copy.copy(document)
    for key in path[:-1]:
        holder[key] = copy.copy(holder[key])
        holder = holder[key]
    if at[-1] == "KEY":
        holder[f"{path[-1]} {poison}"] = holder.pop(path[-1])
    else:
        holder[path[-1]] = poison
    return changed


def one_line(capsys: pytest.CaptureFixture[str], words: list[str], codes: tuple[int, ...] = (0, 1, 2, 3)) -> int:
    """Run a command that must not steer the terminal, and that says its mistakes in one line."""
    capsys.readouterr()
    code = main(words)
    out, err = capsys.readouterr()
    assert code in codes, (words, err)
    assert all(line.isprintable() for line in (out + err).split("\n")), words
    assert "Traceback" not in out + err
    assert len(err.splitlines()) == (code == 2), (words, err)
    return code


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clean")
    measure_small(folder / "a", primary="14ms")
    measure_small(folder / "b", day=2, primary="14ms")
    assert main(["report", str(folder / "a")]) == 0
    assert main(["report", str(folder / "a"), str(folder / "b"), "--into", str(folder / "both")]) == 0
    assert main(["compare", str(folder / "a"), str(folder / "b"), "--html", str(folder / "c.html")]) == 0
    assert main(["export", "baseline", str(folder / "baseline.json"), str(folder / "b")]) == 0
    return folder


@pytest.fixture(scope="module")
def poisoned(clean: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """The campaign with poison wherever its reader takes it; and at how many places."""
    folder = tmp_path_factory.mktemp("poisoned")
    shutil.copytree(clean / "a", folder / "a")
    (folder / "baseline.json").write_bytes((clean / "baseline.json").read_bytes())
    taken = 0
    records = [(folder / "a" / "campaign.json", CampaignRecord), (folder / "baseline.json", Baseline)]
    records += [(path, TrialRecord) for path in sorted((folder / "a").glob("trials/*/trial.json"))]
    for path, model in records:
        document = read_document(path)
        for number, at in enumerate(texts(document)):
            if at[0] == "trial":  # is poisoned in campaign.json, and must be the same
                continue
            changed = put(document, at, POISONS[number % len(POISONS)] + ("" if number % 3 else f" {number}"))
            if is_read(changed, model) and not is_looked_up(at):
                document, taken = changed, taken + 1
        reseal_json(path, document)
        if model is CampaignRecord:
            of_trials(folder / "a", document)
    for path in sorted((folder / "a").rglob("*.parquet")):
        taken += poison_table(path)
    return folder, taken


def of_trials(directory: Path, campaign: Any) -> None:
    """Write into each trial's record what the campaign's says of the trial."""
    for planned in campaign["trials"]:
        path = directory / "trials" / planned["trial_id"] / "trial.json"
        if path.exists():
            reseal_json(path, {**read_document(path), "trial": planned["trial"]})


def is_read(document: Any, model: type[BaseModel]) -> bool:
    try:
        model.model_validate(document)
    except ValidationError:
        return False
    return True


def is_looked_up(at: Place) -> bool:
    """Return whether a text is the name of a metric, which analysis must find, or the deadline that it reads."""
    return at[-1] == "primary" or (at[0] in ("metrics", "trials") and at[-1 if at[0] == "trials" else 0] in ("metric", "metrics"))


def poison_table(path: Path) -> int:
    """Poison every column of text but the trial that a row is of, and the names of slices; return how many."""
    table = pq.read_table(path)
    found = 0
    for place, field in enumerate(table.schema):
        if not pa.types.is_string(field.type) or field.name in ("trial", "outcome"):
            continue
        values = [POISONS[(place + row) % len(POISONS)] + str(row) for row in range(table.num_rows)]
        name = f"{field.name} {POISONS[2]}" if field.name.startswith("slice_") else field.name
        table = table.set_column(place, pa.field(name, pa.string(), field.nullable), pa.array(values, pa.string()))
        found += table.num_rows
    if found:
        reseal_table(path, table)
    return found


@pytest.fixture
def work(poisoned: tuple[Path, int], clean: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The poisoned campaign as ``a``, a clean one as ``b``; afterwards nothing else has changed and nothing of the poison has run."""
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    outside.mkdir()
    (outside / "thesis.tex").write_text("years of work")
    shutil.copytree(poisoned[0], inside)
    shutil.copytree(clean / "b", inside / "b")
    monkeypatch.chdir(outside)
    before = contents(outside), contents(inside / "b")
    yield inside
    assert (contents(outside), contents(inside / "b")) == before
    assert not list(tmp_path.rglob("MARK*"))


NAMES_OF_FOLDS = (*(name for name, _ in (*FOLDED, *OF_CAMPAIGN)), "Campaigns", "How this was measured", *FOLDED_IN_COMMENT)
FOLDS = {"</details>\n", *(f"<details>\n<summary>{name}</summary>\n" for name in NAMES_OF_FOLDS)}
OUR_PICTURE = f"![Quality against threshold, one line a system]({PICTURE})"


SHAPES = {"svg", "g", "title", "rect", "path", "circle", "line", "text", "tspan", "defs", "clipPath"}


def is_harmless_svg(text: str) -> None:
    """Fail where a picture holds anything but shapes and text, or an attribute that leads anywhere or runs."""
    for element in ElementTree.fromstring(text).iter():
        assert element.tag.removeprefix("{http://www.w3.org/2000/svg}") in SHAPES
        assert not {name for name in element.attrib if name.startswith("on") or "href" in name or name == "style"}
    assert all(line.isprintable() for line in text.split("\n"))


def shows_text_alone(text: str) -> None:
    """Fail where Markdown holds a link, a picture, markup, or a block that only we may begin."""
    assert all(line.isprintable() for line in text.split("\n"))
    ours = {"heading_open", "paragraph_open", "bullet_list_open", "list_item_open", "inline"}
    ours |= {f"{part}_open" for part in ("table", "thead", "tbody", "tr", "th", "td")}
    within_text = {"text", "softbreak", "code_inline"}
    for token in PARSER.parse(text):
        if token.type == "html_block":  # only what we fold with
            assert token.content in FOLDS, token.content
            continue
        assert token.nesting < 0 or token.type in ours, (token.type, token.content)
        if token.type == "fence":  # commands to copy, of words that a shell takes as they are
            assert all(
                re.fullmatch(r"python -m orchestrator [\w.,=+/\[\]' -]+(  # [\w,;: -]+)?", line) for line in token.content.splitlines()
            )
            continue
        if OUR_PICTURE in token.content:
            assert token.content == OUR_PICTURE
            continue
        bold = re.match(r"\*\*(Pass|Fail|No verdict)\b", token.content) is not None
        for child in token.children or ():
            if bold and child.type in ("strong_open", "strong_close"):
                continue
            assert child.type in within_text or (child.type, child.content) == ("html_inline", "<!-- -->"), (child.type, child.content)
            ours_alone = re.fullmatch(
                r"python -m orchestrator( KEY=VALUE| \+?\w+=\w+)* measurement\.repeat=5", child.content
            )  # strange words are left out
            assert child.type != "code_inline" or ours_alone or token.content in METHOD or token.content.startswith(("Measured ", *LABELS))
    assert not re.search(r"(?<!\\)https?://", re.sub("`[^`]*`", "", text))


class Tags(HTMLParser):
    """Counts elements, and keeps the names of attributes and the values of those that could lead anywhere."""

    def __init__(self) -> None:
        super().__init__()
        self.found: Counter[str] = Counter()
        self.attributes: set[str] = set()
        self.led: set[str] = set()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found[tag] += 1
        for name, value in attributes:
            self.attributes.add(name)
            if name in ("href", "src", "action", "style"):
                self.led.add(str(value))


def tags(path: Path) -> Tags:
    parser = Tags()
    parser.feed(path.read_text("utf-8"))
    return parser


def holds_no_markup(page: Path, of_clean: Path) -> None:
    """Fail where a page has elements or attributes that the page of clean results has not, leads anywhere else, or holds what is not shown."""
    raw = set(page.read_text("utf-8")) - set(of_clean.read_text("utf-8"))
    assert not [character for character in raw if printable(character) != character]
    found, usual = tags(page), tags(of_clean)
    # Poison makes two tasks of one; a page of one task has no table of tasks, which has line breaks.
    assert found.found.keys() <= usual.found.keys() | {"br"}
    assert found.found["script"] == usual.found["script"]
    assert found.attributes <= usual.attributes
    assert {target for target in found.led if not target.startswith("#")} <= usual.led


def test_tables_and_reports_show_poison_as_text(work: Path, clean: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b, both = str(work / "a"), str(work / "b"), str(work / "both")
    one_line(capsys, ["status", a], codes=(0,))
    for trial in (path.name for path in (work / "a" / "trials").iterdir()):
        one_line(capsys, ["inspect", a, trial], codes=(0, 2))
    one_line(capsys, ["report", a], codes=(0,))
    one_line(capsys, ["report", a, b, "--into", both], codes=(0,))
    for folder, usual in ((work / "a", clean / "a"), (work / "both", clean / "both")):
        shows_text_alone((folder / "report.md").read_text("utf-8"))
        is_harmless_svg((folder / "report.svg").read_text("utf-8"))
        holds_no_markup(folder / "report.html", usual / "report.html")


def test_comparisons_show_poison_as_text(work: Path, clean: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b, out = str(work / "a"), str(work / "b"), str(work / "c")
    files = ["--gate", "--power", "--markdown", f"{out}.md", "--json", f"{out}.json", "--html", f"{out}.html"]
    for before, after in ((a, b), (b, a), (str(work / "baseline.json"), a), (str(work / "baseline.json"), b)):
        one_line(capsys, ["compare", before, after, *files], codes=(0, 1, 3))
        shows_text_alone((work / "c.md").read_text("utf-8"))
        holds_no_markup(work / "c.html", clean / "c.html")
        json.loads((work / "c.json").read_text("utf-8"))


def test_exports_hold_poison_as_text(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one_line(capsys, ["export", str(work / "a"), "--to", str(work / "out"), "--format", "csv,latex,parquet"], codes=(0,))
    one_line(capsys, ["export", "baseline", str(work / "again.json"), str(work / "a")], codes=(0,))
    written = {path.suffix for path in (work / "out").iterdir()}
    assert written == {".csv", ".tex", ".parquet"}
    for path in (work / "out").glob("*.csv"):
        rows = list(csv.reader(io.StringIO(path.read_text("utf-8"), newline="")))
        assert {len(row) for row in rows} == {len(rows[0])}
        for cell in (cell for row in rows for cell in row):
            assert not cell.startswith(("=", "+", "-", "@")) or float(cell) < 0
            assert printable(cell) == cell
    for path in (work / "out").glob("*.tex"):
        text = path.read_text("utf-8")
        unescaped = re.sub(r"\\[&%$#_{}]", "", text.replace(r"\textbackslash{}", ""))
        commands = set(re.findall(r"\\([A-Za-z]+)", unescaped))
        assert not commands & {"input", "write", "include", "immediate", "def", "catcode"}
        assert unescaped.count("{") == unescaped.count("}")
        assert not re.search(r"[%#~^]|\$(?!-\$)(?<!-\$)", unescaped.split("\n", 1)[1])
        assert all(line.isprintable() for line in text.split("\n"))
    labels = pq.read_table(work / "out" / "timings.parquet").column("name").unique().to_pylist()
    assert any("script" in str(label) or "=" in str(label) for label in labels)
