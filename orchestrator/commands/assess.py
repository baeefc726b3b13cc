"""``assess``: requirements of a file held against stored campaigns, printed and written."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from orchestrator.assessment.assess import assess
from orchestrator.assessment.documents import lines, to_document, to_junit, to_page, to_report
from orchestrator.assessment.requirements import read_requirements
from orchestrator.assessment.subjects import read_session
from orchestrator.commands.outputs import check_outputs
from orchestrator.commands.report import refuse_twice
from orchestrator.configuration.composition import override_analysis
from orchestrator.report.terminal import Terminal
from orchestrator.storage.files import write_json, write_text
from orchestrator.storage.reader import open_campaign

WRITERS = {"markdown": to_report, "junit": to_junit, "html": to_page}


def assess_campaigns(directories: Sequence[Path], asked: Path, overrides: Sequence[str], full: bool, files: Mapping[str, Path]) -> int:
    """Print the verdicts on what is asked, write them into files by their form, and return the exit code.

    Raises InputError for a mistake in the file of requirements.
    """
    check_outputs({f"--{form}": place for form, place in files.items()}, directories, [asked], overrides)
    requirements = read_requirements(asked)
    refuse_twice(directories)
    sessions = []
    for directory in directories:
        campaign = open_campaign(directory)
        sessions.append(read_session(campaign, override_analysis(campaign.record.config.analysis, overrides)))
    found = assess(requirements, sessions)
    title = f"{asked.name} against {', '.join(dict.fromkeys(session.campaign.name for session in sessions))}"
    for form, place in files.items():
        if form == "json":
            write_json(place, to_document(found))
        else:
            write_text(place, WRITERS[form](found, title))
    terminal = Terminal()
    terminal.lines(lines(found, full, terminal.width))
    for place in files.values():
        terminal.line(f"written: {place}")
    return found.exit_code
