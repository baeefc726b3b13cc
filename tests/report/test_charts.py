"""Charts hold the numbers that were analysed, and their files have the size, colours and names that were asked for."""

import json
import os
import re
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from altair.vegalite.schema import core
from refusals import refused

from orchestrator.analysis.ranking import rankings
from orchestrator.analysis.reading import Reading, readings
from orchestrator.report.chart_files import (
    drawing_meanwhile,
    inches,
    look_of,
    quality_picture,
    script,
    sized,
    svg_of,
    write_figures,
)
from orchestrator.report.charts import MAKERS, charts_of, figures
from orchestrator.report.charts.draw import (
    COLOURS,
    DARK_COLOURS,
    SECTIONS,
    corners,
    rounded,
    whole,
)
from orchestrator.report.charts.quality import curve_chart, rounds_chart
from orchestrator.report.charts.times import size_chart
from orchestrator.report.text import quality

pytestmark = pytest.mark.slow  # the campaign takes seconds to measure
# Of Machado, Oliveira and Fernandes (2009), IEEE TVCG 15(6), severity 1, for linear RGB.
SEEN_BY = {
    "all": np.eye(3),
    "protanopes": np.array([[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]),
    "deuteranopes": np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]),
    "tritanopes": np.array([[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]),
}


def lab(colour: str, matrix: Any) -> Any:
    """A colour in CIELAB (D65) as it is seen through a matrix."""
    rgb = np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)]) / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(matrix @ linear, 0, 1)
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ seen
    ratio = xyz / np.array([0.95047, 1.0, 1.08883])
    f = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("reader", SEEN_BY)
@pytest.mark.parametrize(("colours", "ground"), [(COLOURS, "#ffffff"), (DARK_COLOURS, "#14171b")])
def test_colours_differ_for_every_reader(reader: str, colours: tuple[str, ...], ground: str) -> None:
    """A difference of 14 in CIELAB is several times what is just seen side by side."""
    assert len(colours) == 8
    seen = {colour: lab(colour, SEEN_BY[reader]) for colour in (*colours, ground)}
    for one, other in combinations(colours, 2):
        assert np.linalg.norm(seen[one] - seen[other]) > 14, (reader, one, other)
    for colour in colours:
        assert np.linalg.norm(seen[colour] - seen[ground]) > 30


@pytest.fixture(scope="module")
def reading(report: Any) -> Reading:
    return readings(report.results)[0]


def test_figures_come_in_the_order_of_the_sections(reading: Reading) -> None:
    charts = charts_of(reading)
    assert [chart.name for chart in charts] == [
        "tail-quality", "outcomes", "density", "distribution", "percentiles", "rounds", "rounds-histogram", "ranking", "rjsd", "prediction",
        "stages", "evidence",
    ]  # fmt: skip
    places = [SECTIONS.index(chart.section) for chart in charts]
    assert places == sorted(places)
    assert len(MAKERS) == len(charts) + 5  # too few sizes, nothing searched, settings that tell no trials apart, no neighbours, no frames


def test_curves_are_drawn_at_the_stored_values(report: Any, reading: Reading) -> None:
    drawn = {(row["k"], row["clock"]): row for row in curve_chart(reading).spec["data"]["values"]}
    keys, compared = reading.short_keys(), 0
    for row in report.results.rows("tail_quality"):
        if row["metric"] == reading.metric and row["slice"] == "all" and row["threshold_origin"] != "own":
            line = drawn[keys[row["trial"]], row["clock"]]
            at = np.searchsorted(line["x"], float(f"{row['threshold_ns'] / 1e6:.4g}"), side="right") - 1
            found = [line[name][at] for name in ("mean", "low", "high", "worst")]
            assert found == pytest.approx([row[name] for name in ("mean", "interval_low", "interval_high", "worst")], rel=1e-3)
            compared += 1
    assert compared > 8


def test_rounds_are_those_of_the_primary_threshold(reading: Reading) -> None:
    grid, [data] = reading.grids["total"], [one.data for one in reading.entries[:1]]  # type: ignore[index]
    of_rounds = data.judged(data.metric).curve(data.times[data.clock], [grid.ns[grid.start]])[0]
    [row] = [row for row in rounds_chart(reading).spec["data"]["values"] if (row["k"], row["clock"]) == ("e1", "total")]
    assert row["mean"] == row["worst"] == pytest.approx(of_rounds, rel=1e-3)
    assert row["x"] == list(range(1, len(of_rounds) + 1))


@pytest.mark.parametrize(("sizes", "drawn"), [(4, False), (5, True)])
def test_time_is_drawn_against_input_size_from_five_sizes_on(reading: Reading, sizes: int, drawn: bool) -> None:
    entries = tuple(replace(entry, data=replace(entry.data, input_sizes=np.arange(20) % sizes)) for entry in reading.entries)
    found = size_chart(replace(reading, entries=entries, systems=entries)).spec["data"]["values"]
    assert bool(found) is drawn


def test_many_systems_have_a_panel_for_each_model_in_which_a_system_looks_the_same(crowd: Any) -> None:
    (reading,) = readings(crowd.results)
    assert len(reading.systems) == 24
    spec = curve_chart(reading, dict.fromkeys((entry.key for entry in reading.systems), "0.9")).spec
    assert spec["facet"]["sort"] == ["null", "other", "third"]
    lines = spec["spec"]["layer"][0]["encoding"]
    assert lines["color"]["scale"]["domain"] == [
        f"{system} · {runtime}" for system in ("one", "two", "three", "four") for runtime in ("torch", "onnxruntime")
    ]
    assert [colour["expr"] for colour in lines["color"]["scale"]["range"]] == [f"ink[{at // 2}]" for at in range(8)]
    assert len({(row["s"], row["m"]) for row in spec["data"]["values"]}) == 24
    assert (sized(spec, 340)["columns"], sized(spec, 1200)["columns"]) == (1, 3)


def test_every_specification_is_valid_and_small(report: Any) -> None:
    named = figures(report.results)
    assert sum(len(json.dumps(chart.spec, allow_nan=False, separators=(",", ":"))) for _, chart in named.values()) < 500_000
    for _, chart in named.values():
        # Vega takes an expression as an axis title; the schema of Vega-Lite does not say so.
        valid = re.sub(r'"title": \{"expr": "[^"]*"\}', '"title": "words"', json.dumps(chart.spec))
        core.Root.validate(json.loads(valid))


def test_steps_keep_every_change_and_both_ends() -> None:
    steps = corners(x=np.arange(6.0), y=np.array([0, 0, 1, 1, 1, 1.0]), z=np.array([2, 2, 2, 3, 3, np.nan]))
    assert (steps["x"], steps["y"], steps["z"]) == ([0, 2, 3, 5], [0, 1, 1, 1], [2, 2, 3, None])
    assert rounded([1 / 3, np.inf, 12345.678]) == [0.3333, None, 12350.0]


@pytest.mark.parametrize(("style", "width"), [("paper", inches("84mm")), ("talk", None)])
def test_a_pdf_is_as_wide_as_it_was_asked_to_be_and_its_text_is_no_picture(report: Any, tmp_path: Path, style: str, width: float) -> None:
    look = look_of(style, width)
    (path,) = write_figures(tmp_path, ["pdf"], ["tail-quality" if width else "stages"], report.results, look)
    pdf = path.read_bytes()
    ((wide, high),) = re.findall(rb"/MediaBox ?\[\s?0 0 ([\d.]+) ([\d.]+)", pdf)
    assert float(wide) == pytest.approx(72 * look.width, abs=1)
    assert 0.3 * float(wide) < float(high)
    assert b"/FontFile" in pdf


@pytest.mark.parametrize(("style", "only"), [("paper", []), (None, ["tail-quality", "stages"])])
def test_every_figure_is_written_as_wide_as_asked_and_no_text_is_smaller_than_seven_points(
    report: Any, tmp_path: Path, style: str | None, only: list[str]
) -> None:
    look = look_of(style)
    written = write_figures(tmp_path, ["svg"], only, report.results, look)
    assert {path.stem for path in written} == set(only or figures(report.results))
    for path in written:
        root = ElementTree.parse(path).getroot()
        sizes = [float(found) for found in re.findall(r'font-size="([\d.]+)px"', path.read_text("utf-8"))]
        assert len(sizes) > 5
        assert min(sizes) >= look.small >= 7
        assert float(root.attrib["width"].removesuffix("pt")) == pytest.approx(72 * look.width, abs=1)


def test_the_picture_names_every_system_with_what_it_keeps(report: Any) -> None:
    svg = quality_picture(report.results) or ""
    for one in rankings(report.results)[0].found:
        assert any(found.startswith(f"{quality(one.mean)} ") and one.names["runtime"] in found for found in re.findall(r">([^<]+)<", svg))


def test_names_in_a_picture_are_text() -> None:
    rows = [{"s": '<a href="x">&', "x": 1}]
    layer = {"mark": "text", "encoding": {"text": {"field": "s"}, "x": {"field": "x", "type": "quantitative"}}}
    svg = svg_of(whole(rows, [layer]), '<script>"&\x1b\u202e')
    root = ElementTree.fromstring(svg)
    assert root.attrib["aria-label"] == '<script>"&\\x1b\\u202e'
    assert {element.tag.rpartition("}")[2] for element in root.iter()} <= {"svg", "g", "path", "text", "rect", "line", "defs", "clipPath"}
    assert '<a href="x">&' in {element.text for element in root.iter()}


def test_another_process_draws_the_same(reading: Reading) -> None:
    spec = curve_chart(reading).spec
    with drawing_meanwhile():
        drawn = svg_of(spec, "é")
    assert drawn == svg_of(spec, "é")


def test_the_script_is_kept_and_ends_nothing_of_a_page() -> None:
    made = script()
    (kept,) = Path(os.environ["XDG_CACHE_HOME"]).rglob("vega-*.js")
    assert kept.read_text("utf-8") == made == script()
    assert "</script" not in made
    assert "window.vegaEmbed" in made


@pytest.mark.parametrize("text", ["3.3", "in", "-3in", "3,3in", "3 in", "nanin"])
def test_widths_that_are_none_are_refused(text: str) -> None:
    with refused("invalid", value=text):
        inches(text)


def test_units_of_width() -> None:
    assert [round(inches(text), 6) for text in ("5.08cm", "50.8mm", "144pt", "2in")] == [2.0] * 4
