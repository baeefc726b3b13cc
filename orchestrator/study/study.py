"""From a stored campaign to everything that its study holds, as text and as JSON.

A document holds figures of the study between ``<!-- study:KEY -->`` and ``<!-- /study -->``: a
whole table with KEY ``TABLE``, what stands in one cell with ``TABLE/ROW/COLUMN``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import NamedTuple

from orchestrator.contracts import InputError
from orchestrator.report.markdown import folded
from orchestrator.report.table import to_markdown
from orchestrator.report.text import markdown_text
from orchestrator.stats.times import PRIMARY_CLOCK
from orchestrator.study.choice import choice_claims, choice_table, choices
from orchestrator.study.claims import claims_table, figures_table
from orchestrator.study.curves import (
    fluctuation_claim,
    fluctuation_table,
    latency_table,
    quality_table,
    tail_table,
)
from orchestrator.study.factors import agreement_table, divisions, factor_claims, factor_table
from orchestrator.study.figures import figures_of
from orchestrator.study.material import (
    Material,
    environment_table,
    limits,
    measured_table,
    tolerance_table,
    trouble_table,
)
from orchestrator.study.plots import Figure
from orchestrator.study.prediction import (
    SAYS,
    foretold,
    miss_table,
    prediction_claims,
    prediction_table,
)
from orchestrator.study.program import quirk_table
from orchestrator.study.settling import (
    distance_table,
    enough_claim,
    enough_table,
    inferences_claims,
    inferences_table,
    least_rounds_table,
    paths_of,
    rjsd_table,
)
from orchestrator.study.sizes import densities_of_one_sample, heat_maps, heat_table, size_table
from orchestrator.study.tables import StudyTable

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
"""Folded parts: their tables by name, and their figures by how names begin."""


@dataclass(frozen=True)
class Study:
    """What was found, and ``limits``: what these data cannot test."""

    name: str
    measured: str
    limits: Sequence[str]
    tables: Mapping[str, StudyTable]
    figures: Sequence[Figure]

    def numbers(self) -> dict[str, str]:
        """Return every cell of every table as it is written, by its key."""
        return {key: text for table in self.tables.values() for key, text in table.numbers()}


def make_study(material: Material) -> Study:
    """Compute the study of a campaign. Equal files, settings and seed give equal studies."""
    paths = paths_of(material)
    maps, densities = heat_maps(material), densities_of_one_sample(material)
    divided, chosen = divisions(material), choices(material)
    one_threshold = [material.criteria.claims.prediction.percentile]
    predictions = [
        one
        for against in SAYS
        for one in foretold(material, one_threshold, against, (PRIMARY_CLOCK,))
    ]
    fluctuates, enough = fluctuation_table(material), enough_table(material, paths)
    inferences = inferences_table(material, paths)
    claims = [
        fluctuation_claim(material, fluctuates),
        *choice_claims(material, chosen),
        enough_claim(material, enough),
        *prediction_claims(material, predictions),
        *inferences_claims(material, inferences),
        *factor_claims(material, divided),
    ]
    tables = [
        measured_table(material),
        claims_table(claims),
        figures_table(claims),
        fluctuates,
        quality_table(material),
        latency_table(material),
        tail_table(material),
        tolerance_table(material),
        choice_table(chosen),
        rjsd_table(material, paths),
        enough,
        least_rounds_table(material),
        distance_table(material),
        prediction_table(material),
        miss_table(material, predictions),
        inferences,
        factor_table(divided),
        agreement_table(material),
        size_table(material),
        heat_table(maps),
        quirk_table(material),
        environment_table(material),
        trouble_table(material),
    ]
    campaign = material.campaign
    return Study(
        campaign.name,
        f"{campaign.created_at:%Y-%m-%d %H:%M} UTC, version {campaign.code_version}",
        limits(material),
        {table.name: table for table in tables},
        figures_of(material, paths, maps, densities),
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


class Place(NamedTuple):
    """What stands between two markers of a document, and what should."""

    line: int
    key: str
    stands: str
    wanted: str

    def in_words(self, name: str) -> str:
        """Say in one line where a document differs: the first line of a table that does."""
        stands, wanted = (text.splitlines() or [""] for text in (self.stands, self.wanted))
        number = 0
        while stands[number : number + 1] == wanted[number : number + 1]:
            number += 1
        mine, its = ("".join(of[number : number + 1])[:120] for of in (stands, wanted))
        where = f"{name}, line {self.line + number}: {self.key}"
        return f"{where} says {mine!r}, and the stored results {its!r}"


def filled(text: str, study: Study, name: str) -> str:
    """Return a document with the study's figures between its markers.

    InputError for one without markers or not closed, and for a key that the study does not have.
    """
    texts = _texts(text, study, name)
    return MARKER.sub(lambda one: f"{OPENS}{one['key']} -->{texts[one['key']]}{CLOSES}", text)


def differences(text: str, study: Study, name: str) -> Iterator[Place]:
    """Yield where a document says something else than the study; errors are those of `filled`."""
    texts = _texts(text, study, name)
    for match in MARKER.finditer(text):
        stands, wanted = match["text"], texts[match["key"]]
        if stands != wanted:
            yield Place(text.count("\n", 0, match.start()) + 1, match["key"], stands, wanted)


def _texts(text: str, study: Study, name: str) -> dict[str, str]:
    """Return what is to stand between a document's markers, by key, or refuse it."""
    keys = [match["key"] for match in MARKER.finditer(text)]
    opening, closing = text.count(OPENS), text.count(CLOSES)
    if not keys:
        where = f"write one such as `{OPENS}claims -->{CLOSES}` where a figure is to stand"
        raise InputError(f"{name}: holds no marker: {where}")
    if {opening, closing} != {len(keys)}:
        pairs = f"{opening} opening and {closing} closing markers that do not pair"
        raise InputError(f"{name}: has {pairs}: end each by {CLOSES}")
    known = {key: markdown_text(cell) for key, cell in study.numbers().items()}
    known |= {key: f"\n{to_markdown(table.to_table())}" for key, table in study.tables.items()}
    for key in keys:
        if key not in known:
            near = get_close_matches(key, known, n=1) or ["claims"]
            told = f"the study has no such figure; the nearest is {near[0]}"
            raise InputError(f"{name}: study:{key[:100]}: {told}")
    return known
