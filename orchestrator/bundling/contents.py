"""What a bundle holds: a campaign as it was stored, what this program makes of it, and what it was measured with."""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import orchestrator
from orchestrator.analysis.campaign_analysis import analyse
from orchestrator.analysis.ranking import rankings
from orchestrator.assessment.verdicts import Assessment
from orchestrator.bundling.archive import Entry, entry_of
from orchestrator.bundling.held import assessment_files, held_against
from orchestrator.bundling.manifest import NAME, BundledCampaign, BundledFile, Manifest, to_text
from orchestrator.bundling.sbom import materials, to_cyclonedx
from orchestrator.bundling.surroundings import environment_of
from orchestrator.configuration.analysis import AnalysisConfig
from orchestrator.contracts import InputError
from orchestrator.report.html.page import report_texts
from orchestrator.storage.files import json_text, write_results
from orchestrator.storage.layout import CAMPAIGN, OF_A_TRIAL, OVERRIDES, TWINS, TrialFolder, answers, inside, parts, trial_folder
from orchestrator.storage.reader import Campaign
from orchestrator.subject.digests import digest_code

RESULTS = "results"
"""The folder of a bundle that is a campaign's directory: every verb reads it."""
ENVIRONMENT = "environment.json"
BILL = "sbom.cdx.json"


@dataclass(frozen=True)
class Required:
    """A file of requirements, by its name and content."""

    name: str
    content: bytes


@dataclass(frozen=True)
class Bundle:
    """What goes into a bundle, in its order, and what is shown of the requirements, if there are any."""

    manifest: Manifest
    entries: tuple[Entry, ...]
    assessment: Assessment | None


def bundle_of(campaign: Campaign, wanted: AnalysisConfig, scratch: Path, required: Required | None = None) -> Bundle:
    """Return the bundle of a campaign and what it shows of what is ``required``; what is made is written into the empty folder ``scratch``.

    Result tables and report are made anew from the stored times, so that a bundle agrees with itself whatever lies in the directory.

    Raises
    ------
    InputError
        for a campaign that is being measured or was interrupted, for damaged files, and for requirements that break a rule.
    """
    if campaign.record.under_way:
        remedy = f"wait for its end, or finish it with `python -m orchestrator resume {shlex.quote(str(campaign.directory))}`"
        raise InputError(f"{campaign.directory} is still being measured, or was interrupted: {remedy}")
    results = analyse(campaign, wanted)
    assessment = None if required is None else held_against(required.content, required.name, results)
    write_results(scratch, results.tables, report_texts(results, rankings(results)))
    made_at = campaign.record.created_at
    documents = {
        ENVIRONMENT: json_text(environment_of(campaign.record, results.records)) + "\n",
        BILL: to_cyclonedx(campaign.record.name, made_at, materials(campaign.record, results.records)),
    }
    sources: dict[str, Path | bytes] = {name: text.encode() for name, text in documents.items()}
    if required is not None and assessment is not None:
        sources |= assessment_files(required.content, assessment, campaign.record.name)
    sources |= {f"{RESULTS}/{path.relative_to(campaign.directory).as_posix()}": path for path in _stored_files(campaign)}
    sources |= {f"{RESULTS}/{path.name}": path for path in scratch.iterdir()}
    entries = [entry_of(name, source) for name, source in sorted(sources.items())]
    manifest = Manifest(
        program_version=orchestrator.__version__,
        program_digest=digest_code(),
        campaign=BundledCampaign(name=campaign.record.name, created_at=made_at),
        analysis=wanted,
        requirements=None if required is None else required.name,
        files={entry.name: BundledFile(size_bytes=entry.size_bytes, sha256=entry.sha256) for entry in entries},
    )
    return Bundle(manifest, (entry_of(NAME, to_text(manifest).encode()), *entries), assessment)


def _stored_files(campaign: Campaign) -> Iterator[Path]:
    """Yield the files that a campaign consists of, and no other that lies in its directory."""
    directory = campaign.directory
    yield from (path for name in (CAMPAIGN, OVERRIDES) if (path := inside(directory, directory / name)).is_file())
    for planned in campaign.record.trials:
        yield from _of_trial(trial_folder(directory, planned.trial_id))


def _of_trial(folder: TrialFolder) -> Iterator[Path]:
    own = (inside(folder.path, folder.path / name) for name in OF_A_TRIAL)
    for path in (folder.record, *own, folder.traceback):
        if path.is_file():
            yield path
    yield from folder.server_logs()
    for name in TWINS:
        yield from parts(folder.twin(name)).values()
    yield from answers(folder.answers).values()
