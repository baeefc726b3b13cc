"""``report.html``: one file that holds all it needs, for a screen, a phone and paper."""

import base64
import hashlib
import math
import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup

from orchestrator.analysis.campaign_analysis import CampaignAnalysis
from orchestrator.analysis.flags import UNSTEADY, flag_of
from orchestrator.analysis.ranking import Ranking, is_unsteady, rankings
from orchestrator.analysis.reading import Entry, Reading, readings
from orchestrator.analysis.tables.deadline import NEVER, Deadlines, kept_from, longest
from orchestrator.analysis.threads import map_in_threads
from orchestrator.report.chart_files import quality_picture, script
from orchestrator.report.charts import charts_of
from orchestrator.report.findings import Finding, coded, in_words
from orchestrator.report.findings.campaign import of_campaign
from orchestrator.report.findings.task import of_task
from orchestrator.report.html import page_of, text_of
from orchestrator.report.markdown import FOLDED, METHOD, PICTURE, to_report
from orchestrator.report.record_tables import fault_tables
from orchestrator.report.result_tables import problem_tables, shown_in, stack_table, trials_table
from orchestrator.report.table import Table
from orchestrator.report.text import milliseconds, printable, quality, quality_within
from orchestrator.stats.times import Clock

# Charts beside what is found.
FIRST = ("capacity", "streaming", "tail-quality", "envelope", "neighbours")
COMMON = "Tail quality at every threshold"
# By the title of a section, the sections of its charts.
CHARTS = {
    COMMON: ("quality", "ranking", "rounds"),
    "Own percentiles and predictions": ("prediction",),
    "Latency": ("latency",),
    "Slow rounds": ("causes", "settling"),
}
MOST_FLIPS = 40
# The glossary beside flags.
WORDS = {
    "trial": "One model on one system with one runtime, measured over many rounds in a process of "
    "its own.",
    "round": "One pass over every sample of the task.",
    "deadline, threshold": "The time an answer may take. A later one counts as failed.",
    "tail quality": "Quality of a round when late answers count as failed; of a trial the mean "
    "over its rounds.",
    "ideal quality": "Quality without a deadline.",
    "95 % interval": "Where the mean of rounds to come lies, with 95 % confidence.",
    "worst round": "The round with the lowest tail quality.",
    "certified deadline": "With the campaign's confidence, the required share of rounds to "
    "come keeps the promised quality within it.",
    "observed deadline": "The deadline that the measured rounds kept; it promises nothing for "
    "other rounds.",
    "total, inference": "From the sample's bytes to the answer as plain values; the model call "
    "alone.",
    "response": "Under load: from a sample's scheduled arrival to its answer, waiting included.",
    "first_token, per_token": "For streamed answers: from the arrival (in a closed loop, the "
    "start) to the first token; the mean time between two tokens.",
    "tie": "Systems that are not shown worse than the best.",
    "not shown, not tested": "The data leave open whether there is a difference; the data cannot "
    "test it, since the systems did not take turns.",
    "fresh processes": "The same trial started anew (repeats). Processes can differ by more than "
    "the rounds of one process.",
    "samples like these": "Other samples of the same kind, for which two models are compared as "
    "well.",
    "percentile": "p99 is the time within which 99 % of inferences end.",
    "rJSD": "A distance between densities of times, small once more rounds no longer change them. "
    "It says nothing about the tail.",
    "flip": "Two systems change places in the ranking between two deadlines.",
}


def report_texts(
    results: CampaignAnalysis,
    found: Sequence[Finding] | None = None,
    combined: Table | None = None,
) -> dict[str, str]:
    """Return by name the files of a report beside its tables; no picture of nothing.

    ``found`` and ``combined`` are the findings and the table of several campaigns read as one. The
    files are made at the same time, as the picture is drawn by another process.
    """
    readings(results), rankings(results)  # made once, before threads ask for them
    makers: dict[str, Callable[[], str | None]] = {
        PICTURE: lambda: quality_picture(results),
        "report.md": lambda: to_report(results, found, combined),
        "report.html": lambda: render(results, found, combined),
    }
    made = map_in_threads(lambda name: makers[name](), makers)
    return {name: text for name, text in zip(makers, made, strict=True) if text is not None}


def render(
    results: CampaignAnalysis,
    found: Sequence[Finding] | None = None,
    combined: Table | None = None,
) -> str:
    """Return the page; equal results and settings give equal text.

    ``found`` and ``combined`` are as in `report_texts`. Raises InputError if trials of one task are
    judged by different metrics.
    """
    read, ranked = readings(results), rankings(results)
    whole = (
        of_campaign(results, ranked) if found is None else (one for one in found if not one.subject)
    )
    tasks = [_task(number, *pair) for number, pair in enumerate(zip(read, ranked, strict=True))]
    flags = {name: flag_of(name) for task in tasks for row in task["rows"] for name in row["flags"]}
    campaign = results.campaign
    scripts = {name: text_of(f"{name}.js") for name in ("theme", "page")} | {"vega": script()}
    data = {
        "tasks": [task["moved"] for task in tasks],
        "charts": {name: chart.spec for task in tasks for name, chart in task["charts"]},
    }
    return page_of(
        "orchestrator.report.html",
        "page.html.j2",
        title=f"Tail quality: {f'{len(combined.rows)} campaigns' if combined else campaign.name}",
        policy=_policy(scripts.values()),
        scripts={name: Markup(text) for name, text in scripts.items()},  # noqa: S704 - ours
        data=htmlsafe_json_dumps(data, separators=(",", ":"), allow_nan=False),
        measured=f"Measured {campaign.created_at:%Y-%m-%d %H:%M} UTC, "
        f"version {campaign.code_version}",
        command=printable(shlex.join(campaign.command)),
        said=_in_html(whole),
        tasks=tasks,
        problems=[*problem_tables(results), *fault_tables(results)],
        set_up=[
            *([] if combined is None else [combined]),
            trials_table(results),
            stack_table(results.records),
            *_loop(read),
        ],
        method=[coded(paragraph, "html") for paragraph in METHOD],
        flags={
            name: {
                "name": name,
                "meaning": f"{flag.meaning[:1].upper()}{flag.meaning[1:]}."
                + (f" What helps: {flag.remedy}." if flag.remedy else ""),
                "anchor": f"flag-{re.sub('[^a-z0-9]+', '-', name.lower())}",
            }
            for name, flag in sorted(flags.items())
        },
        words=WORDS,
    )


def _task(number: int, reading: Reading, ranked: Ranking) -> dict[str, Any]:
    results = replace(reading.results, groups=(reading.group,))
    charts = [(f"{chart.name}-{number}", chart) for chart in charts_of(reading)]
    grids = {clock: _moved(reading, clock) for clock in reading.clocks}
    first, at = grids[reading.clock], reading.grids[reading.clock].start
    top = max(max(curve.ideal, float(curve.high.max())) for curve in reading.curves.values()) or 1.0
    parts = []
    for title, makers in FOLDED:
        mine = [one for one in charts if one[1].section in CHARTS.get(title, ())]
        tables = [*shown_in(results, title), *(table for make in makers for table in make(results))]
        parts.append(
            {
                "title": title,
                "charts": [one for one in mine if one[1].name not in FIRST],
                "tables": [*tables, *(_flips(reading) if title == COMMON else ())],
            }
        )
    return {
        "number": number,
        "title": reading.title,
        "clocks": reading.clocks,
        "said": _in_html(of_task(reading.results, ranked)),
        "deadline": first["names"][at],
        "charts": charts,
        "first": [one for one in charts if one[1].name in FIRST],
        "ranked": len(ranked.found) > 1,
        "rows": _rows(reading, first["systems"], at),
        "sections": [part for part in parts if part["charts"] or part["tables"]],
        "moved": {"clock": reading.clock, "top": top, "grids": grids},
    }


def _in_html(found: Iterable[Finding]) -> list[tuple[Markup, ...]]:
    return [tuple(map(Markup, in_words(one, "html"))) for one in found]  # escaped for their medium


def _moved(reading: Reading, clock: Clock) -> dict[str, Any]:
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
    names = []
    for ns, labels in zip(grid.ns, grid.labels, strict=True):
        percentile = next((one for one in labels.split(", ") if one.startswith("p")), "")
        names.append(f"{milliseconds(int(ns))}{f' ({percentile})' if percentile else ''}")
    return {"ms": grid.ms.tolist(), "names": names, "start": grid.start, "systems": systems}


def _rows(reading: Reading, moved: Mapping[str, Any], at: int) -> list[dict[str, Any]]:
    clock, keys = reading.clock, reading.short_keys()
    known = kept_by_system(reading, clock)
    judged = reading.group.trials[0].judged(reading.metric)

    def row(entry: Entry) -> dict[str, Any]:
        key, curve = keys[entry.key], reading.curves[clock, entry.key]
        states = [state for one in entry.members if (state := one.data.record.state) != "done"]
        ends = float(curve.low[at]), float(curve.high[at]), judged.gained(curve.ideal)
        unsteady = [UNSTEADY] if is_unsteady(*ends) else []
        kinds = zip(known[entry.key], ("certified", "observed"), strict=True)
        kept = (f"{milliseconds(ns)} {kind}" for ns, kind in kinds if math.isfinite(ns))
        return {name: cells[at] for name, cells in moved[key].items()} | {
            "key": key,
            "label": entry.label,
            "ideal": quality(curve.ideal),
            "kept": next(kept, "none"),
            "rounds": " + ".join(str(len(one.data.times[clock])) for one in entry.members),
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


def _flips(reading: Reading) -> Iterator[Table]:
    flips = sorted(reading.flips(), key=lambda flip: not flip[-1])
    more = f" {len(flips) - MOST_FLIPS} more are not shown." if len(flips) > MOST_FLIPS else ""
    if flips:
        yield Table(
            title="Ranking flips",
            columns=["ahead", "of", "within", "but behind within", "intervals"],
            rows=[
                [*names, "apart at both" if apart else "overlap"]
                for *names, apart in flips[:MOST_FLIPS]
            ],
            note="Pairs that change order between neighbouring common thresholds, "
            f"{reading.clock} time.{more}",
        )


def _loop(read: Iterable[Reading]) -> Iterator[Table]:
    rows = [
        [entry.key, *(f"{ns / 1000:.3g} µs" for ns in entry.data.beside.gap_ns)]
        for reading in read
        for entry in reading.entries
        if entry.data.beside is not None and entry.data.beside.gap_ns is not None
    ]
    if rows:
        yield Table(
            "Our own loop between two samples",
            ["trial", "median", "p99"],
            rows,
            "From a sample's last stamp to the next one's first: outside all clocks.",
            frozenset(["median", "p99"]),
        )


def _policy(scripts: Iterable[str]) -> str:
    """Return a Content-Security-Policy that runs these scripts and reaches nothing else."""
    digests = (base64.b64encode(hashlib.sha256(one.encode()).digest()) for one in scripts)
    allowed = " ".join(f"'sha256-{digest.decode()}'" for digest in digests)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; "
        "connect-src 'none'; form-action 'none'; base-uri 'none'"
    )
