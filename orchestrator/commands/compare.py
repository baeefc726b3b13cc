"""``compare A B``: a candidate campaign against a baseline, from stored files alone; resolves no target."""

from __future__ import annotations

from pathlib import Path

from orchestrator.analysis.compare_campaigns import compare
from orchestrator.commands.arguments import Arguments
from orchestrator.composition import override_analysis
from orchestrator.contracts import InputError
from orchestrator.report.compare_json import to_document
from orchestrator.report.compare_markdown import to_comment
from orchestrator.report.compare_page import to_page
from orchestrator.report.compare_tables import comparison_tables
from orchestrator.report.compare_text import sentences
from orchestrator.report.terminal import Terminal
from orchestrator.storage.atomic import write_json, write_text
from orchestrator.storage.baseline import Baseline, read_baseline
from orchestrator.storage.reader import Campaign, open_campaign


def execute(arguments: Arguments) -> int:
    """Compare two campaigns. Returns the exit code: with ``--gate`` what the gate says, else 0."""
    if len(arguments.directories) != 2:
        raise InputError(
            f"compare takes a baseline (a results directory or a file of `export baseline`) and the results directory of the candidate; "
            f"{len(arguments.directories)} were given"
        )
    if arguments.allow_no_verdict and not arguments.gate:
        raise InputError("--allow-no-verdict says how --gate counts: add --gate")
    for path in (arguments.json_file, arguments.html_file, arguments.markdown_file):
        _refuse_no_place(path)
    before = _baseline(arguments.directories[0])
    stored = before.analysis if isinstance(before, Baseline) else before.record.config.analysis
    analysis = override_analysis(stored, arguments.overrides)
    comparison = compare(before, open_campaign(arguments.directories[1]), analysis, power=arguments.power)
    told = list(sentences(comparison, arguments.gate, arguments.allow_no_verdict))
    tables = list(comparison_tables(comparison, arguments.power))
    terminal = Terminal()
    for table in tables:
        terminal.table(table)
        terminal.line()
    for sentence in told:
        terminal.line(sentence)
    title = f"Tail quality: {comparison.after.name} against {comparison.before.name}"
    if arguments.json_file is not None:
        write_json(arguments.json_file, to_document(comparison, arguments.allow_no_verdict))
    if arguments.markdown_file is not None:
        write_text(arguments.markdown_file, to_comment(title, told, tables))
    if arguments.html_file is not None:
        write_text(arguments.html_file, to_page(title, told, tables))
    for path in (arguments.json_file, arguments.markdown_file, arguments.html_file):
        if path is not None:
            terminal.line(f"written: {path}")
    return comparison.exit_code(arguments.allow_no_verdict) if arguments.gate else 0


def _baseline(path: Path) -> Campaign | Baseline:
    return read_baseline(path) if path.is_file() else open_campaign(path)


def _refuse_no_place(path: Path | None) -> None:
    if path is not None and (path.is_dir() or not path.parent.is_dir()):
        raise InputError(f"{path}: must be a file in a folder that exists; name another place")
