"""Figures as files: their size is the one asked for, their text is TrueType, and lines are told apart without colour vision."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from small_campaign import measure_small

import orchestrator.report.html
from orchestrator.analysis.campaign_analysis import analyse
from orchestrator.analysis.reading import entries_of, readings
from orchestrator.contracts import InputError
from orchestrator.report.colours import COLOURS, DASHES
from orchestrator.report.figures.axis_words import axis_words
from orchestrator.report.figures.charts import figures
from orchestrator.report.figures.look import LOOKS, inches, look_of
from orchestrator.report.figures.static import HEIGHT, drawn_figure, write_figures
from orchestrator.report.html.panels import colours_of
from orchestrator.storage.reader import open_campaign

pytestmark = pytest.mark.slow  # the campaign takes seconds to measure
SVG = "{http://www.w3.org/2000/svg}"
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


STATE = (Path(orchestrator.report.html.__file__).parent / "state.js").read_text("utf-8")
OF_THE_PAGE = list(zip(*re.findall(r'\["(#\w{6})", "(#\w{6})"\]', STATE), strict=True))
"""On light and on dark ground."""


@pytest.mark.parametrize("reader", SEEN_BY)
@pytest.mark.parametrize(("colours", "ground"), [(COLOURS, "#ffffff"), (OF_THE_PAGE[0], "#ffffff"), (OF_THE_PAGE[1], "#14171b")])
def test_colours_differ_for_every_reader(reader: str, colours: tuple[str, ...], ground: str) -> None:
    """A difference of 14 in CIELAB is several times what is just seen side by side."""
    assert len(colours) == 8
    seen = {colour: lab(colour, SEEN_BY[reader]) for colour in (*colours, ground)}
    for one, other in combinations(colours, 2):
        assert np.linalg.norm(seen[one] - seen[other]) > 14, (reader, one, other)
    for colour in colours:
        assert np.linalg.norm(seen[colour] - seen[ground]) > 30


def test_repeats_look_like_their_system_and_runtimes_of_one_system_differ_in_colour(tmp_path: Path) -> None:
    campaign = open_campaign(measure_small(tmp_path / "r", repeat=3))
    (reading,) = readings(analyse(campaign, campaign.record.config.analysis), {})
    looks = {entry.label: (entry.colour, entry.dash) for entry in reading.entries}
    assert looks == {
        f"{system} · repeat {repeat}": (number, 0) for repeat in range(3) for number, system in enumerate(("cpu_all", "cpu_1"))
    }
    one_system = [entry for entry in reading.entries if entry.system_label == "cpu_1"]
    other = one_system[0].data.record.trial.model_copy(
        update={"runtime": one_system[0].data.record.trial.runtime.model_copy(update={"name": "other"})}
    )
    first, second = one_system[0].data, one_system[1].data
    second = replace(second, record=second.record.model_copy(update={"trial": other, "match_key": "other"}))
    found = entries_of(replace(reading.group, trials=(first, second)))
    assert [(entry.label, entry.colour, entry.dash) for entry in found] == [("torch", 0, 0), ("other", 1, 1)]


def test_a_system_has_the_same_colour_in_the_panels_of_all_models(crowd: Any) -> None:
    (reading,) = readings(crowd.results, crowd.evidence)
    colours = colours_of(reading)
    systems = {entry.data.record.trial.system.name: colours[entry.key] for entry in reading.entries}
    assert systems == {"one": 0, "two": 1, "three": 2, "four": 3}
    assert all(colours[entry.key] == systems[entry.data.record.trial.system.name] for entry in reading.entries)


def test_dashes_differ() -> None:
    assert len(set(DASHES)) == len(DASHES) >= 5


@pytest.mark.parametrize(("style", "width"), [("paper", None), ("paper", inches("84mm")), ("talk", None), (None, 5.0)])
def test_a_pdf_is_as_wide_as_it_was_asked_to_be_and_its_text_is_truetype(report: Any, tmp_path: Path, style: str, width: float) -> None:
    look = look_of(style, width)
    lines_or_bars = "tail-quality" if width else "stages"
    for path in write_figures(tmp_path, ["pdf"], [lines_or_bars], report.results, report.evidence, look):
        pdf = path.read_bytes()
        ((wide, high),) = re.findall(rb"/MediaBox \[ 0 0 ([\d.]+) ([\d.]+) \]", pdf)
        assert float(wide) == pytest.approx(72 * look.width, abs=0.01)
        assert 0.3 * float(wide) < float(high)
        assert b"/FontFile2" in pdf
        assert b"/Type3" not in pdf


OF_EACH_KIND = ("tail-quality", "rounds", "ranking", "stages", "evidence")
"""Lines, dots over times of day, categories, bars and shares."""


@pytest.mark.parametrize(("style", "only"), [(None, ()), *((look, OF_EACH_KIND) for look in LOOKS)])
def test_every_figure_is_written_and_no_text_is_smaller_than_seven_points(
    report: Any, tmp_path: Path, style: str | None, only: tuple[str, ...]
) -> None:
    look = look_of(style)
    written = write_figures(tmp_path, ["svg"], only, report.results, report.evidence, look)
    assert {path.stem for path in written} == set(only or figures(report.results, report.evidence))
    for path in written:
        texts = list(ElementTree.parse(path).getroot().iter(f"{SVG}text"))
        assert len(texts) > 5
        sizes = {float(size) for text in texts for size in re.findall(r"font-size: ([\d.]+)px", text.attrib["style"])}
        assert min(sizes) >= look.small >= 7


@pytest.mark.parametrize("style", [*LOOKS, None])
def test_nothing_leaves_the_figure(eight_trials: Any, style: str) -> None:
    """Long names and labels wrap, and the figure grows with them."""
    look = look_of(style)
    for name, (reading, chart) in figures(eight_trials).items():
        drawn = drawn_figure(chart, reading, look)
        drawn.get_layout_engine().execute(drawn)
        found, (width, height) = drawn.get_tightbbox(), drawn.get_size_inches()
        slack = 0.02
        assert (found.x0 > -slack, found.x1 < width + slack, found.y0 > -slack, found.y1 < height + slack) == (True,) * 4, name
        (axes,) = drawn.axes
        assert axes.get_position().height * height > 0.3 * HEIGHT * width, name


def test_a_figure_has_a_title_unless_it_is_told_not_to(report: Any, tmp_path: Path) -> None:
    for title in (True, False):
        (path,) = write_figures(tmp_path, ["svg"], ["tail-quality"], report.results, look=look_of("talk", title=title))
        assert ("Tail quality against threshold" in path.read_text("utf-8")) == title


def test_axes_are_labelled_in_words_with_units(report: Any, tmp_path: Path) -> None:
    named = figures(report.results, report.evidence)
    for name, (reading, chart) in named.items():
        across, up = axis_words(chart, reading)
        for label in (across, up):
            assert label[:1].isupper() or (name == "stages" and not label)
        assert re.search(r"\(.+\)", up) or name == "evidence"
    (path,) = write_figures(tmp_path, ["svg"], ["tail-quality"], report.results)
    text = path.read_text("utf-8")
    assert "Threshold on total time (ms)" in text
    assert "Mean tail quality (top-1 accuracy)" in text


def test_trials_of_a_figure_differ_in_colour_or_dashes(eight_trials: Any, tmp_path: Path) -> None:
    (path,) = write_figures(tmp_path, ["svg"], ["tail-quality"], eight_trials)
    legend = ElementTree.parse(path).getroot().find(".//*[@id='legend_1']")
    assert legend is not None
    looks = []
    for line in legend.iter(f"{SVG}path"):
        style = line.attrib.get("style", "")
        if "stroke" in style:
            looks.append((re.findall(r"stroke: (#\w+)", style)[0], tuple(re.findall(r"stroke-dasharray: ([\d.,]+)", style))))
    assert len(looks) == len(set(looks)) == 8


@pytest.mark.parametrize("text", ["3.3", "in", "-3in", "3,3in", "3 in", "0.1mm", "9999pt", "nanin"])
def test_widths_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"expected, such as 3\.3in|inches wide: choose another width"):
        inches(text)


def test_units_of_width() -> None:
    assert [round(inches(text), 6) for text in ("5.08cm", "50.8mm", "144pt", "2in")] == [2.0] * 4
