"""``compare A B``: a candidate campaign against a baseline, from stored files alone; resolves no target."""

from __future__ import annotations

from pathlib import Path

from orchestrator.commands.verbs.compare import Options
from orchestrator.compare.baseline import Baseline, read_baseline
from orchestrator.compare.campaigns import compare
from orchestrator.compare.documents import to_comment, to_document, to_page
from orchestrator.compare.tables import comparison_tables, sentences
from orchestrator.configuration.composition import override_analysis
from orchestrator.contracts import InputError
from orchestrator.report.terminal import Terminal
from orchestrator.storage.files import write_json, write_text
from orchestrator.storage.layout import CAMPAIGN
from orchestrator.storage.reader import Campaign, open_campaign


def execute(options: Options) -> int:
    """Compare two campaigns. Returns the exit code: with ``--gate`` what the gate says, else 0."""
    for path in (options.json_file, options.html_file, options.markdown_file):
        _refuse_no_place(path)
    before = _baseline(options.baseline)
    stored = before.analysis if isinstance(before, Baseline) else before.record.config.analysis
    analysis = override_analysis(stored, options.overrides)
    comparison = compare(before, _candidate(options), analysis, power=options.power)
    told = list(sentences(comparison, options.gate, options.allow_no_verdict))
    tables = list(comparison_tables(comparison, options.power))
    terminal = Terminal()
    for table in tables:
        terminal.table(table)
        terminal.line()
    for sentence in told:
        terminal.line(sentence)
    title = f"Tail quality: {comparison.after.name} against {comparison.before.name}"
    if options.json_file is not None:
        write_json(options.json_file, to_document(comparison, options.allow_no_verdict))
    if options.markdown_file is not None:
        write_text(options.markdown_file, to_comment(title, told, tables))
    if options.html_file is not None:
        write_text(options.html_file, to_page(title, told, tables))
    for path in (options.json_file, options.markdown_file, options.html_file):
        if path is not None:
            terminal.line(f"written: {path}")
    return comparison.exit_code(options.allow_no_verdict) if options.gate else 0


def _baseline(path: Path) -> Campaign | Baseline:
    if path.name == CAMPAIGN:
        raise InputError(f"{path} is the record of a campaign, not a baseline: name its directory, {path.parent}")
    if path.suffix == ".json" and not path.exists():
        raise InputError(f"{path}: there is no such file; write it with `export baseline {path} DIR`, or name a results directory")
    return read_baseline(path) if path.is_file() else open_campaign(path)


def _candidate(options: Options) -> Campaign:
    path = options.candidate
    if path.is_file() and _is_baseline(path):
        swap = "" if options.baseline.is_file() else f": swap them, `compare {path} {options.baseline}`"
        raise InputError(f"{path} is a baseline, which stands in for the first campaign only; the candidate is a results directory{swap}")
    return open_campaign(path)


def _is_baseline(path: Path) -> bool:
    try:
        read_baseline(path)
    except InputError:
        return False
    return True


def _refuse_no_place(path: Path | None) -> None:
    if path is not None and (path.is_dir() or not path.parent.is_dir()):
        raise InputError(f"{path}: must be a file in a folder that exists; name another place")
