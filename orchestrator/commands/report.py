"""``report DIR...``: result tables, report.md and report.html from the stored files alone; resolves no target."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from orchestrator.analysis.results import Results, analyse
from orchestrator.analysis.several_campaigns import stored_tables
from orchestrator.commands.folders import make_folder
from orchestrator.commands.several import analyse_directories, campaigns_table, report_folder, sentences, to_combined_report
from orchestrator.commands.verbs.report import Options
from orchestrator.composition import override_analysis
from orchestrator.config import AnalysisConfig
from orchestrator.report.figures.evidence import read_evidence
from orchestrator.report.figures.static import write_figures
from orchestrator.report.html.page import render
from orchestrator.report.markdown import to_report
from orchestrator.report.table import Table
from orchestrator.report.tables import summary_tables
from orchestrator.report.terminal import Terminal
from orchestrator.report.verdict import verdict
from orchestrator.storage.layout import inside
from orchestrator.storage.reader import open_campaign
from orchestrator.storage.result_files import write_results


def execute(options: Options) -> int:
    """Report one campaign, or several side by side. Returns the exit code."""
    if len(options.directories) > 1:
        _report_several(options)
        return 0
    directory = options.directories[0]
    campaign = open_campaign(directory)
    write_report(directory, override_analysis(campaign.record.config.analysis, options.overrides), options.figures, options.only)
    return 0


def write_report(directory: Path, analysis: AnalysisConfig, formats: Sequence[str] = (), only: Sequence[str] = ()) -> None:
    """Write the result tables, report.md and report.html, and print what matters of them on stdout.

    ``formats`` are those of figures as files, into ``figures/``; ``only`` names some of them.
    """
    campaign = open_campaign(directory)
    results = analyse(campaign, analysis)
    evidence = [read_evidence(campaign)]
    texts = {"report.md": to_report(results), "report.html": render(results, (), evidence)}
    write_results(directory, results.tables, texts)
    if formats:
        write_figures(inside(directory, directory / "figures"), formats, only, results, (), evidence)
    print_summary(results, directory / "report.html")


def _report_several(options: Options) -> None:
    folder = report_folder(options.into, options.directories)
    several, results = analyse_directories(options.directories, options.overrides)
    make_folder(folder, "--into")
    evidence = [read_evidence(several)]
    page = render(results, (), evidence, told=list(sentences(several, results)), combined=campaigns_table(several))
    texts = {"report.md": to_combined_report(several, results), "report.html": page}
    write_results(folder.expanduser(), stored_tables(results, several), texts)
    if options.figures:
        write_figures(folder.expanduser() / "figures", options.figures, options.only, results, (), evidence)
    print_summary(results, folder / "report.html", sentences(several, results), [campaigns_table(several)])


def print_summary(results: Results, path: Path, told: Iterable[str] | None = None, first: Sequence[Table] = ()) -> None:
    """Print the verdict, or what else is told, and the cross-system tables; the last line says where the report is."""
    terminal = Terminal()
    for table in (*first, *summary_tables(results)):
        terminal.table(table)
        terminal.line()
    for sentence in verdict(results) if told is None else told:
        terminal.line(sentence)
    terminal.line(f"report: {path}")
