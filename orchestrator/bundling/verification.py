"""Verify a bundle: its digests, and everything in it that follows from the stored times, without a model, data or a network."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

import orchestrator
from orchestrator.analysis.campaign_analysis import CampaignAnalysis, analyse
from orchestrator.assessment.documents import to_document
from orchestrator.assessment.verdicts import Assessment
from orchestrator.bundling.contents import BILL, ENVIRONMENT, RESULTS
from orchestrator.bundling.held import ASSESSMENT, ASSESSMENT_TEXT, REQUIREMENTS, assessment_text, held_against, verdicts_of
from orchestrator.bundling.manifest import NAME, Manifest
from orchestrator.bundling.sameness import document_difference, table_difference, text_difference
from orchestrator.bundling.sbom import materials, missing_from
from orchestrator.bundling.surroundings import environment_of
from orchestrator.bundling.unpack import unpack
from orchestrator.contracts import InputError
from orchestrator.report.markdown import to_report
from orchestrator.storage.files import json_text
from orchestrator.storage.layout import REPORT
from orchestrator.storage.load import read_table
from orchestrator.storage.reader import Campaign, open_campaign
from orchestrator.subject.digests import digest_code


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
    assessment
        what the stored times show of the bundle's requirements; None where it has none, or where nothing was computed again.
    """

    manifest: Manifest | None
    problems: tuple[str, ...]
    remarks: tuple[str, ...] = ()
    trials: int = 0
    assessment: Assessment | None = None


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
    held = None if manifest.requirements is None else _held(folder, results)
    assessment = held if isinstance(held, Assessment) else None
    problems = [*_differences(folder, campaign, results, manifest, same)]
    if assessment is not None:
        problems += _assessment_differences(folder, campaign, assessment, same)
    elif held is not None:
        problems.append(str(held))
    if same:
        problems += _text_differences(folder, campaign, results)
    trials = sum(len(group.trials) for group in results.groups)
    return Verified(manifest, tuple(problems), tuple(_notes(manifest, same)), trials, assessment)


def _differences(folder: Path, campaign: Campaign, results: CampaignAnalysis, manifest: Manifest, same: bool) -> Iterator[str]:
    """Yield what does not follow from the stored times of result tables, one line each."""
    if (campaign.record.name, campaign.record.created_at) != (manifest.campaign.name, manifest.campaign.created_at):
        yield f"{NAME}: names another campaign than {RESULTS}/campaign.json"
    for name, table in results.tables.items():
        file = f"{RESULTS}/{name}.parquet"
        if file in manifest.files:
            if (difference := _table_difference(folder, file, table, same)) is not None:
                yield f"{file}: {difference}"
        elif same and table.num_rows:
            yield f"{file}: is missing"


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


def _held(folder: Path, results: CampaignAnalysis) -> Assessment | str:
    """Return what the times show of a bundle's requirements, or why nothing can be said of them."""
    path = folder / REQUIREMENTS
    if not path.is_file():
        return f"{REQUIREMENTS}: is missing"
    try:
        return held_against(path.read_bytes(), REQUIREMENTS, results)
    except InputError as error:
        return str(error).replace(f"{folder}/", "")


def _assessment_differences(folder: Path, campaign: Campaign, assessment: Assessment, same: bool) -> Iterator[str]:
    """Yield what the times do not show of the requirements: every verdict that is another one, or else the first figure that is.

    Figures and texts are compared where the ``same`` program made them.
    """
    found, text = to_document(assessment), assessment_text(assessment, campaign.record.name)
    verdicts = list(_other_verdicts(_text(folder, ASSESSMENT), verdicts_of(found)))
    yield from (f"{ASSESSMENT}: {difference}" for difference in verdicts)
    if same and not verdicts and (difference := _json_difference(_text(folder, ASSESSMENT), found)) is not None:
        yield f"{ASSESSMENT}: {difference}"
    if same and (difference := text_difference(_text(folder, ASSESSMENT_TEXT), text)) is not None:
        yield f"{ASSESSMENT_TEXT}: {difference}"


def _other_verdicts(text: str, found: Mapping[str, str]) -> Iterator[str]:
    """Yield in words every requirement on which a bundled assessment has another verdict than is ``found``, by id."""
    try:
        stored = verdicts_of(json.loads(text))
    except (ValueError, RecursionError, LookupError, TypeError):
        yield "is not what this program writes"
        return
    for name in dict.fromkeys((*stored, *found)):
        if stored.get(name) != found.get(name):
            said = f"says that {name} is {stored[name]}" if name in stored else f"does not name {name}"
            yield f"{said}, and the timings give {found[name]}" if name in found else f"{said}, which is no requirement of the file"


def _json_difference(text: str, found: Any) -> str | None:
    """Return the first difference of a bundled JSON document, or None."""
    try:
        return document_difference(json.loads(text), json.loads(json_text(found)))
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
