"""The requirements of a bundle, and what its times show of them."""

from typing import Any

from orchestrator.analysis.campaign_analysis import CampaignAnalysis
from orchestrator.assessment.assess import Assessment, assess
from orchestrator.assessment.documents import to_document, to_report
from orchestrator.assessment.requirements import requirements_of
from orchestrator.assessment.subjects import Session
from orchestrator.storage.files import json_text

REQUIREMENTS = "requirements.yaml"
ASSESSMENT = "assessment.json"
ASSESSMENT_TEXT = "assessment.md"


def held_against(content: bytes, name: str, results: CampaignAnalysis) -> Assessment:
    """Return what an analysed campaign shows of the requirements in a file's bytes; ``name`` is that of the file. Raises InputError."""
    session = Session(results.campaign, results.records, results.groups, results.analysis)
    return assess(requirements_of(content, name), [session])


def assessment_text(assessment: Assessment, campaign: str) -> str:
    """Return an assessment as Markdown."""
    return to_report(assessment, f"Requirements of {campaign}")


def assessment_files(content: bytes, assessment: Assessment, title: str) -> dict[str, bytes]:
    """Return the files of a bundle that say what is required and what was shown of it."""
    return {
        REQUIREMENTS: content,
        ASSESSMENT: f"{json_text(to_document(assessment))}\n".encode(),
        ASSESSMENT_TEXT: assessment_text(assessment, title).encode(errors="backslashreplace"),
    }


def verdicts_of(document: Any) -> dict[str, str]:
    """Return the verdict on each requirement of an assessment, by id."""
    return {str(one["id"]): str(one["verdict"]) for one in document["requirements"]}
