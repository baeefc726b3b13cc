"""``report.html``: one file that holds all it needs, for a screen, a phone and paper."""

from __future__ import annotations

import base64
import hashlib
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.resources import files

from jinja2 import Environment, FunctionLoader, StrictUndefined, Template
from markupsafe import Markup

from orchestrator.analysis.campaign_analysis import CampaignAnalysis
from orchestrator.analysis.ranking import Ranking, rankings
from orchestrator.analysis.reading import Evidence, Reading, readings
from orchestrator.report.findings import Finding, of_campaign
from orchestrator.report.html.first_screen import Asker, in_html
from orchestrator.report.html.glossary import flag_words, words
from orchestrator.report.html.moving import as_shown, chart_data, json_text, moving_data, table_data
from orchestrator.report.html.packed import Arrays, packed
from orchestrator.report.html.sections import overhead, problems, task_section, unwell
from orchestrator.report.result_tables import stack_table, trials_table
from orchestrator.report.table import Table
from orchestrator.report.template import shown
from orchestrator.report.text import printable

HERE = files("orchestrator.report.html")
FIRST = ("theme.js", "unpack.js")
"""Scripts that stand in the page as they are: the ground's colour, and what unpacks all else."""
SCRIPTS = (
    "numbers.js",
    "data.js",
    "state.js",
    "layout.js",
    "charts.js",
    "tables.js",
    "rows.js",
    "strips.js",
    "answer.js",
    "controls.js",
    "main.js",
)
"""The parts of the page's own script, in the order in which they are joined behind the plotting library."""


MOST_OPEN = 24
"""Rows of a table of trials that is not folded away."""


def render(
    results: CampaignAnalysis,
    evidence: Mapping[str, Evidence] | None = None,
    said: Sequence[Finding] | None = None,
    combined: Table | None = None,
    found: Sequence[Reading] | None = None,
    ranked: Sequence[Ranking] | None = None,
) -> str:
    """Return the page. Equal results, settings and seed give equal text.

    Parameters
    ----------
    results
        the campaign that is reported, or several read as one.
    evidence
        by trial, from `evidence_of`; its figures are left out without it.
    said, combined
        if ``results`` are of several campaigns read as one: what `findings` returns and more, and the table of them.
    found
        what is drawn, from `readings`, if it is known already.
    ranked
        what `rankings` returns, if that is known already.

    Raises
    ------
    InputError
        if trials of one task are judged by different metrics.
    """
    evidence = evidence or {}
    found = readings(results, evidence) if found is None else found
    ranked = rankings(results) if ranked is None else ranked
    flags = flag_words(_flags(results, found))
    not_done = unwell(results)
    askers = [Asker(reading, flags) for reading in found]
    pairs = list(zip(askers, ranked, strict=True))
    sections = [task_section(number, asker, of_task) for number, (asker, of_task) in enumerate(pairs)]
    arrays = Arrays()
    moved = as_shown(
        {
            "tasks": [moving_data(asker, arrays) for asker in askers],
            "charts": {
                panel.name: {
                    "task": section.number,
                    "figure": figure.name,
                    **chart_data(panel.chart, arrays, found[section.number].short_keys()),
                }
                for section in sections
                for figure in section.all_figures()
                for panel in figure.panels
            },
            "tables": {name: table_data(table) for section in sections for name, table in section.unpacked_tables()},
            "flags": {flag: word.anchor for flag, word in flags.items()},
        }
    )
    code, code_hash = page_code()
    first = {name: _text(name) for name in FIRST}
    # Scripts are our own, and what is packed has no letter that could begin or end markup.
    return _template().render(
        policy=_policy([code_hash, *map(_hash, first.values())]),
        style=Markup(_text("style.css")),  # noqa: S704
        scripts={name: Markup(script) for name, script in first.items()},  # noqa: S704
        packed={"data": Markup(packed(json_text(moved))), "arrays": Markup(packed(bytes(arrays.stored))), "code": Markup(code)},  # noqa: S704
        campaign=results.campaign,
        command=printable(shlex.join(results.campaign.command)),
        combined=combined,
        found=in_html(of_campaign(results, ranked) if said is None else (one for one in said if not one.subject)),
        sections=sections,
        problems=problems(results),
        unwell=not_done,
        most_open=MOST_OPEN,
        environments=[*([combined] if combined is not None else []), trials_table(results), stack_table(results.records)],
        overhead=overhead(evidence),
        flags=flags,
        words=words(),
    )


def _flags(results: CampaignAnalysis, found: Iterable[Reading]) -> set[str]:
    """Return every flag that figures of the page have."""
    stored = (
        flag
        for name in ("tail_quality", "latency", "deadline")
        for flags in results.tables[name].column("flags").to_pylist()
        for flag in flags
    )
    return {*stored, *(flag for reading in found for curve in reading.curves.values() for flags in curve.flags for flag in flags)}


@cache
def page_code() -> tuple[str, str]:
    """Return the plotting library of Plotly's Python package, without what draws maps, and the page's script, packed; and their hash."""
    library = (files("plotly") / "package_data" / "plotly.min.js").read_text(encoding="utf-8")
    code = "\n".join([without_workers(library), *(_without_remarks(_text(name)) for name in SCRIPTS)])
    return packed(code.encode()), _hash(code)


PROGRAM_IN_A_STRING = re.compile(r"(\.exports=')([^'\\]*(?:\\.[^'\\]*)*)(')")
LONG = 100_000
"""Letters of a program that is worth leaving out."""


def without_workers(library: str) -> str:
    """Return Plotly's library without programs that it keeps as text and would run in a worker, to draw the tiles of maps.

    The page has no maps, and its policy runs no worker. It is a tenth of the library.
    """
    return PROGRAM_IN_A_STRING.sub(lambda found: found[0] if len(found[2]) < LONG else found[1] + found[3], library)


def _without_remarks(script: str) -> str:
    """Return a script of ours without lines that are remarks, and without the blanks that begin lines."""
    return "\n".join(line.lstrip() for line in script.splitlines() if not line.lstrip().startswith("//"))


@cache
def _template() -> Template:
    environment = Environment(
        loader=FunctionLoader(_text), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=shown
    )
    return environment.get_template("template.html.j2")


def _text(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def _hash(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _policy(hashes: Iterable[str]) -> str:
    """Return a Content-Security-Policy that runs the scripts of these hashes and reaches nothing outside the file."""
    allowed = " ".join(f"'sha256-{digest}'" for digest in hashes)
    # Plotly places its labels by style attributes and a style element of its own.
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:; "
        "connect-src 'none'; form-action 'none'; base-uri 'none'"
    )
