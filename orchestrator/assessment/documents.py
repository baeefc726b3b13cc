"""An assessment for a terminal, and as JSON, Markdown, JUnit XML and HTML."""

from collections.abc import Iterator
from typing import Any, get_args

from rich.text import Text

from orchestrator.assessment.assess import Assessed, Assessment
from orchestrator.assessment.kinds import Outcome, say
from orchestrator.report.html import page_of
from orchestrator.report.table import Table, to_markdown
from orchestrator.report.terminal import wrapped
from orchestrator.report.text import markdown_text, printable
from orchestrator.stats.requirements import Verdict
from orchestrator.storage.stored_form import finite

DOCUMENT_VERSION = 1
PAGES = {"html": "assessment_page.html.j2", "junit": "junit.xml.j2"}
# Systems of one requirement that are shown, unless all are asked for.
SHOWN = 3
WIDE = 80
STYLES = {"met": "green", "not met": "red", "not shown": "yellow"}
VERDICT_WIDTH = len("not shown")


def summary(assessment: Assessment) -> str:
    """Return the sentence that counts verdicts and says how sure they are, all together."""
    return say("summary", assessed=assessment.assessed, verdicts=get_args(Verdict), confidence=assessment.requirements.confidence)


def lines(assessment: Assessment, full: bool, width: int | None) -> Iterator[Text]:
    """Yield the lines for a terminal of this width, 80 where it has none."""
    room = max((WIDE if width is None else width) - VERDICT_WIDTH - 2, 20)

    def block(text: str, verdict: str = "", style: str = "") -> Iterator[Text]:
        for number, line in enumerate(wrapped(printable(text), room)):
            yield Text(f"{'' if number else verdict:<{VERDICT_WIDTH}}  ", STYLES.get(verdict, "")) + Text(line, style)

    for assessed in assessment.assessed:
        requirement = assessed.requirement
        yield from block(f"{requirement.id}  {requirement.text}", assessed.verdict, "bold")
        yield from block(say("requirement", assessed=assessed))
        # Those that decide the verdict come first.
        shown = assessed.findings if full else [one for one in assessed.findings if one.verdict == assessed.verdict][:SHOWN]
        for finding in shown:
            said, *more = say("finding", of=finding).splitlines()
            yield from block(said, finding.verdict if full else "")
            for line in more:
                yield from block(line)
        if len(shown) < len(assessed.findings):
            yield from block(say("rest", findings=assessed.findings))
        yield Text()
    for line in (summary(assessment), *assessment.remarks):
        yield from map(Text, wrapped(printable(line), room + VERDICT_WIDTH + 2))


def to_document(assessment: Assessment) -> dict[str, Any]:
    """Return the assessment as mappings, lists, texts and finite numbers."""
    return {
        "version": DOCUMENT_VERSION,
        "exit_code": assessment.exit_code,
        "confidence": assessment.requirements.confidence,
        "correction": "Bonferroni",
        "campaigns": [
            {
                "name": campaign.name,
                "created_at": campaign.created_at.isoformat(),
                "code_version": campaign.code_version,
                "code_digest": campaign.code_digest,
                "trials": len(campaign.trials),
            }
            for campaign in assessment.campaigns
        ],
        "remarks": list(assessment.remarks),
        "requirements": [
            {
                **assessed.requirement.model_dump(mode="json", include={"id", "text", "source", "trials", "evidence"}),
                "kind": assessed.requirement.asked.kind,
                "verdict": assessed.verdict,
                "allowed_error": assessed.allowed_error,
                "asked": assessed.requirement.asked.model_dump(mode="json", exclude={"kind"}, exclude_none=True),
                "systems": [_finding(finding) for finding in assessed.findings],
            }
            for assessed in assessment.assessed
        ],
    }


def _finding(finding: Outcome) -> dict[str, Any]:
    return {
        "match_key": finding.match_key or None,
        **finding.who,
        "verdict": finding.verdict,
        "said": finding.said,
        "missing": finding.missing or None,
        "figure": finite(finding.figure),
        "low": finite(finding.low),
        "high": finite(finding.high),
        "asked": finite(finding.asked),
        "unit": finding.unit or None,
        "more_rounds": finding.more_rounds,
        "method": finding.method or None,
        **finding.basis,
        "flags": list(finding.flags),
    }


def _campaigns(assessment: Assessment) -> list[str]:
    """Return one sentence per campaign that was held against the requirements, and what of them was left out."""
    named = [f"{one.name}, measured {one.created_at.isoformat()}, version {one.code_version}" for one in assessment.campaigns]
    return [*named, *assessment.remarks]


def to_report(assessment: Assessment, title: str) -> str:
    """Return Markdown that shows names and reasons as they are."""
    head = [f"# {markdown_text(title)}", "", *(f"- {markdown_text(line, at_start=True)}" for line in _campaigns(assessment)), ""]
    short = Table(
        title="Requirements",
        columns=["verdict", "id", "requirement", "source", "systems", "confidence"],
        rows=[
            [one.verdict, of.id, of.text, of.source, str(len(one.findings)), f"{1 - one.allowed_error:.6g}"]
            for one in assessment.assessed
            for of in [one.requirement]
        ],
        note=summary(assessment),
        right=frozenset(["systems", "confidence"]),
    )
    of_each = [
        Table(
            title=f"{assessed.requirement.id}: {assessed.verdict}",
            columns=["verdict", "system", "found", "missing", "rests on", "flags"],
            rows=[
                [one.verdict, system, one.said, one.missing or "-", basis or "-", ", ".join(one.flags) or "-"]
                for one, system, basis in _said(assessed)
            ],
            note=f"{assessed.requirement.text} ({say('requirement', assessed=assessed)})",
        )
        for assessed in assessment.assessed
    ]
    return "\n".join([*head, *map(to_markdown, [short, *of_each])])


def _said(assessed: Assessed) -> Iterator[tuple[Outcome, str, str]]:
    """Yield each finding with what a reader calls its system, and what it rests on."""
    yield from ((one, say("system", who=one.who), say("basis", of=one.basis)) for one in assessed.findings)


def to_page(assessment: Assessment, title: str, form: str) -> str:
    """Return what was found of each requirement, and of each system, as ``html`` or ``junit``.

    To JUnit *not met* is a failure, *not shown* an error: neither has passed.
    """
    told = {"title": title, "summary": summary(assessment), "campaigns": _campaigns(assessment), "assessment": assessment}
    return page_of("orchestrator.assessment", PAGES[form], **told, said_of=_said, say=say)
