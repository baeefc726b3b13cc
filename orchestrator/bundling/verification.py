"""Verify a bundle: its digests, and everything in it that follows from the stored times, without a model, data or a network."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

import orchestrator
from orchestrator.analysis.campaign_analysis import CampaignAnalysis, analyse
from orchestrator.assessment.documents import to_document
from orchestrator.bundling.contents import BILL, ENVIRONMENT, REPORT, RESULTS
from orchestrator.bundling.held import ASSESSMENT, ASSESSMENT_TEXT, REQUIREMENTS, assessment_text, held_against, verdicts_of
from orchestrator.bundling.manifest import NAME, Manifest
from orchestrator.bundling.sameness import document_difference, table_difference, text_difference
from orchestrator.bundling.sbom import materials, missing_from
from orchestrator.bundling.surroundings import environment_of
from orchestrator.bundling.unpack import unpack
from orchestrator.contracts import InputError
from orchestrator.report.markdown import to_report
from orchestrator.storage.files import json_text
from orchestrator.storage.load import read_table
from orchestrator.storage.reader import Campaign, open_campaign
from orchestrator.subject.code_files import digest_code


@dataclass(frozen=True)
class Verified:
    """What was found of a bundle.

    manifest
        None where it cannot be read.
    problems
        one line each; none where everything is as it was bundled and follows from the stored times.
    remarks
        what was not held against the times, and why.
    trials
        how many trials have stored rounds.
    """

    manifest: Manifest | None
    problems: tuple[str, ...]
    remarks: tuple[str, ...] = ()
    trials: int = 0


def verify(path: Path, folder: Path) -> Verified:
    """Unpack a bundle into an empty folder and look at everything in it.

    Figures are computed again only where every digest fits: from changed times they would be other ones.

    Raises
    ------
    InputError
        for what is no bundle.
    """
    unpacked = unpack(path, folder)
    if unpacked.problems or unpacked.manifest is None:
        return Verified(unpacked.manifest, unpacked.problems)
    manifest = unpacked.manifest
    try:
        campaign = open_campaign(folder / RESULTS)
        results = analyse(campaign, manifest.analysis)
    except InputError as error:  # whoever made the bundle, made its digests of damaged files
        return Verified(manifest, (f"{RESULTS}: {str(error).replace(f'{folder}/', '')}",))
    same = manifest.program_digest == digest_code()
    problems = tuple(_differences(folder, campaign, results, manifest, same))
    return Verified(manifest, problems, tuple(_notes(manifest, same)), sum(len(group.trials) for group in results.groups))


def _differences(folder: Path, campaign: Campaign, results: CampaignAnalysis, manifest: Manifest, same: bool) -> Iterator[str]:
    """Yield what does not follow from the stored times, one line each; of texts only where the ``same`` program made them."""
    if (campaign.record.name, campaign.record.created_at) != (manifest.campaign.name, manifest.campaign.created_at):
        yield f"{NAME}: names another campaign than {RESULTS}/campaign.json"
    for name, table in results.tables.items():
        file = f"{RESULTS}/{name}.parquet"
        if file in manifest.files:
            if (difference := _table_difference(folder, file, table, same)) is not None:
                yield f"{file}: {difference}"
        elif same:
            yield f"{file}: is missing"
    if manifest.requirements is not None:
        yield from _assessment_differences(folder, campaign, manifest, same)
    if same:
        yield from _text_differences(folder, campaign, results)


def _table_difference(folder: Path, file: str, table: pa.Table, same: bool) -> str | None:
    try:
        return table_difference(read_table(folder / file), table, same)
    except InputError as error:
        return str(error).replace(f"{folder}/", "")


def _text_differences(folder: Path, campaign: Campaign, results: CampaignAnalysis) -> Iterator[str]:
    if (difference := _json_difference(_text(folder, ENVIRONMENT), environment_of(campaign.record, results.records))) is not None:
        yield f"{ENVIRONMENT}: {difference}"
    if (difference := missing_from(_text(folder, BILL), materials(campaign.record, results.records))) is not None:
        yield f"{BILL}: {difference}"
    if (difference := text_difference(_text(folder, f"{RESULTS}/{REPORT}"), to_report(results))) is not None:
        yield f"{RESULTS}/{REPORT}: {difference}"


def _assessment_differences(folder: Path, campaign: Campaign, manifest: Manifest, same: bool) -> Iterator[str]:
    """Yield what the times do not show of the requirements: of each its verdict, and all else where the ``same`` program said it."""
    path = folder / REQUIREMENTS
    if not path.is_file():
        yield f"{REQUIREMENTS}: is missing"
        return
    try:
        assessment = held_against(path.read_bytes(), REQUIREMENTS, campaign, manifest.analysis)
    except InputError as error:
        yield str(error).replace(f"{folder}/", "")
        return
    found, text = to_document(assessment), assessment_text(assessment, campaign.record.name)
    if (difference := _json_difference(_text(folder, ASSESSMENT), found, None if same else verdicts_of)) is not None:
        yield f"{ASSESSMENT}: {difference}"
    if same and (difference := text_difference(_text(folder, ASSESSMENT_TEXT), text)) is not None:
        yield f"{ASSESSMENT_TEXT}: {difference}"


def _json_difference(text: str, found: Any, of: Callable[[Any], Any] | None = None) -> str | None:
    """Return the first difference of a bundled JSON document, or of what a function takes from it, or None."""
    try:
        stored, made = json.loads(text), json.loads(json_text(found))
        return document_difference(stored, made) if of is None else document_difference(of(stored), of(made))
    except (ValueError, RecursionError, LookupError, TypeError):
        return "is not what this program writes"


def _notes(manifest: Manifest, same: bool) -> Iterator[str]:
    if not same:
        yield (
            f"other code than this made the bundle (version {manifest.program_version}; this is {orchestrator.__version__}): tables and "
            "verdicts follow from the times, texts were not written again to compare them"
        )


def _text(folder: Path, name: str) -> str:
    """Return a bundled text; an empty one where there is none, which is what no report and no document is."""
    path = folder / name
    return path.read_text("utf-8", "replace") if path.is_file() else ""
