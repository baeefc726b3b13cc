"""``report DIR...``: result tables, report.md and report.html from the stored files alone; resolves no target."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator.commands.line import PLACE, among, flag, listed, places, refuse_alone, verb
from orchestrator.commands.line import full as full_option
from orchestrator.contracts import InputError

if TYPE_CHECKING:
    from orchestrator.analysis.campaign_analysis import CampaignAnalysis
    from orchestrator.analysis.ranking import Ranking
    from orchestrator.analysis.several_campaigns import SeveralCampaigns
    from orchestrator.configuration.analysis import AnalysisConfig
    from orchestrator.report.chart_files import Look
    from orchestrator.report.findings import Finding
    from orchestrator.report.table import Table
    from orchestrator.storage.reader import Campaign

FORMATS = ("svg", "pdf", "png")


@verb(
    "report results/latest --figures pdf --style paper --no-title",
    "report results/monday results/friday --into reports/week",
)
@places("DIR... [analysis.KEY=VALUE...] [code=[DIR]]", most=None)
@click.option("--figures", type=among(*FORMATS), multiple=True, metavar="FORMATS", help=f"write every figure too, as {','.join(FORMATS)}")
@click.option("--only", type=listed, multiple=True, metavar="NAME", help="write only this one of the figures; may be repeated")
@click.option("--style", type=click.Choice(["paper", "talk"]), help="of these files: for a column of a paper, or for slides")
@click.option("--width", metavar="WIDTH", help="of these files, such as 3.3in, 84mm, 8.4cm or 240pt")
@flag("--no-title", help="of these files: no title, where a caption has it")
@full_option
@click.option("--into", type=PLACE, metavar="FOLDER", help="where a report of several campaigns goes")
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
    """Tables and report.html again, from the stored files alone.

    Write the result tables, report.md and report.html of a campaign again, or one report of several campaigns. No code of a
    campaign is run; code=[DIR] names a folder of yours with metrics for analysis.metrics=[NAME].
    """
    formats, names = tuple(chain.from_iterable(figures)), tuple(chain.from_iterable(only))
    if not formats:
        refuse_alone("--figures", only=names, style=style, width=width, no_title=no_title)
    if len(found) == 1 and into is not None:
        raise InputError("--into is for a report of several campaigns: the one of a single campaign stands in its own directory")
    from orchestrator.report.chart_files import inches, look_of

    look = look_of(style, None if width is None else inches(width), not no_title)
    if len(found) == 1:
        from orchestrator.storage.reader import open_campaign

        analysis = _overridden(open_campaign(found[0]).record.config.analysis, overrides)
        return write_report(found[0], analysis, full, formats, names, look)
    return report_several(found, overrides, formats, names, into, full, look)


def _overridden(stored: AnalysisConfig, overrides: Sequence[str]) -> AnalysisConfig:
    """Return settings of analysis with overrides; ``code=[DIR]`` is searched for metrics, and a campaign's own folders are not."""
    if not overrides:  # Hydra takes 0.1 s to import
        return stored
    from orchestrator.configuration.composition import code_folders, override_analysis
    from orchestrator.subject.targets import add_code_folders

    folders, others = code_folders(overrides)
    add_code_folders(folders)
    return override_analysis(stored, others)


def refuse_twice(directories: Sequence[Path]) -> None:
    """Raise InputError if a directory is named twice, by whatever path."""
    seen: dict[Path, Path] = {}
    for directory in directories:
        if (before := seen.setdefault(Path(os.path.realpath(directory)), directory)) is not directory:
            raise InputError(f"{before} and {directory} are one campaign: name each campaign once")


def write_report(
    directory: Path,
    analysis: AnalysisConfig,
    full: bool = False,
    formats: Sequence[str] = (),
    only: Sequence[str] = (),
    look: Look | None = None,
) -> int:
    """Write the result tables, report.md and report.html, and print the answer on stdout. Returns the exit code."""
    results, ranked = store_report(directory, analysis, formats, only, look)
    print_summary(results, ranked, directory / "report.html", full=full, figures=bool(formats))
    return exit_code(results)


def exit_code(results: CampaignAnalysis) -> int:
    """Return 1 where a user's own metric could not judge a trial, else 0."""
    return 1 if results.unjudged else 0


def store_report(
    directory: Path, analysis: AnalysisConfig, formats: Sequence[str] = (), only: Sequence[str] = (), look: Look | None = None
) -> tuple[CampaignAnalysis, Sequence[Ranking]]:
    """Compute and store what a campaign found; return it with how its systems rank.

    ``formats`` are those of figures as files, into ``figures/``; ``only`` names some of them, ``look`` says how they look.
    """
    from orchestrator.analysis.campaign_analysis import analyse
    from orchestrator.analysis.ranking import rankings
    from orchestrator.report.chart_files import PLAIN_LOOK, drawing_meanwhile, write_figures
    from orchestrator.report.html.page import report_texts
    from orchestrator.running.signals import heed_signals
    from orchestrator.storage.files import Held, write_results
    from orchestrator.storage.layout import inside
    from orchestrator.storage.reader import open_campaign

    with Held(directory) as held, drawing_meanwhile():
        results = analyse(open_campaign(directory), analysis, leave_out=True)
        heed_signals()
        ranked = rankings(results)
        heed_signals()
        held.refuse_gone()  # else what was read may be of another folder, whose owner did not ask for a report
        write_results(directory, results.tables, report_texts(results, ranked))
        if formats:
            write_figures(inside(directory, directory / "figures"), formats, only, results, look or PLAIN_LOOK)
    return results, ranked


def report_several(
    directories: Sequence[Path],
    overrides: Sequence[str],
    formats: Sequence[str],
    only: Sequence[str],
    into: Path | None,
    full: bool,
    look: Look,
) -> int:
    """Report several campaigns side by side, with the settings of the first, into a new folder unless one is named."""
    from orchestrator.analysis.ranking import rankings
    from orchestrator.analysis.several_campaigns import SeveralCampaigns, analyse_several, stored_tables
    from orchestrator.report.chart_files import drawing_meanwhile, write_figures
    from orchestrator.report.html.page import report_texts
    from orchestrator.storage.files import make_output_folder, write_results
    from orchestrator.storage.layout import refuse_campaign_folder
    from orchestrator.storage.reader import open_campaign
    from orchestrator.storage.records import utc_now

    folder = (into or Path("results") / "combined" / utc_now().strftime("%Y-%m-%dT%H-%M-%SZ")).expanduser()
    refuse_campaign_folder(folder, "--into", directories)
    refuse_twice(directories)
    with drawing_meanwhile():
        several = SeveralCampaigns([open_campaign(directory) for directory in directories])
        results = analyse_several(several, _overridden(several.record.config.analysis, overrides))
        make_output_folder(folder, "--into")
        ranked = rankings(results)
        said, table = findings_of_several(several, results, ranked), campaigns_table(several)
        texts = report_texts(results, ranked, said, table)
        write_results(folder, stored_tables(results, several), texts)
        if formats:
            write_figures(folder / "figures", formats, only, results, look)
    print_summary(results, ranked, folder / "report.html", said, [table], full, directories, bool(formats))
    return exit_code(results)


def findings_of_several(several: SeveralCampaigns, results: CampaignAnalysis, ranked: Sequence[Ranking]) -> list[Finding]:
    """Return what is found, and what keeps trials of these campaigns from being compared."""
    from orchestrator.analysis.several_campaigns import short
    from orchestrator.report.findings import Finding, findings

    found = [one for one in findings(results, ranked) if one.kind != "different_data"]  # said below, with the campaigns
    for task, digests in several.different_data.items():
        data = [{"labels": list(labels), "digest": short(digest)} for digest, labels in digests.items()]
        found.append(Finding("other_data", "", {"task": task, "data": data}))
    first, *others = several.campaigns
    differing = [
        label
        for label, campaign in zip(several.labels[1:], others, strict=True)
        if campaign.record.config.analysis != first.record.config.analysis
    ]
    if differing:
        found.append(Finding("other_settings", "", {"first": several.labels[0], "differing": differing}))
    return found


def campaigns_table(several: SeveralCampaigns) -> Table:
    """Return when, where and by what each campaign was measured."""
    from orchestrator.report.table import Table

    return Table(
        title="Campaigns",
        columns=["campaign", "name", "measured (UTC)", "hosts", "version", "trials done", "command", "folder"],
        rows=[_cells(label, campaign) for label, campaign in zip(several.labels, several.campaigns, strict=True)],
        note="A trial's id and system carry the label of its campaign. Stacks stand under Machines and stacks. Trials are compared with "
        "a baseline across campaigns; what else changed from one day or place to the next is part of such a difference.",
        right=frozenset(["trials done"]),
    )


def _cells(label: str, campaign: Campaign) -> list[str]:
    records = campaign.trials()
    starts = [record.started_at for record in records if record.started_at is not None]
    ends = [record.ended_at or record.started_at for record in records if record.started_at is not None]
    measured = f"{min(starts):%Y-%m-%d %H:%M} to {max(end for end in ends if end):%Y-%m-%d %H:%M}" if starts else "nothing yet"
    hosts = sorted({process.host for record in records for process in record.processes})
    return [
        label,
        campaign.record.name,
        measured,
        ", ".join(hosts),
        campaign.record.code_version,
        f"{sum(record.state == 'done' for record in records)} of {len(records)}",
        " ".join(campaign.record.command),
        str(campaign.directory),
    ]


def print_summary(
    results: CampaignAnalysis,
    ranked: Sequence[Ranking],
    path: Path,
    found: Sequence[Finding] | None = None,
    first: Sequence[Table] = (),
    full: bool = False,
    directories: Sequence[Path] = (),
    figures: bool = False,
) -> None:
    """Print what went wrong, the answer, and at most six lines on each task; the last says where the report is.

    ``found`` is what `findings` returns, if that is known already; ``full`` prints every table as well.
    """
    from orchestrator.analysis.ranking import unsearched
    from orchestrator.report.findings import Finding, findings, text_lines
    from orchestrator.report.findings.campaign import RESUME
    from orchestrator.report.markdown import folds
    from orchestrator.report.pasted import ORCHESTRATOR
    from orchestrator.report.record_tables import fault_tables
    from orchestrator.report.result_tables import answers, problem_tables, shown
    from orchestrator.report.terminal import Terminal

    terminal = Terminal()
    below = (
        [table for _, tables in folds(results) for table in tables]
        if full
        else [*problem_tables(results, unfinished=False), *fault_tables(results), *shown(results, "capacity")]
    )
    for table in (*first, *below, *answers(unsearched(ranked), brief=not full)):
        terminal.table(table)
        terminal.line()
    said = findings(results, ranked) if found is None else list(found)
    if len(directories) < 2:
        resume = Finding("next_step", "", {"command": f"{ORCHESTRATOR} resume {shlex.quote(str(path.parent))}"})
        said = [resume if one.values.get("command") == RESUME else one for one in said]
    drawn = [Finding("figures", "", {"path": str(path.parent / "figures")})] if figures else []
    for line in text_lines([*said, *drawn, Finding("report", "", {"path": str(path)})], terminal.width):
        terminal.line(line)
