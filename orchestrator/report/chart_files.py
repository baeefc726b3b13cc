"""Charts as SVG, PDF and PNG, for papers, slides and pages without scripts; and in pages."""

import html
import json
import re
import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from subprocess import PIPE, Popen

import platformdirs
import vl_convert

from orchestrator.analysis.campaign_analysis import CampaignAnalysis
from orchestrator.analysis.ranking import rankings
from orchestrator.analysis.reading import readings
from orchestrator.contracts import InputError
from orchestrator.report.charts import figures
from orchestrator.report.charts.draw import Spec, config
from orchestrator.report.charts.quality import curve_chart
from orchestrator.report.text import printable, quality
from orchestrator.storage.files import replacing

FORMATS = ("svg", "pdf", "png")
POINTS_PER_INCH = 72.0  # as in PDF
INCHES = {"in": 1.0, "cm": 1 / 2.54, "mm": 1 / 25.4, "pt": 1 / POINTS_PER_INCH}
SIZE = re.compile(r'width="([\d.]+)" height="([\d.]+)"')
IDS = re.compile(r'((?:id="|url\(#)[a-z_]+)(\d+)')
# Reads a specification a line and writes SVG, once Vega has started, which takes it 0.4 s.
DRAWS = """
import json, sys, vl_convert
vl_convert.vega_to_svg({})
for line in sys.stdin:
    print(json.dumps(vl_convert.vegalite_to_svg(json.loads(line))), flush=True)
"""


@dataclass(frozen=True)
class Look:
    """How a figure in a file looks: its width in inches, letters and lines in points.

    ``small`` letters are those of labels. A paper says in a caption what the ``title`` says.
    """

    width: float
    text: float
    small: float
    line: float
    title: bool = True


PLAIN_LOOK = Look(width=8.0, text=10, small=9, line=1.6)
# A column of a paper, at the size at which it is printed, and a slide.
LOOKS = {
    "paper": Look(width=3.3, text=8, small=7, line=1.1),
    "talk": Look(width=10.0, text=18, small=15, line=3.0),
}


def look_of(style: str | None = None, width: float | None = None, title: bool = True) -> Look:
    """Return a look of ``LOOKS``, of None that of a page, with another width in inches if given."""
    look = PLAIN_LOOK if style is None else LOOKS[style]
    return replace(look, width=look.width if width is None else width, title=title)


def inches(text: str) -> float:
    """Read a width with its unit, as inches; InputError if it is none.

    Examples
    --------
    >>> inches("3.3in"), round(inches("84mm"), 2), inches("252pt")
    (3.3, 3.31, 3.5)
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(in|cm|mm|pt)", text)
    if found is None:
        raise InputError(
            f"{text[:40]!r}: a width with its unit was expected, such as 3.3in, 84mm, 8.4cm or "
            "240pt",
            value=text,
        )
    return float(found[1]) * INCHES[found[2]]


_drawing: list[Popen[str]] = []


@contextmanager
def drawing_meanwhile() -> Iterator[None]:
    """Have another process draw SVG, which starts and draws while this one computes."""
    words = [sys.executable, "-P", "-c", DRAWS]
    with Popen(  # noqa: S603 - ours
        words, stdin=PIPE, stdout=PIPE, text=True, start_new_session=True
    ) as process:
        _drawing.append(process)
        try:
            yield
        finally:
            _drawing.remove(process)
            process.kill()


def _drawn(spec: Spec) -> str:
    for process in _drawing:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{json.dumps(spec)}\n")
        process.stdin.flush()
        return str(json.loads(process.stdout.readline()))
    return str(vl_convert.vegalite_to_svg(spec))


def sized(spec: Spec, wide: float, small: float = 11) -> Spec:
    """Return a specification for a room that is so many px wide; ``small`` letters are labels."""
    room = {"name": "wide", "value": wide * 11 / small}
    made = spec | {"params": [*(one for one in spec["params"] if one["name"] != "wide"), room]}
    panel = made
    if "concat" in made:
        return made
    if "facet" in made:
        columns = max(1, min(3, int(wide // 260)))
        panel = made["spec"] = dict(spec["spec"])
        made["columns"], panel["width"] = columns, int((wide - 50) / columns - 20)
    else:
        made |= {"width": wide, "autosize": {"type": "fit-x", "contains": "padding"}}
    if not isinstance(panel["height"], dict):
        panel["height"] = int(min(320, max(170, 0.5 * panel["width"])))
    return made


def svg_of(spec: Spec, title: str = "", look: Look = PLAIN_LOOK) -> str:
    """Return a specification as SVG on white ground, in px of 1/72 in."""
    wide = look.width * POINTS_PER_INCH
    made = sized(_without_tips(spec), wide, look.small)
    made["config"] = config(look.text, look.small, look.line) | {"aria": False}
    made |= {"background": "white", "padding": 4}
    made |= {"title": {"text": printable(title)}} if title and look.title else {}
    svg = _drawn(made)
    if "facet" in made and (found := SIZE.search(svg)):
        made["spec"]["width"] += int((wide - float(found[1])) / made["columns"])
        svg = _drawn(made)
    # Vega counts its clips on from picture to picture; equal charts give equal bytes.
    numbers: dict[str, int] = {}
    svg = IDS.sub(lambda one: f"{one[1]}{numbers.setdefault(one[2], len(numbers))}", svg)
    about = html.escape(printable(title), quote=True)
    return svg.replace("<svg ", f'<svg role="img" aria-label="{about}" ', 1)


def _without_tips(spec: Spec) -> Spec:
    made = dict(spec)
    if "spec" in spec:
        made["spec"] = _without_tips(spec["spec"])
    if "layer" in spec:
        made["layer"] = [_without_tips(one) for one in spec["layer"] if one.get("name") != "tips"]
    return made


def stacked(pictures: Sequence[str]) -> str:
    """Return SVG with several pictures one below the other."""
    if len(pictures) == 1:
        return pictures[0]
    sizes = [(float(found[1]), float(found[2])) for found in map(SIZE.search, pictures) if found]
    wide, parts, below = max(width for width, _ in sizes), [], 0.0
    for number, (picture, (_, height)) in enumerate(zip(pictures, sizes, strict=True)):
        apart = IDS.sub(rf"\g<1>{number}-\g<2>", picture)
        parts.append(apart.replace("<svg ", f'<svg y="{below:g}" ', 1))
        below += height
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{wide:g}" height="{below:g}" '
        f'viewBox="0 0 {wide:g} {below:g}">{"".join(parts)}</svg>'
    )


def quality_picture(results: CampaignAnalysis) -> str | None:
    """Return mean tail quality of every system against the threshold, as SVG, one panel a task.

    Legends say what each keeps at the primary threshold; None where no task has one.
    """
    if not any(one.found for one in rankings(results)):
        return None
    found = []
    for reading, one in zip(readings(results), rankings(results), strict=True):
        means = {trial: quality(each.mean) for each in one.found for trial in each.trials}
        firsts = {entry.key: entry.members[0].key for entry in reading.systems}
        kept = {key: means[first] for key, first in firsts.items() if first in means}
        if kept:
            chart = curve_chart(reading, kept)
            found.append(svg_of(chart.spec, f"{chart.title}: {reading.title}"))
    return stacked(found) if found else None


def write_figures(
    directory: Path,
    formats: Sequence[str],
    only: Collection[str],
    results: CampaignAnalysis,
    look: Look = PLAIN_LOOK,
) -> list[Path]:
    """Write figures into a folder and return the paths of their files.

    ``formats`` are some of ``FORMATS``; ``only`` names figures, none writes all.
    Raises InputError for an unknown format or name.
    """
    for form in formats:
        if form not in FORMATS:
            raise InputError(
                f"--figures {form}: no such format; choose some of {','.join(FORMATS)}",
                "unknown",
                "--figures",
                form,
            )
    found = figures(results)
    for name in only:
        if name not in found:
            raise InputError(
                f"--only {name}: no such figure; choose one of {', '.join(found)}",
                "unknown",
                "--only",
                name,
            )
    directory.mkdir(parents=True, exist_ok=True)
    written = []
    for name in only or found:
        reading, chart = found[name]
        svg = svg_of(chart.spec, f"{chart.title}: {reading.title}", look)
        for form in formats:
            if form == "svg":
                content = SIZE.sub(r'width="\1pt" height="\2pt"', svg, count=1).encode()
            else:
                pdf = form == "pdf"
                content = vl_convert.svg_to_pdf(svg) if pdf else vl_convert.svg_to_png(svg, ppi=300)
            written.append(directory / f"{name}.{form}")
            with replacing(written[-1]) as file:  # what lies there may be a link to somewhere else
                file.write(content)
    return written


def script() -> str:
    """Return the JavaScript that draws charts in a page: Vega, Vega-Lite and vegaEmbed.

    It takes a second to make, so that it is kept in the user's cache folder.
    """
    kept = Path(
        platformdirs.user_cache_dir("tail-quality"), f"vega-{version('vl-convert-python')}.js"
    )
    try:
        return kept.read_text("utf-8")
    except OSError:
        made = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    kept.parent.mkdir(parents=True, exist_ok=True)
    with replacing(kept) as file:
        file.write(made.encode())
    return made
