"""``report DIR...``: result tables, report.md and report.html from the stored files alone; resolves no target."""

from itertools import chain
from pathlib import Path

import click

from orchestrator.commands.line import PLACE, among, flag, listed, places, refuse_alone, verb
from orchestrator.commands.line import full as full_option
from orchestrator.contracts import InputError

FORMATS = ("svg", "pdf", "png")


@verb(
    "report results/latest --figures pdf --style paper --no-title",
    "report results/monday results/friday --into reports/week",
)
@places("DIR... [analysis.KEY=VALUE...] [code=[DIR]]", most=None)
@click.option(
    "--figures",
    type=among(*FORMATS),
    multiple=True,
    metavar="FORMATS",
    help=f"also write figures: any of {','.join(FORMATS)}",
)
@click.option("--only", type=listed, multiple=True, metavar="NAME", help="write only this figure; may be repeated")
@click.option("--style", type=click.Choice(["paper", "talk"]), help="how these files look: for a column of a paper, or for slides")
@click.option("--width", metavar="WIDTH", help="width of these files, such as 3.3in, 84mm, 8.4cm or 240pt")
@flag("--no-title", help="no title in these files, because a caption has it")
@full_option
@click.option("--into", type=PLACE, metavar="FOLDER", help="write a report of several campaigns into this folder")
def command(
    found: tuple[Path, ...],
    overrides: tuple[str, ...],
    figures: tuple[tuple[str, ...], ...],
    only: tuple[tuple[str, ...], ...],
    style: str | None,
    width: str | None,
    no_title: bool,
    full: bool,
    into: Path | None,
) -> int:
    """Write tables and report.html again from stored files.

    Several campaigns make one report. No code of a campaign is run; code=[DIR] names a folder of yours with metrics for
    analysis.metrics=[NAME].
    """
    formats, names = tuple(chain.from_iterable(figures)), tuple(chain.from_iterable(only))
    if not formats:
        refuse_alone("--figures", only=names, style=style, width=width, no_title=no_title)
    if len(found) == 1 and into is not None:
        raise InputError(
            "--into is for a report of several campaigns: the one of a single campaign stands in its own directory", "conflict", "--into"
        )
    from orchestrator.commands.reading import overridden, report_several, write_report
    from orchestrator.report.chart_files import inches, look_of
    from orchestrator.storage.reader import open_campaign

    look = look_of(style, None if width is None else inches(width), not no_title)
    if len(found) > 1:
        return report_several(found, overrides, formats, names, into, full, look)
    analysis = overridden(open_campaign(found[0]).record.config.analysis, overrides)
    return write_report(found[0], analysis, full, formats, names, look)
