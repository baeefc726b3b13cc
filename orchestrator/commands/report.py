"""``report DIR``: result tables and report.md from the stored files alone; resolves no target."""

from __future__ import annotations

import sys
from pathlib import Path

from rich.console import Console

from orchestrator.analysis.results import Results, analyse
from orchestrator.commands.arguments import Arguments
from orchestrator.composition import override_analysis
from orchestrator.config import AnalysisConfig
from orchestrator.contracts import InputError
from orchestrator.report.markdown import to_report
from orchestrator.report.table import to_rich
from orchestrator.report.tables import summary_tables
from orchestrator.report.verdict import verdict
from orchestrator.storage.reader import open_campaign
from orchestrator.storage.result_files import write_results


def execute(arguments: Arguments) -> int:
    """Report one campaign. Returns the exit code."""
    if len(arguments.directories) != 1:
        raise InputError(f"report takes one results directory, {len(arguments.directories)} were given: name one, such as results/latest")
    directory = arguments.directories[0]
    campaign = open_campaign(directory)
    write_report(directory, override_analysis(campaign.record.config.analysis, arguments.overrides))
    return 0


def write_report(directory: Path, analysis: AnalysisConfig) -> None:
    """Write the result tables and report.md, and print what matters of them on stdout."""
    results = analyse(open_campaign(directory), analysis)
    write_results(directory, results.tables, {"report.md": to_report(results)})
    print_summary(results, directory / "report.md")


def print_summary(results: Results, path: Path) -> None:
    """Print the verdict and the cross-system tables; the last line says where the report is."""
    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else 200, highlight=False)
    for table in summary_tables(results):
        console.print(to_rich(table))
        console.print()
    for sentence in verdict(results):
        console.print(sentence, markup=False, soft_wrap=True)
    console.print(f"report: {path}", markup=False, soft_wrap=True)
