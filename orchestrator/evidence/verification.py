"""Verify a bundle: its digests, and everything in it that follows from the stored times, without a model, data or a network."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import orchestrator
from orchestrator.analysis.campaign_analysis import CampaignAnalysis, analyse
from orchestrator.contracts import InputError
from orchestrator.evidence.contents import BILL, ENVIRONMENT, REPORT, RESULTS
from orchestrator.evidence.manifest import NAME, Manifest
from orchestrator.evidence.sameness import document_difference, table_difference, text_difference
from orchestrator.evidence.sbom import materials, missing_from
from orchestrator.evidence.surroundings import environment_of
from orchestrator.evidence.unpack import unpack
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
    notes
        what was not held against the times, and why.
    trials
        how many trials have stored rounds.
    """

    manifest: Manifest | None
    problems: tuple[str, ...]
    notes: tuple[str, ...] = ()
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
    """Yield what does not follow from the stored times, one line each."""
    if (campaign.record.name, campaign.record.created_at) != (manifest.campaign.name, manifest.campaign.created_at):
        yield f"{NAME}: names another campaign than {RESULTS}/campaign.json"
    for name, table in results.tables.items():
        file = f"{RESULTS}/{name}.parquet"
        if file not in manifest.files:
            if same:
                yield f"{file}: is missing"
            continue
        try:
            difference = table_difference(read_table(folder / file), table, same)
        except InputError as error:
            difference = str(error).replace(f"{folder}/", "")
        if difference is not None:
            yield f"{file}: {difference}"
    yield from _document_differences(folder, campaign, results, manifest)
    if same and (difference := text_difference(_text(folder, f"{RESULTS}/{REPORT}"), to_report(results))) is not None:
        yield f"{RESULTS}/{REPORT}: {difference}"


def _document_differences(folder: Path, campaign: Campaign, results: CampaignAnalysis, manifest: Manifest) -> Iterator[str]:
    found = json.loads(json_text(environment_of(campaign.record, results.records)))
    try:
        difference = document_difference(json.loads(_text(folder, ENVIRONMENT)), found)
    except (ValueError, RecursionError):
        difference = "is no whole JSON file"
    if difference is not None:
        yield f"{ENVIRONMENT}: {difference}"
    if (lacking := missing_from(_text(folder, BILL), materials(campaign.record, results.records))) is not None:
        yield f"{BILL}: {lacking}"


def _notes(manifest: Manifest, same: bool) -> Iterator[str]:
    if not same:
        yield (
            f"another version of this program made the bundle ({manifest.program_version}; this is {orchestrator.__version__}): {REPORT} was "
            "not written again to compare it, and columns that only one of them knows were left out"
        )


def _text(folder: Path, name: str) -> str:
    """Return a bundled text; an empty one where there is none, which is what no report and no document is."""
    path = folder / name
    return path.read_text("utf-8", "replace") if path.is_file() else ""
