"""A study as text and as JSON, and documents whose numbers it writes between markers.

A marker is ``<!-- study:KEY -->``, what follows it up to ``<!-- /study -->`` is the study's: with KEY ``TABLE`` a whole table, with
``TABLE/ROW/COLUMN`` what stands in one cell. All else in a document is its author's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from orchestrator.contracts import InputError
from orchestrator.report.markdown import CLOSING
from orchestrator.report.table import to_markdown
from orchestrator.report.text import markdown_text
from orchestrator.study.plots import Figure
from orchestrator.study.study import Study
from orchestrator.study.tables import StudyTable

SCHEMA_VERSION = 1
MARKER = re.compile(r"<!-- study:(?P<key>[^\s]+) -->(?P<text>.*?)<!-- /study -->", re.DOTALL)
OPENS, CLOSES = "<!-- study:", "<!-- /study -->"
METHOD = (
    "The method of Yang et al., *Quality at the Tail of Machine Learning Inference* (arXiv 2212.13925v3), re-implemented, and its claims "
    "tested on other systems. A *round* is one pass over every sample of a task; an answer is *on time* when its time is at most the "
    "threshold; *tail quality* is the quality of a round with every late sample counted as failed. *Inference* is the model call alone, "
    "*total* runs from encoded bytes to the answer. Every number below is computed from stored timings, and stands in `study.json`."
)


@dataclass(frozen=True)
class Section:
    """A folded part: tables by name, and figures by how their names begin."""

    title: str
    tables: tuple[str, ...]
    figures: tuple[str, ...] = ()


SECTIONS = (
    Section("Quality over rounds (C1)", ("fluctuation", "quality"), ("quality",)),
    Section("Latency, tail latency and tail quality (C2)", ("latency", "tail", "tolerance", "choice"), ("tail",)),
    Section("Was enough measured? (C3)", ("rjsd", "enough", "least_rounds", "train_test"), ("rjsd",)),
    Section("Prediction (C4)", ("prediction", "misses")),
    Section("Inferences against MLPerf's counts (C5)", ("inferences",)),
    Section("Factors (C6)", ("factors", "agreement", "input_size", "heat"), ("size", "heat", "density")),
    Section("The paper's program", ("program",)),
    Section("Environment", ("environment", "not_done")),
)


def to_document(study: Study) -> str:
    """Return ``study.md``."""
    lines = [f"# Study: {markdown_text(study.name)}", "", METHOD, "", f"Measured {markdown_text(study.measured)}.", ""]
    lines += [_marked(study.tables["measured"]), _marked(study.tables["claims"])]
    for section in SECTIONS:
        lines += [f"<details>\n<summary>{section.title}</summary>\n"]
        lines += [_picture(figure) for figure in study.figures if figure.name.split("-")[0] in section.figures]
        lines += [_marked(study.tables[name]) for name in section.tables if study.tables[name].rows or study.tables[name].note]
        lines += [CLOSING]
    limits = "\n".join(f"- {markdown_text(limit)}" for limit in study.limits)
    return "\n".join([*lines, "## What cannot be tested here", "", limits, ""])


def _marked(table: StudyTable) -> str:
    return f"{OPENS}{table.name} -->\n{_body(table)}{CLOSES}\n"


def _body(table: StudyTable) -> str:
    return to_markdown(table.to_table())


def _picture(figure: Figure) -> str:
    return f"![{markdown_text(figure.title)}]({figure.name}.svg)\n\n{markdown_text(figure.caption)}\n"


def to_json(study: Study) -> str:
    """Return ``study.json``: every table with its plain values, and every cell as it is written."""
    document = {
        "schema_version": SCHEMA_VERSION,
        "name": study.name,
        "measured": study.measured,
        "limits": list(study.limits),
        "tables": {name: table.to_json() for name, table in study.tables.items()},
        "numbers": cells_of(study),
        "figures": {figure.name: {"title": figure.title, "caption": figure.caption} for figure in study.figures},
    }
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def cells_of(study: Study) -> dict[str, str]:
    """Return every cell of every table as it is written, by its key."""
    return {key: text for table in study.tables.values() for key, text in table.numbers()}


@dataclass(frozen=True)
class Place:
    """What stands between two markers of a document, and what should."""

    line: int
    key: str
    stands: str
    wanted: str


def filled(text: str, study: Study, name: str) -> str:
    """Return a document with the study's figures between its markers.

    Raises
    ------
    InputError
        for a document without markers, one that is not closed, and a key that the study does not have.
    """
    texts = _texts(text, study, name)
    return MARKER.sub(lambda match: f"{OPENS}{match['key']} -->{texts[match['key']]}{CLOSES}", text)


def differences(text: str, study: Study, name: str) -> Iterator[Place]:
    """Yield where a document says something else than the study; errors are those of `filled`."""
    texts = _texts(text, study, name)
    for match in MARKER.finditer(text):
        if match["text"] != texts[match["key"]]:
            yield Place(text.count("\n", 0, match.start()) + 1, match["key"], match["text"], texts[match["key"]])


def in_words(place: Place, name: str) -> str:
    """Say in one line where a document differs: the first line of a table that does."""
    stands, wanted = place.stands.splitlines() or [""], place.wanted.splitlines() or [""]
    number = next(
        (number for number, (mine, its) in enumerate(zip(stands, wanted, strict=False)) if mine != its), min(len(stands), len(wanted))
    )
    parts: Sequence[str] = [(of[number] if number < len(of) else "nothing")[:120] for of in (stands, wanted)]
    return f"{name}, line {place.line + number}: {place.key} says {parts[0]!r}, and the stored results {parts[1]!r}"


def _texts(text: str, study: Study, name: str) -> Mapping[str, str]:
    """Return what is to stand between a document's markers, by key; errors are those of `filled`."""
    keys = _keys(text, name)
    asked = {key.partition("/")[0] for key in keys}
    cells = {cell: written for table in asked & study.tables.keys() for cell, written in study.tables[table].numbers()}

    def wanted(key: str) -> str:
        if key in study.tables:
            return f"\n{_body(study.tables[key])}"
        if key in cells:
            return markdown_text(cells[key])
        nearest = _nearest(key, [*cells_of(study), *study.tables])
        raise InputError(f"{name}: study:{key[:100]}: the study has no such figure; the nearest is {nearest}")

    return {key: wanted(key) for key in keys}


def _keys(text: str, name: str) -> list[str]:
    found = [match["key"] for match in MARKER.finditer(text)]
    if not found:
        raise InputError(f"{name}: holds no marker such as `{OPENS}claims -->{CLOSES}`: write one where a figure is to stand")
    if text.count(OPENS) != len(found) or text.count(CLOSES) != len(found):
        raise InputError(
            f"{name}: has {text.count(OPENS)} opening and {text.count(CLOSES)} closing markers that do not pair: end each by {CLOSES}"
        )
    return found


def _nearest(key: str, names: Sequence[str]) -> str:
    # Without a cutoff every name is compared letter by letter, which takes long: only where nothing is near.
    found = get_close_matches(key, names, n=1) or get_close_matches(key, names, n=1, cutoff=0)
    return found[0] if found else "none"
