"""An assessment as JSON, Markdown, JUnit XML and HTML."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any
from xml.etree import ElementTree as ET

from orchestrator.assessment.verdicts import Assessed, Assessment, Finding
from orchestrator.assessment.words import basis_words, requirement_words, summary, system_words
from orchestrator.report.html import page_of
from orchestrator.report.table import Table, to_markdown
from orchestrator.report.text import markdown_text, printable
from orchestrator.storage.stored_form import finite

DOCUMENT_VERSION = 1


def to_document(assessment: Assessment) -> dict[str, Any]:
    """Return the assessment as mappings, lists, texts and finite numbers."""
    return {
        "version": DOCUMENT_VERSION,
        "exit_code": assessment.exit_code,
        "confidence": assessment.requirements.confidence,
        "correction": "Bonferroni",
        "campaigns": [dict(campaign) for campaign in assessment.campaigns],
        "remarks": list(assessment.remarks),
        "requirements": [_requirement(assessed) for assessed in assessment.assessed],
    }


def _requirement(assessed: Assessed) -> dict[str, Any]:
    requirement = assessed.requirement
    return {
        "id": requirement.id,
        "text": requirement.text,
        "source": requirement.source,
        "kind": requirement.kind,
        "verdict": assessed.verdict,
        "allowed_error": assessed.allowed_error,
        "asked": requirement.asked.model_dump(mode="json", exclude_none=True),
        "trials": {axis: list(patterns) for axis, patterns in requirement.trials.items()},
        "evidence": requirement.evidence.model_dump(mode="json"),
        "systems": [_finding(finding) for finding in assessed.findings],
    }


def _finding(finding: Finding) -> dict[str, Any]:
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
        **asdict(finding.basis),
        "flags": list(finding.flags),
    }


def short_table(assessment: Assessment) -> Table:
    """Return one row per requirement."""
    return Table(
        title="Requirements",
        columns=["verdict", "id", "requirement", "source", "systems", "confidence"],
        rows=[
            [
                assessed.verdict,
                assessed.requirement.id,
                assessed.requirement.text,
                assessed.requirement.source,
                str(len(assessed.findings)),
                f"{1 - assessed.allowed_error:.6g}",
            ]
            for assessed in assessment.assessed
        ],
        note=summary(assessment),
        right=frozenset(["systems", "confidence"]),
    )


def tables_of(assessment: Assessment) -> Iterator[Table]:
    """Yield a table per requirement, with one row per system."""
    for assessed in assessment.assessed:
        yield Table(
            title=f"{assessed.requirement.id}: {assessed.verdict}",
            columns=["verdict", "system", "found", "missing", "rests on", "flags"],
            rows=[
                [one.verdict, system_words(one), one.said, one.missing or "-", basis_words(one) or "-", ", ".join(one.flags) or "-"]
                for one in assessed.findings
            ],
            note=f"{assessed.requirement.text} ({requirement_words(assessed)})",
        )


def campaign_words(assessment: Assessment) -> list[str]:
    """Return one sentence per campaign that was held against the requirements, and what of them was left out."""
    named = [f"{one['name']}, measured {one['created_at']}, version {one['code_version']}" for one in assessment.campaigns]
    return [*named, *assessment.remarks]


def to_report(assessment: Assessment, title: str) -> str:
    """Return Markdown that shows names and reasons as they are."""
    head = [f"# {markdown_text(title)}", "", *(f"- {markdown_text(line, at_start=True)}" for line in campaign_words(assessment)), ""]
    return "\n".join([*head, to_markdown(short_table(assessment)), *map(to_markdown, tables_of(assessment))])


def to_junit(assessment: Assessment, title: str) -> str:
    """Return JUnit XML: a suite per requirement, a case per system. *Not met* is a failure, *not shown* an error: neither has passed."""
    suites = ET.Element("testsuites", _counts(assessment.assessed) | {"name": printable(title)})
    for assessed in assessment.assessed:
        requirement = assessed.requirement
        suite = ET.SubElement(suites, "testsuite", _counts([assessed]) | {"name": requirement.id})
        properties = ET.SubElement(suite, "properties")
        for remark in assessment.remarks:
            ET.SubElement(properties, "property", {"name": "remark", "value": printable(remark)})
        named = {
            "text": requirement.text,
            "source": requirement.source,
            "kind": requirement.kind,
            "verdict": assessed.verdict,
            "confidence": f"{1 - assessed.allowed_error:.6g}",
        }
        for name, value in named.items():
            ET.SubElement(properties, "property", {"name": name, "value": printable(value)})
        for finding in assessed.findings:
            name = printable(system_words(finding))
            case = ET.SubElement(suite, "testcase", {"classname": requirement.id, "name": name, "time": "0"})
            told = printable("; missing: ".join(filter(None, [finding.said, finding.missing])))
            if finding.verdict != "met":
                tag = "failure" if finding.verdict == "not met" else "error"
                ET.SubElement(case, tag, {"type": finding.verdict, "message": told}).text = told
            ET.SubElement(case, "system-out").text = printable(f"{finding.verdict}: {told}; rests on {basis_words(finding) or 'nothing'}")
    ET.indent(suites)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{ET.tostring(suites, encoding="unicode")}\n'


def _counts(assessed: Sequence[Assessed]) -> dict[str, str]:
    verdicts = [finding.verdict for one in assessed for finding in one.findings]
    counts = {"tests": len(verdicts), "failures": verdicts.count("not met"), "errors": verdicts.count("not shown"), "skipped": 0}
    return {name: str(count) for name, count in counts.items()} | {"time": "0"}


def to_page(assessment: Assessment, title: str) -> str:
    """Return the page: what was found of each requirement, and of each system."""
    return page_of(
        "orchestrator.assessment",
        "assessment_page.html.j2",
        title=printable(title),
        summary=summary(assessment),
        campaigns=campaign_words(assessment),
        assessed=assessment.assessed,
        system_words=system_words,
        basis_words=basis_words,
        requirement_words=requirement_words,
    )
