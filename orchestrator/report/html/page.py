"""``report.html``: one file that holds all it needs, for a screen, a phone and paper."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.resources import files

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from orchestrator.analysis.campaign_analysis import CampaignAnalysis
from orchestrator.report.figures.evidence import Evidence
from orchestrator.report.figures.reading import readings
from orchestrator.report.html.moving import Arrays, chart_data, moving_data, script_json
from orchestrator.report.html.sections import overhead, problems, task_section, unwell
from orchestrator.report.result_tables import stack_table, trials_table
from orchestrator.report.table import Table
from orchestrator.report.text import printable
from orchestrator.report.verdict import verdict

HERE = files("orchestrator.report.html")


def render(
    results: CampaignAnalysis,
    evidence: Mapping[str, Evidence] | None = None,
    sentences: Sequence[str] = (),
    combined: Table | None = None,
) -> str:
    """Return the page. Equal results, settings and seed give equal text.

    Parameters
    ----------
    results
        the campaign that is reported, or several read as one.
    evidence
        by trial, from `read_evidence`; its figures are left out if it was not read.
    sentences, combined
        if ``results`` are of several campaigns read as one: the sentences in place of the verdict, and the table of them.

    Raises
    ------
    InputError
        if trials of one task are judged by different metrics.
    """
    evidence = evidence or {}
    found = readings(results, evidence)
    sections = [task_section(number, reading, results) for number, reading in enumerate(found)]
    arrays = Arrays()
    data = script_json(
        {
            "tasks": [moving_data(reading, arrays) for reading in found],
            "charts": {
                name: {"task": section.number, **chart_data(chart, arrays)}
                for section in sections
                for part in section.parts
                for name, chart in part.charts
            },
            "arrays": arrays.stored,
        }
    )
    scripts = {name: _text(name) for name in ("theme.js", "page.js")} | {"plotly": plotly_script()}
    return _template().render(
        policy=_policy(scripts.values()),
        style=Markup(_text("style.css")),  # noqa: S704 - our own file
        scripts={name: Markup(script) for name, script in scripts.items()},  # noqa: S704 - our own files and the library
        data=Markup(data),  # noqa: S704 - JSON in which nothing can begin or end markup
        campaign=results.campaign,
        command=printable(" ".join(results.campaign.command)),
        combined=combined,
        verdict=sentences or list(verdict(results)),
        sections=sections,
        problems=problems(results),
        unwell=unwell(results),
        environments=[*([combined] if combined is not None else []), trials_table(results), stack_table(results.records)],
        overhead=overhead(evidence),
        seed=results.analysis.seed,
    )


@cache
def plotly_script() -> str:
    """Return the plotting library, as the Python package of Plotly carries it."""
    text = (files("plotly") / "package_data" / "plotly.min.js").read_text(encoding="utf-8")
    return text.replace("</script", "<\\/script")


@cache
def _template() -> Template:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(_text("template.html.j2"))


def _text(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def _policy(scripts: Iterable[str]) -> str:
    """Return a Content-Security-Policy that runs these scripts and reaches nothing outside the file."""
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    allowed = " ".join(f"'sha256-{digest}'" for digest in hashes)
    # Plotly places its labels by style attributes and a style element of its own.
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:; "
        "connect-src 'none'; form-action 'none'; base-uri 'none'"
    )
