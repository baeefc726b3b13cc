"""From a stored campaign to everything that its study holds, as text and as JSON.

A document holds figures of the study between ``<!-- study:KEY -->`` and ``<!-- /study -->``: a
whole table with KEY ``TABLE``, what stands in one cell with ``TABLE/ROW/COLUMN``.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import NamedTuple

from orchestrator.contracts import InputError, nearest
from orchestrator.report.markdown import folded
from orchestrator.report.table import to_markdown
from orchestrator.report.text import markdown_text
from orchestrator.study import factors, prediction, quality, settling
from orchestrator.study import program as program  # declares its table
from orchestrator.study.figures import Figure, figures_of
from orchestrator.study.material import Material, limits
from orchestrator.study.tables import TABLES, StudyTable, claims_table, figures_table

SCHEMA_VERSION = 1
OPENS, CLOSES = "<!-- study:", "<!-- /study -->"
MARKER = re.compile(rf"{OPENS}(?P<key>[^\s]+) -->(?P<text>.*?){CLOSES}", re.DOTALL)
METHOD = (
    "The method of Yang et al., *Quality at the Tail of Machine Learning Inference* (arXiv "
    "2212.13925v3), re-implemented, and its claims tested on other systems. A *round* is one pass "
    "over every sample of a task; an answer is *on time* when its time is at most the threshold; "
    "*tail quality* is the quality of a round with every late sample counted as failed. "
    "*Inference* is the model call alone, *total* runs from encoded bytes to the answer. Every "
    "number below is computed from stored timings, and stands in `study.json`."
)
# Folded parts: their tables by name, and their figures by how names begin.
SECTIONS = (
    ("Quality over rounds (C1)", ("fluctuation", "quality"), ("quality",)),
    (
        "Latency, tail latency and tail quality (C2)",
        ("latency", "tail", "tolerance", "choice"),
        ("tail",),
    ),
    (
        "Was enough measured? (C3)",
        ("rjsd", "enough", "least_rounds", "train_test"),
        ("rjsd",),
    ),
    ("Prediction (C4)", ("prediction", "misses"), ()),
    ("Inferences against MLPerf's counts (C5)", ("inferences",), ()),
    (
        "Factors (C6)",
        ("factors", "agreement", "input_size", "heat"),
        ("size", "heat", "density"),
    ),
    ("The paper's program", ("program",), ()),
    ("Environment", ("environment", "not_done"), ()),
)


class Study(NamedTuple):
    """What was found, and ``limits``: what these data cannot test.

    ``numbers`` has every cell of every table as it is written, by its key.
    """

    name: str
    measured: str
    limits: Sequence[str]
    tables: Mapping[str, StudyTable]
    figures: Sequence[Figure]

    def numbers(self) -> dict[str, str]:
        return {key: text for table in self.tables.values() for key, text in table.numbers()}


def make_study(material: Material) -> Study:
    """Compute the study of a campaign. Equal files, settings and seed give equal studies."""
    campaign, tables = material.campaign, {name: make(material) for name, make in TABLES.items()}
    claims = [
        quality.fluctuation_claim(material, tables["fluctuation"]),
        *quality.choice_claims(material, quality.choices(material)),
        settling.enough_claim(material, tables["enough"]),
        *prediction.prediction_claims(material, prediction.predictions(material)),
        *settling.inferences_claims(material, tables["inferences"]),
        *factors.factor_claims(material, factors.divisions(material)),
    ]
    found = {table.name: table for table in (claims_table(claims), figures_table(claims))}
    return Study(
        campaign.name,
        f"{campaign.created_at:%Y-%m-%d %H:%M} UTC, version {campaign.code_version}",
        limits(material),
        found | tables,
        figures_of(material),
    )


def to_document(study: Study) -> str:
    """Return ``study.md``."""
    lines = [f"# Study: {markdown_text(study.name)}", "", METHOD, ""]
    lines += [f"Measured {markdown_text(study.measured)}.", ""]
    lines += [_marked(study.tables["measured"]), _marked(study.tables["claims"])]
    for title, names, figures in SECTIONS:
        pictures = [
            f"![{markdown_text(one.title)}]({one.name}.svg)\n\n{markdown_text(one.caption)}\n"
            for one in study.figures
            if one.name.split("-")[0] in figures
        ]
        tables = [study.tables[name] for name in names]
        marked = [_marked(table) for table in tables if table.rows or table.note]
        lines.append(folded(title, *pictures, *marked))
    said = "\n".join(f"- {markdown_text(limit)}" for limit in study.limits)
    return "\n".join([*lines, "## What cannot be tested here", "", said, ""])


def _marked(table: StudyTable) -> str:
    return f"{OPENS}{table.name} -->\n{to_markdown(table.to_table())}{CLOSES}\n"


def to_json(study: Study) -> str:
    """Return ``study.json``: every table with its plain values, and every cell as it is written."""
    document = {
        "schema_version": SCHEMA_VERSION,
        "name": study.name,
        "measured": study.measured,
        "limits": list(study.limits),
        "tables": {name: table.to_json() for name, table in study.tables.items()},
        "numbers": study.numbers(),
        "figures": {
            one.name: {"title": one.title, "caption": one.caption} for one in study.figures
        },
    }
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def filled(text: str, study: Study, name: str) -> str:
    """Return a document with the study's figures between its markers.

    InputError for one without markers or not closed, and for a key that the study does not have.
    """
    texts = _texts(text, study, name)
    return MARKER.sub(lambda one: f"{OPENS}{one['key']} -->{texts[one['key']]}{CLOSES}", text)


def differences(text: str, study: Study, name: str) -> Iterator[str]:
    """Yield in a line each where a document says something else than the study; see `filled`."""
    texts = _texts(text, study, name)
    for match in MARKER.finditer(text):
        stands, wanted = (of.splitlines() or [""] for of in (match["text"], texts[match["key"]]))
        pairs = enumerate(zip_longest(stands, wanted, fillvalue=""))
        if match["text"] != texts[match["key"]]:
            at, (mine, its) = next((one for one in pairs if len(set(one[1])) > 1), (0, ("", "")))
            where = f"{name}, line {text.count(chr(10), 0, match.start()) + 1 + at}: {match['key']}"
            yield f"{where} says {mine[:120]!r}, and the stored results {its[:120]!r}"


def _texts(text: str, study: Study, name: str) -> dict[str, str]:
    keys = [match["key"] for match in MARKER.finditer(text)]
    opening, closing = text.count(OPENS), text.count(CLOSES)
    if not keys:
        where = f"write one such as `{OPENS}claims -->{CLOSES}` where a figure is to stand"
        raise InputError(f"{name}: holds no marker: {where}", "missing")
    if {opening, closing} != {len(keys)}:
        pairs = f"{opening} opening and {closing} closing markers that do not pair"
        raise InputError(f"{name}: has {pairs}: end each by {CLOSES}")
    known = {key: markdown_text(cell) for key, cell in study.numbers().items()}
    known |= {key: f"\n{to_markdown(table.to_table())}" for key, table in study.tables.items()}
    if unknown := next((key for key in keys if key not in known), None):
        told = f"no such figure; {nearest(unknown, known)}"
        raise InputError(f"{name}: study:{unknown[:100]}: {told}", "unknown", value=unknown)
    return known
