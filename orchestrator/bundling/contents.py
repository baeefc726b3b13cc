"""What a bundle holds: a campaign as it was stored, what this program makes of it, and what it was measured with."""

import json
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

import orchestrator
from orchestrator.analysis.campaign_analysis import CampaignAnalysis, analyse
from orchestrator.assessment.assess import Assessment, assess
from orchestrator.assessment.documents import to_document, to_report
from orchestrator.assessment.requirements import requirements_of
from orchestrator.assessment.subjects import Session
from orchestrator.configuration.analysis import AnalysisConfig
from orchestrator.configuration.fields import Frozen
from orchestrator.contracts import InputError
from orchestrator.report.html.page import report_texts
from orchestrator.storage.files import json_text, sealed_json, write_results
from orchestrator.storage.layout import CAMPAIGN, OF_A_TRIAL, OVERRIDES, TWINS, answers, inside, parts, trial_folder
from orchestrator.storage.reader import Campaign
from orchestrator.storage.records import CampaignRecord, TrialRecord, UtcTime
from orchestrator.subject.digests import digest_code

RESULTS = "results"  # The folder of a bundle that is a campaign's directory: every verb reads it
ABOUT = "bundle.json"
ENVIRONMENT = "environment.json"
REQUIREMENTS = "requirements.yaml"
ASSESSMENT = "assessment.json"
ASSESSMENT_TEXT = "assessment.md"
# What a trial records of its machine that does not change while it is measured.
MACHINE = (
    "host", "boot_id", "processor", "logical_cores", "physical_cores", "memory_bytes", "governor", "turbo", "clock",
)  # fmt: skip


class BundledCampaign(Frozen):
    """The campaign that a bundle is of."""

    name: str
    created_at: UtcTime


class About(Frozen):
    """``bundle.json``: how the figures of a bundle were made.

    program_version, program_digest
        of the program that made it; the digest is that of its code.
    analysis
        the settings that the result tables were computed with.
    requirements
        the name of the file of requirements that was given; its content is ``requirements.yaml``.
    files
        the digests in ``MANIFEST.json`` of version 0.2.0, which is bundle version 1.
    """

    bundle_version: Annotated[int, Field(ge=1, le=2)] = 2
    program_version: str
    program_digest: str
    campaign: BundledCampaign
    analysis: AnalysisConfig
    requirements: str | None = None
    files: dict[str, Any] | None = None


def bundle_of(
    campaign: Campaign, wanted: AnalysisConfig, scratch: Path, required: tuple[str, bytes] | None = None
) -> tuple[dict[str, Path | bytes], Assessment | None]:
    """Return the files of a campaign's bundle by name, each a path or its content, and what is shown of the requirements, if any.

    What is made is written into the empty folder ``scratch``.
    Result tables and report are made anew from the stored times, so that a bundle agrees with itself. ``required`` is the name and the
    content of a file of requirements. Raises InputError for a campaign that is being measured and for damaged files.
    """
    record = campaign.record
    if record.under_way:
        remedy = f"wait for its end, or finish it with `python -m orchestrator resume {shlex.quote(str(campaign.directory))}`"
        raise InputError(f"{campaign.directory} is still being measured, or was interrupted: {remedy}", "in_use")
    results = analyse(campaign, wanted)
    write_results(scratch, results.tables, report_texts(results))
    files: dict[str, Path | bytes] = {ENVIRONMENT: f"{json_text(environment_of(record, results.records))}\n".encode()}
    assessment = None
    if required is not None:
        assessment = assessed(*required, results)
        files[REQUIREMENTS] = required[1]
        files[ASSESSMENT] = f"{json_text(to_document(assessment))}\n".encode()
        files[ASSESSMENT_TEXT] = to_report(assessment, f"Requirements of {record.name}").encode(errors="backslashreplace")
    about = About(
        program_version=orchestrator.__version__,
        program_digest=digest_code(),
        campaign=BundledCampaign(name=record.name, created_at=record.created_at),
        analysis=wanted,
        requirements=None if required is None else required[0],
    )
    files[ABOUT] = sealed_json(json_text(about.model_dump(mode="json", exclude={"files"}))).encode()
    files |= {f"{RESULTS}/{path.relative_to(campaign.directory).as_posix()}": path for path in _stored_files(campaign)}
    files |= {f"{RESULTS}/{path.name}": path for path in scratch.iterdir()}
    return files, assessment


def assessed(name: str, content: bytes, results: CampaignAnalysis) -> Assessment:
    """Return what an analysed campaign shows of the requirements in a file's content; ``name`` is that of the file. Raises InputError."""
    session = Session(results.campaign, results.records, results.groups)
    return assess(requirements_of(content, name), [session])


def environment_of(campaign: CampaignRecord, trials: Sequence[TrialRecord]) -> dict[str, Any]:
    """Return as plain values each machine with each stack once, where on it which trials were measured, and the code that did it."""
    places: dict[str, dict[str, Any]] = {}
    for record in trials:
        if record.started_at is not None:
            place = {"machine": {name: record.environment.get(name) for name in MACHINE}, "stack": record.stack}
            found = places.setdefault(json.dumps(place, sort_keys=True, default=str), {**place, "trials": {}})
            rest = {name: value for name, value in record.environment.items() if name not in MACHINE}
            found["trials"][record.trial_id] = {"placement": record.placement, "environment": rest}
    return {
        "measured_with": {"version": campaign.code_version, "code_digest": campaign.code_digest, "code_files": campaign.code_files},
        "command": list(campaign.command),
        "places": list(places.values()),
    }


def _stored_files(campaign: Campaign) -> Iterator[Path]:
    """Yield the files that a campaign consists of, and no other that lies in its directory."""
    directory = campaign.directory
    yield from (path for name in (CAMPAIGN, OVERRIDES) if (path := inside(directory, directory / name)).is_file())
    for planned in campaign.record.trials:
        folder = trial_folder(directory, planned.trial_id)
        own = (inside(folder.path, folder.path / name) for name in OF_A_TRIAL)
        yield from (path for path in (folder.record, *own, folder.traceback) if path.is_file())
        yield from folder.server_logs()
        for name in TWINS:
            yield from parts(folder.within(name)).values()
        yield from answers(folder.answers).values()
