"""``assess DIR... --requirements FILE``: whether stored campaigns show that requirements are met; resolves no target."""

from pathlib import Path

import click

from orchestrator.commands.line import PLACE, check_outputs, flag, places, verb


@verb(
    "assess results/latest --requirements docs/examples/requirements/met.yaml",
    "assess results/a results/b --requirements requirements.yaml --junit assessment.xml",
)
@places("DIR... --requirements FILE [analysis.KEY=VALUE...]", most=None)
@click.option("--requirements", type=PLACE, required=True, metavar="FILE", help="the requirements, in the form of docs/requirements.md")
@flag("--full", help="print every system, not only those that decide a verdict")
@click.option("--json", type=PLACE, metavar="FILE", help="write all figures, for programs")
@click.option("--markdown", type=PLACE, metavar="FILE", help="write tables, for a pull request")
@click.option("--junit", type=PLACE, metavar="FILE", help="write JUnit XML, for CI: not met is a failure, not shown is an error")
@click.option("--html", type=PLACE, metavar="FILE", help="write a page")
def command(found: tuple[Path, ...], overrides: tuple[str, ...], requirements: Path, full: bool, **forms: Path | None) -> int:
    """Say whether requirements are met, and what is missing if not.

    Judge each requirement of a file by the timings of stored campaigns. Exit code 0: all are met; 1: one is not met;
    3: none is not met, but one is not shown; 2: the file breaks a rule. No code of a campaign is run.
    docs/requirements.md describes the file.
    """
    from orchestrator.assessment.assess import assess
    from orchestrator.assessment.documents import lines, to_document, to_page, to_report
    from orchestrator.assessment.requirements import read_requirements
    from orchestrator.assessment.subjects import read_session
    from orchestrator.commands.reading import opened, refuse_twice
    from orchestrator.report.terminal import Terminal
    from orchestrator.storage.files import write_json, write_text

    files = {form: place for form, place in forms.items() if place is not None}
    check_outputs({f"--{form}": place for form, place in files.items()}, found, [requirements])
    asked = read_requirements(requirements)
    refuse_twice(found)
    campaigns = [opened(directory, overrides) for directory in found]
    assessed = assess(asked, [read_session(campaign, analysis) for campaign, analysis in campaigns])
    title = f"{requirements.name} against {', '.join(dict.fromkeys(campaign.record.name for campaign, _ in campaigns))}"
    for form, place in files.items():
        if form == "json":
            write_json(place, to_document(assessed))
        else:
            write_text(place, to_report(assessed, title) if form == "markdown" else to_page(assessed, title, form))
    terminal = Terminal()
    terminal.lines(lines(assessed, full, terminal.width))
    for place in files.values():
        terminal.line(f"written: {place}")
    return assessed.exit_code
