"""``assess``: requirements of a file held against stored campaigns, printed and written."""

from __future__ import annotations

from orchestrator.assessment.assess import assess
from orchestrator.assessment.documents import to_document, to_junit, to_page, to_report
from orchestrator.assessment.requirements import read_requirements
from orchestrator.assessment.subjects import read_session
from orchestrator.assessment.words import lines
from orchestrator.commands.compare import refuse_no_place
from orchestrator.commands.report import refuse_twice
from orchestrator.commands.verbs.assess import Options
from orchestrator.configuration.composition import override_analysis
from orchestrator.report.terminal import Terminal
from orchestrator.storage.files import write_json, write_text
from orchestrator.storage.reader import open_campaign

WRITERS = {"markdown": to_report, "junit": to_junit, "html": to_page}


def assess_campaigns(options: Options) -> int:
    """Print the verdicts, write them in the forms asked for, and return the exit code. Raises InputError for a mistake in the file."""
    requirements = read_requirements(options.requirements)
    for place in options.files.values():
        refuse_no_place(place)
    refuse_twice(options.directories)
    sessions = []
    for directory in options.directories:
        campaign = open_campaign(directory)
        sessions.append(read_session(campaign, override_analysis(campaign.record.config.analysis, options.overrides)))
    found = assess(requirements, sessions)
    terminal = Terminal()
    terminal.lines(lines(found, options.full, terminal.width))
    title = f"{options.requirements.name} against {', '.join(dict.fromkeys(session.campaign.name for session in sessions))}"
    for form, place in options.files.items():
        if form == "json":
            write_json(place, to_document(found))
        else:
            write_text(place, WRITERS[form](found, title))
        terminal.line(f"written: {place}")
    return found.exit_code
