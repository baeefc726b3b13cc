"""``report.html``: one file that holds all it needs, for a screen, a phone and paper."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from markupsafe import Markup

from orchestrator.analysis.campaign_analysis import CampaignAnalysis
from orchestrator.analysis.flags import UNSTEADY, flag_of
from orchestrator.analysis.quality import scale_of
from orchestrator.analysis.ranking import Ranking, is_unsteady, rankings
from orchestrator.analysis.reading import Entry, Reading, readings
from orchestrator.analysis.tables.deadline import NEVER, Deadlines, kept_from, longest
from orchestrator.report.chart_files import script
from orchestrator.report.charts import charts_of
from orchestrator.report.charts.draw import Chart
from orchestrator.report.findings import Finding, of_campaign, of_task
from orchestrator.report.findings.say import coded, label, said
from orchestrator.report.html.words import WORDS
from orchestrator.report.markdown import FOLDED, METHOD
from orchestrator.report.record_tables import fault_tables
from orchestrator.report.result_tables import problem_tables, shown_in, stack_table, trials_table
from orchestrator.report.table import Table
from orchestrator.report.template import page_of, text_of
from orchestrator.report.text import milliseconds, printable, quality, quality_within
from orchestrator.stats.times import Clock

HERE = "orchestrator.report.html"
FIRST = ("capacity", "tail-quality")
"""Charts beside what is found."""
COMMON = "Tail quality at every threshold"
CHARTS = {
    COMMON: ("quality", "ranking", "rounds"),
    "Own percentiles and predictions": ("prediction",),
    "Latency": ("latency",),
    "Slow rounds": ("causes", "settling"),
}
"""By the title of a section, the sections of its charts."""
Named = list[tuple[str, Chart]]


@dataclass(frozen=True)
class Part:
    """A folded part of a task."""

    title: str
    charts: Named
    tables: list[Table]


def render(
    results: CampaignAnalysis,
    said: Sequence[Finding] | None = None,
    combined: Table | None = None,
    found: Sequence[Reading] | None = None,
    ranked: Sequence[Ranking] | None = None,
) -> str:
    """Return the page; equal results and settings give equal text.

    ``said`` and ``combined`` are the findings and the table of several campaigns read as one;
    ``found`` and ``ranked`` what `readings` and `rankings` return, where that is known. Raises
    InputError if trials of one task are judged by different metrics.
    """
    found = readings(results) if found is None else found
    ranked = rankings(results) if ranked is None else ranked
    whole = (
        of_campaign(results, ranked) if said is None else (one for one in said if not one.subject)
    )
    tasks = [_task(number, *pair) for number, pair in enumerate(zip(found, ranked, strict=True))]
    flags = dict.fromkeys(name for task in tasks for row in task["rows"] for name in row["flags"])
    campaign = results.campaign
    when = f"Measured {campaign.created_at:%Y-%m-%d %H:%M} UTC, version {campaign.code_version}"
    several = [combined] if combined is not None else []
    own = {name: text_of(HERE, f"{name}.js") for name in ("theme", "page")}
    scripts = own | {"library": script()}
    data = {
        "tasks": [task["moved"] for task in tasks],
        "charts": {name: chart.spec for task in tasks for name, chart in task["charts"]},
    }
    return page_of(
        HERE,
        "page.html.j2",
        title=f"Tail quality: {f'{len(combined.rows)} campaigns' if combined else campaign.name}",
        policy=_policy(scripts.values()),
        scripts={name: Markup(text) for name, text in scripts.items()},  # noqa: S704 - ours
        data=Markup(_json(data)),  # noqa: S704 - no letter of it begins markup
        measured=when,
        command=printable(shlex.join(campaign.command)),
        said=_in_html(whole),
        tasks=tasks,
        problems=[*problem_tables(results), *fault_tables(results)],
        set_up=[*several, trials_table(results), stack_table(results.records), *_loop(found)],
        method=[coded(paragraph, "html") for paragraph in METHOD],
        flags={name: _explained(name) for name in sorted(flags)},
        words=WORDS,
    )


def _task(number: int, reading: Reading, ranked: Ranking) -> dict[str, Any]:
    """Return what the template needs of one task."""
    results = replace(reading.results, groups=(reading.group,))
    charts = [(f"{chart.name}-{number}", chart) for chart in charts_of(reading)]
    grids = {clock: _moved(reading, clock) for clock in reading.clocks}
    top = max(max(curve.ideal, float(curve.high.max())) for curve in reading.curves.values()) or 1.0
    parts = []
    for title, makers in FOLDED:
        mine = [one for one in charts if one[1].section in CHARTS.get(title, ())]
        tables = [*shown_in(results, title), *(table for make in makers for table in make(results))]
        tables += _flips(reading) if title == COMMON else ()
        parts.append(Part(title, [one for one in mine if one[1].name not in FIRST], tables))
    return {
        "number": number,
        "title": reading.title,
        "clocks": reading.clocks,
        "said": _in_html(of_task(reading.results, ranked)),
        "deadline": grids[reading.clock]["names"][reading.grids[reading.clock].start],
        "charts": charts,
        "first": [one for one in charts if one[1].name in FIRST],
        "rows": _rows(reading, grids[reading.clock]),
        "sections": [part for part in parts if part.charts or part.tables],
        "moved": {"clock": reading.clock, "top": top, "grids": grids},
    }


def _in_html(found: Iterable[Finding]) -> list[tuple[Markup, Markup]]:
    """Return the label of each finding and what it says."""
    return [(Markup(label(one, "html")), Markup(said(one, "html"))) for one in found]  # noqa: S704 - escaped by `say`


def _moved(reading: Reading, clock: Clock) -> dict[str, Any]:
    """Return what the slider moves: by key of a system its cells at every threshold."""
    grid, ranks, keys = reading.grids[clock], reading.ranks(clock), reading.short_keys()
    known = kept_by_system(reading, clock)
    systems = {}
    for entry in reading.systems:
        curve, places = reading.curves[clock, entry.key], ranks[entry.key]
        before = sum(known[other.key] < known[entry.key] for other in reading.systems)
        systems[keys[entry.key]] = {
            "place": [int(place) for place in places],
            "order": [int(place) + before / 1000 for place in places],
            "mean": [quality(mean) for mean in curve.mean],
            "worst": [quality(worst) for worst in curve.worst],
            "interval": [
                quality_within(*ends, curve.ideal)
                for ends in zip(curve.low, curve.high, strict=True)
            ],
        }
    names = [_named(int(ns), label) for ns, label in zip(grid.ns, grid.labels, strict=True)]
    return {"ms": grid.ms.tolist(), "names": names, "start": grid.start, "systems": systems}


def _named(ns: int, label: str) -> str:
    """Return a deadline as a time, with the percentiles that it is."""
    percentiles = [name for name in label.split(", ") if name.startswith("p")]
    return f"{milliseconds(ns)}{f' ({percentiles[0]})' if percentiles else ''}"


def _rows(reading: Reading, moved: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of the ranking at the primary threshold, the best first."""
    clock, at = reading.clock, reading.grids[reading.clock].start
    keys, kept = reading.short_keys(), kept_by_system(reading, clock)
    scale = scale_of(reading.group.trials[0].judged(reading.metric))

    def row(entry: Entry) -> dict[str, Any]:
        key, curve = keys[entry.key], reading.curves[clock, entry.key]
        cells = {name: cells[at] for name, cells in moved["systems"][key].items()}
        rounds = [len(one.data.times[clock]) for one in entry.members]
        states = [state for one in entry.members if (state := one.data.record.state) != "done"]
        ends = float(curve.low[at]), float(curve.high[at]), scale.gained(curve.ideal)
        unsteady = [UNSTEADY] if is_unsteady(*ends) else []
        return cells | {
            "key": key,
            "label": entry.label,
            "ideal": quality(curve.ideal),
            "kept": _kept(kept[entry.key]),
            "rounds": " + ".join(map(str, rounds)),
            "flags": list(dict.fromkeys([*states, *curve.flags[at], *unsteady])),
        }

    return sorted(map(row, reading.systems), key=lambda one: one["order"])


def kept_by_system(reading: Reading, clock: Clock) -> dict[str, Deadlines]:
    """Return from which deadline on all processes of each system keep its quality, by its key."""
    known = kept_from(reading.results.rows("deadline"), clock)
    return {
        entry.key: longest(known.get(one.key, NEVER) for one in entry.members)
        for entry in reading.systems
    }


def _kept(deadlines: Deadlines) -> str:
    kinds = zip(deadlines, ("certified", "observed"), strict=True)
    return next((f"{milliseconds(ns)} {kind}" for ns, kind in kinds if math.isfinite(ns)), "none")


MOST_FLIPS = 40


def _flips(reading: Reading) -> Iterator[Table]:
    """Yield which systems change places between neighbouring common thresholds."""
    found = (
        sorted(reading.flips(), key=lambda flip: not flip[-1]) if len(reading.systems) > 1 else []
    )
    more = f" {len(found) - MOST_FLIPS} more are not shown." if len(found) > MOST_FLIPS else ""
    if found:
        yield Table(
            title="Ranking flips",
            columns=["ahead", "of", "within", "but behind within", "intervals"],
            rows=[
                [*names, "apart at both" if apart else "overlap"]
                for *names, apart in found[:MOST_FLIPS]
            ],
            note="Pairs that change order between neighbouring common thresholds, "
            f"{reading.clock} time.{more}",
        )


def _loop(found: Iterable[Reading]) -> Iterator[Table]:
    """Yield the time that our own loop took between two samples in each trial."""
    rows = [
        [entry.key, *(f"{ns / 1000:.3g} µs" for ns in entry.data.beside.gap_ns)]
        for reading in found
        for entry in reading.entries
        if entry.data.beside is not None and entry.data.beside.gap_ns is not None
    ]
    if rows:
        title, heads = "Our own loop between two samples", ["median", "p99"]
        note = "From a sample's last stamp to the next one's first: outside all clocks."
        yield Table(title, ["trial", *heads], rows, note, frozenset(heads))


def _explained(name: str) -> dict[str, str]:
    """Return the glossary's entry of a flag."""
    flag = flag_of(name)
    helps = f" What helps: {flag.remedy}." if flag.remedy else ""
    anchor = re.sub("[^a-z0-9]+", "-", name.lower())
    meaning = f"{flag.meaning[:1].upper()}{flag.meaning[1:]}.{helps}"
    return {"name": name, "meaning": meaning, "anchor": f"flag-{anchor}"}


def _json(document: Any) -> str:
    """Return JSON in which no letter could end the script that holds it."""
    text = json.dumps(document, separators=(",", ":"), allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _policy(scripts: Iterable[str]) -> str:
    """Return a Content-Security-Policy that runs these scripts and reaches nothing else."""
    digests = (hashlib.sha256(script.encode()).digest() for script in scripts)
    allowed = " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; "
        "connect-src 'none'; form-action 'none'; base-uri 'none'"
    )
