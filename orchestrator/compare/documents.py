"""A comparison as JSON, Markdown and HTML, with a picture of its differences."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from orchestrator.analysis.capacity import Search
from orchestrator.compare.baseline import Baseline
from orchestrator.compare.campaigns import Comparison, names_of_search
from orchestrator.compare.comparison_tables import comparison_tables, names_of, short_table, threshold_text
from orchestrator.compare.headline import headline, sentences
from orchestrator.compare.rows import WORSE, Compared, say
from orchestrator.report.chart_files import svg_of
from orchestrator.report.charts.draw import Spec, channel, whole
from orchestrator.report.html import page_of
from orchestrator.report.markdown import folded
from orchestrator.report.table import to_markdown
from orchestrator.report.terminal import Terminal
from orchestrator.report.text import markdown_text, printable, signed
from orchestrator.stats.pair import Difference
from orchestrator.stats.times import PRIMARY_CLOCK, Clock
from orchestrator.storage.files import write_json, write_text
from orchestrator.storage.schema import SCHEMA_VERSION
from orchestrator.storage.stored_form import finite

COLOURS = {WORSE: "#b3261e", "better": "#00694a"}


def difference_picture(comparison: Comparison) -> str | None:
    """Return the picture as SVG, worst trials on top, or None where no trial has a difference with bounds."""
    spec = difference_spec(comparison)
    return None if spec is None else svg_of(spec, "Differences of mean tail quality, candidate minus baseline")


def difference_spec(comparison: Comparison) -> Spec | None:
    """Return the specification of the picture, or None where no trial has a difference with bounds."""
    known = [row for row in comparison.rows if row.verdict is not None and row.verdict.found.method != "none"]
    rows: list[Spec] = []
    for row, names in zip(known, names_of(comparison, known), strict=True):
        assert row.verdict is not None
        found, floor = row.verdict.found, row.verdict.detectable_drop
        label = ", ".join([*names, threshold_text(row)])
        words = printable(f"{label}: {signed(found.difference)} {row.kind}")
        limits = {"low": found.low, "high": found.high, "floor": floor, "under": -floor}
        colour = COLOURS.get(row.kind, "#1b1f24")
        rows.append({"at": len(rows), "words": words, "difference": found.difference, "colour": colour, **limits})
    if not rows:
        return None
    reach = max(1e-6, *(1.05 * max(map(abs, (row["low"], row["high"], row["floor"]))) for row in rows))
    places = {"y": {"field": "at", "type": "ordinal", "axis": None}}
    by_colour = {"color": {"field": "colour", "type": "nominal", "scale": None}}
    x = channel("difference", "difference of mean tail quality: left of 0 worse, right of it better", domain=[-reach, reach])
    marks: list[tuple[Spec, Spec]] = [
        (
            {"type": "bar", "height": 14, "yOffset": 8, "color": "#9aa3ad", "opacity": 0.35},
            {"x": x | {"field": "under"}, "x2": {"field": "floor"}},
        ),
        ({"type": "rule", "strokeWidth": 2, "yOffset": 8}, {"x": x | {"field": "low"}, "x2": {"field": "high"}, **by_colour}),
        ({"type": "circle", "size": 70, "opacity": 1, "yOffset": 8}, {"x": x, **by_colour}),
        ({"type": "text", "align": "left", "yOffset": -8}, {"x": {"value": 0}, "text": {"field": "words"}, **by_colour}),
    ]
    layers = [{"mark": kind, "encoding": places | encoding} for kind, encoding in marks]
    zero = {"data": {"values": [{"difference": 0}]}, "mark": {"type": "rule", "strokeWidth": 1}, "encoding": {"x": x}}
    return whole(rows, [zero, *layers]) | {"height": {"step": 38}}


def to_document(comparison: Comparison, allow_no_verdict: bool = False) -> dict[str, Any]:
    """Return the comparison as mappings, lists, texts and finite numbers. Without a gate there is no exit code of one."""
    gated = comparison.min_effect is not None
    return {
        "schema_version": SCHEMA_VERSION,
        "gate_exit_code": comparison.exit_code(allow_no_verdict) if gated else None,
        "allow_no_verdict": allow_no_verdict,
        "min_effect": comparison.min_effect,
        "measured_apart": comparison.apart,
        "baseline": _campaign(comparison.before),
        "baseline_campaigns": [_campaign(side) for side in comparison.earlier],
        "candidate": _campaign(comparison.after),
        "trials": [_row(row) for row in comparison.rows],
        "only_in_candidate": list(comparison.only_after),
        "capacities": [
            {"names": list(names_of_search(before)), "baseline": numbers_of(before), "candidate": numbers_of(after)}
            for before, after in comparison.capacities
        ],
        "changes": [
            {"what": change.name, "baseline": change.before, "candidate": change.after, "systems": list(change.systems)}
            for change in comparison.changes
        ],
    }


def numbers_of(search: Search) -> dict[str, float | None]:
    """Return what a search has found, in samples a second; None for nothing."""
    rate, low, high = (one if one is not None and 0 < one < math.inf else None for one in search.estimate or (None, None, None))
    certified = None if search.certified is None else search.certified.rate_per_s
    return {"certified_per_s": certified, "estimate_per_s": rate, "estimate_low_per_s": low, "estimate_high_per_s": high}


def _campaign(side: Baseline) -> dict[str, Any]:
    return {
        "name": side.name,
        "measured_at": side.measured_at.isoformat(),
        "code_version": side.code_version,
        "code_digest": side.code_digest,
    }


def _row(row: Compared) -> dict[str, Any]:
    trial, threshold, verdict = row.trial, row.threshold, row.verdict
    tested = (
        None
        if verdict is None
        else {
            "p_value": verdict.p_value,
            "degrees_of_freedom": verdict.found.parameters.get("df"),
            "detectable_drop": finite(verdict.detectable_drop),
            "detectable_slow_down": row.slow_down,
            "smallest_effect": finite(row.smallest_effect),
        }
    )
    difference = _difference(row.difference)
    return {
        "match_key": row.match_key,
        **{name: getattr(trial, name).name for name in ("model", "task", "system", "runtime")},
        "batch": trial.measurement.batch,
        "metric": row.metric,
        "clock": Clock.RESPONSE if trial.load.is_open else PRIMARY_CLOCK,
        "threshold": threshold and threshold.label,
        "threshold_ns": threshold and threshold.ns,
        "threshold_origin": threshold and threshold.origin,
        "verdict": row.outcome,
        "why": row.why or None,
        "baseline_ideal": row.ideal_before,
        "ideal": row.ideal,
        "baseline_mean": float(np.mean(row.means_before)) if row.means_before else None,
        "mean": float(np.mean(row.means)) if row.means else None,
        "baseline_interval": row.interval_before and list(row.interval_before),
        "interval": row.interval and list(row.interval),
        "baseline_repeat_means": list(row.means_before),
        "repeat_means": list(row.means),
        "design": row.replicates and row.replicates.design,
        "fresh_processes": difference and difference | (tested or {}),
        "samples_like_these": _difference(row.samples_like_these),
        "flags": list(row.flags),
    }


def _difference(found: Difference | None) -> dict[str, Any] | None:
    if found is None:
        return None
    low, high = (found.low, found.high) if found.method != "none" else (None, None)
    return {
        "difference": found.difference,
        "low": low,
        "high": high,
        "confidence": found.confidence,
        "method": found.method,
    }


# What is folded in Markdown.
FOLDED_IN_COMMENT = ("Every scope, threshold and flag",)
STYLE_OF_RESULT = {"pass": "bold green", "fail": "bold red", "no verdict": "bold yellow"}


def to_comment(written: Mapping[str, Any]) -> str:
    """Return Markdown that shows names and reasons as they are: the verdict, the short table, and folded all the rest.

    ``written`` has a ``title``, the ``headline``, the ``sentences``, the ``short`` table, all ``tables``, and a ``picture`` or None.
    """
    rest = folded(FOLDED_IN_COMMENT[0], *map(to_markdown, written["tables"]))
    return say("comment", written=written, plain=markdown_text, table=to_markdown, rest=rest) + "\n"


def to_page(written: Mapping[str, Any]) -> str:
    """Return the page of the same: the verdict, the picture, the short table, what else is said, and every column."""
    state = written["headline"].result.replace(" ", "-")
    return page_of("orchestrator.compare", "compare_page.html.j2", written=written, state=state)


def tell(
    comparison: Comparison, places: tuple[Path, Path], files: Mapping[str, Path], allow_no_verdict: bool, power: bool, full: bool
) -> None:
    """Print a comparison, the verdicts alone or in ``full``, and write it as ``json``, ``markdown`` or ``html`` into ``files``."""
    head, short = headline(comparison, places, allow_no_verdict), short_table(comparison, more=False)
    tables, told = list(comparison_tables(comparison, power)), list(sentences(comparison))
    terminal = Terminal()
    terminal.prose(head.sentence, STYLE_OF_RESULT[head.result])
    if head.commands:
        terminal.prose("What would give a verdict:")
        for wanted in head.commands:
            terminal.line(wanted)
    terminal.line()
    terminal.tables(tables if full else [short_table(comparison), *tables[1:]])
    for sentence in told:
        terminal.prose(sentence)
    title = f"Tail quality: {comparison.after.name} against {comparison.before.name}"
    picture = difference_picture(comparison) if "html" in files else None
    written = {"title": title, "headline": head, "sentences": told, "short": short, "tables": tables, "picture": picture}
    for form, path in files.items():
        if form == "json":
            write_json(path, to_document(comparison, allow_no_verdict))
        else:
            write_text(path, (to_comment if form == "markdown" else to_page)(written))
        terminal.line(f"written: {path}")
