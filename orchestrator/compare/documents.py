"""A comparison as JSON, Markdown and HTML, with a picture of its differences."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from orchestrator.compare.baseline import Baseline
from orchestrator.compare.campaigns import Comparison
from orchestrator.compare.comparison_tables import names_of, threshold_text
from orchestrator.compare.headline import Headline
from orchestrator.compare.rows import WORSE, Compared
from orchestrator.report.chart_files import svg_of
from orchestrator.report.charts.draw import Spec, channel, whole
from orchestrator.report.html import page_of
from orchestrator.report.markdown import folded
from orchestrator.report.table import Table, to_markdown
from orchestrator.report.text import markdown_text, printable, signed
from orchestrator.stats.pair import Difference
from orchestrator.stats.times import PRIMARY_CLOCK, Clock
from orchestrator.storage.schema import SCHEMA_VERSION
from orchestrator.storage.stored_form import finite

MOST_LETTERS = 60
COLOURS = {WORSE: "#b3261e", "better": "#00694a"}
# What the marks mean.
NOTE = (
    "Dot and line: the difference between means of fresh processes, with its limits for all rows together. Grey band: the noise "
    "floor, the smallest drop that these repeats would find with 80 % probability. Left of zero the candidate is worse."
)


def difference_picture(comparison: Comparison) -> str | None:
    """Return the picture as SVG, worst trials on top, or None where no trial has a difference with bounds."""
    spec = difference_spec(comparison)
    return None if spec is None else svg_of(spec, "Differences of mean tail quality, candidate minus baseline")


def difference_spec(comparison: Comparison) -> Spec | None:
    """Return the specification of the picture, or None where no trial has a difference with bounds."""
    known = [row for row in comparison.rows if row.verdict is not None and row.verdict.found.method != "none"]
    rows = [_mark(at, row, names) for at, (row, names) in enumerate(zip(known, names_of(comparison, known), strict=True))]
    if not rows:
        return None
    reach = max(1e-6, *(1.05 * max(map(abs, (row["low"], row["high"], row["floor"]))) for row in rows))
    places = {"y": {"field": "at", "type": "ordinal", "axis": None}}
    colour = {"color": {"field": "colour", "type": "nominal", "scale": None}}
    x = channel("difference", "difference of mean tail quality: left of 0 worse, right of it better", domain=[-reach, reach])
    marks: list[tuple[Spec, Spec]] = [
        (
            {"type": "bar", "height": 14, "yOffset": 8, "color": "#9aa3ad", "opacity": 0.35},
            {"x": x | {"field": "under"}, "x2": {"field": "floor"}},
        ),
        ({"type": "rule", "strokeWidth": 2, "yOffset": 8}, {"x": x | {"field": "low"}, "x2": {"field": "high"}, **colour}),
        ({"type": "circle", "size": 70, "opacity": 1, "yOffset": 8}, {"x": x, **colour}),
        ({"type": "text", "align": "left", "yOffset": -8}, {"x": {"value": 0}, "text": {"field": "words"}, **colour}),
    ]
    layers = [{"mark": kind, "encoding": places | encoding} for kind, encoding in marks]
    zero = {"data": {"values": [{"difference": 0}]}, "mark": {"type": "rule", "strokeWidth": 1}, "encoding": {"x": x}}
    return whole(rows, [zero, *layers]) | {"height": {"step": 38}}


def _mark(at: int, row: Compared, names: Sequence[str]) -> Spec:
    assert row.verdict is not None
    found, floor = row.verdict.found, row.verdict.detectable_drop
    limits = {"low": found.low, "high": found.high, "floor": floor, "under": -floor}
    words = f"{label_of(row, names)}: {signed(found.difference)} {row.kind}"
    return {"at": at, "words": printable(words), "difference": found.difference, "colour": COLOURS.get(row.kind, "#1b1f24"), **limits}


def label_of(row: Compared, names: Sequence[str]) -> str:
    """Return the names that tell a row from the others, with its threshold; an overlong one is cut in its middle."""
    text = ", ".join([*names, threshold_text(row)])
    half = MOST_LETTERS // 2
    return text if len(text) <= MOST_LETTERS else f"{text[:half]} … {text[-half:]}"


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
            {
                "names": list(one.names),
                "baseline": one.before.numbers,
                "candidate": one.after.numbers,
            }
            for one in comparison.capacities
        ],
        "changes": [
            {"what": change.name, "baseline": change.before, "candidate": change.after, "systems": list(change.systems)}
            for change in comparison.changes
        ],
    }


def _campaign(side: Baseline) -> dict[str, Any]:
    return {
        "name": side.name,
        "measured_at": side.measured_at.isoformat(),
        "code_version": side.code_version,
        "code_digest": side.code_digest,
    }


def _row(row: Compared) -> dict[str, Any]:
    trial, threshold = row.trial, row.threshold
    return {
        "match_key": row.match_key,
        "model": trial.model.name,
        "task": trial.task.name,
        "system": trial.system.name,
        "runtime": trial.runtime.name,
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
        "baseline_mean": _mean(row.means_before),
        "mean": _mean(row.means),
        "baseline_interval": row.interval_before and list(row.interval_before),
        "interval": row.interval and list(row.interval),
        "baseline_repeat_means": list(row.means_before),
        "repeat_means": list(row.means),
        "design": row.replicates and row.replicates.design,
        "fresh_processes": _fresh_processes(row),
        "samples_like_these": _difference(row.samples_like_these),
        "flags": list(row.flags),
    }


def _fresh_processes(row: Compared) -> dict[str, Any] | None:
    found = _difference(row.difference)
    if found is None or row.verdict is None:
        return found
    return {
        **found,
        "p_value": row.verdict.p_value,
        "degrees_of_freedom": row.verdict.found.parameters.get("df"),
        "detectable_drop": finite(row.verdict.detectable_drop),
        "detectable_slow_down": row.slow_down,
        "smallest_effect": finite(row.smallest_effect),
    }


def _difference(found: Difference | None) -> dict[str, Any] | None:
    if found is None:
        return None
    known = found.method != "none"
    return {
        "difference": found.difference,
        "low": found.low if known else None,
        "high": found.high if known else None,
        "confidence": found.confidence,
        "method": found.method,
    }


def _mean(means: tuple[float, ...]) -> float | None:
    return float(np.mean(means)) if means else None


# What is folded in Markdown.
FOLDED_IN_COMMENT = ("Every scope, threshold and flag",)


@dataclass(frozen=True)
class Written:
    """A comparison in words, tables and a picture, for a pull request and a page.

    headline
        pass, fail or no verdict, with the commands that would give one.
    sentences
        what else is said.
    short
        the verdicts with what they rest on.
    tables
        everything.
    picture
        SVG of the differences; None where none has bounds.
    """

    title: str
    headline: Headline
    sentences: Sequence[str]
    short: Table
    tables: Sequence[Table]
    picture: str | None = None


def to_comment(written: Written) -> str:
    """Return Markdown that shows names and reasons as they are: the verdict, the short table, and folded all the rest."""
    head = [f"# {markdown_text(written.title)}", "", f"**{markdown_text(written.headline.sentence)}**", ""]
    if written.headline.commands:
        head += ["What would give a verdict:", "", "```sh", *written.headline.commands, "```", ""]
    head += [*(f"- {markdown_text(sentence, at_start=True)}" for sentence in written.sentences), ""]
    (name,) = FOLDED_IN_COMMENT
    return "\n".join([*head, to_markdown(written.short), folded(name, *map(to_markdown, written.tables))])


def to_page(written: Written) -> str:
    """Return the page: the verdict, the picture, the short table, what else is said, and every column."""
    state = written.headline.result.replace(" ", "-")
    return page_of("orchestrator.compare", "compare_page.html.j2", written=written, note=NOTE, state=state)
