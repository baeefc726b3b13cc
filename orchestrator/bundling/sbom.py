"""The bill of materials of what was measured, in the form of CycloneDX: stacks, weights, data and code, as trials recorded them."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import NAMESPACE_URL, uuid5

from orchestrator.storage.records import CampaignRecord, TrialRecord

Kind = Literal["library", "platform", "operating-system", "device-driver", "machine-learning-model", "data", "file"]
NO_PACKAGE: dict[str, Kind] = {
    "kernel": "operating-system",
    "python": "platform",
    "torch_cuda": "platform",
    "driver": "device-driver",
}
"""Names of a recorded stack that are no Python package."""
NAMES = {"kernel": "linux", "torch_cuda": "cuda", "driver": "nvidia-driver", "PIL": "pillow"}
NOT_COMPONENTS = ("platform", "torch_git")
"""What says the same as others do, and a build tag, which belongs to torch."""
PROPERTY = "tail-quality:trial"


@dataclass(frozen=True, order=True)
class Material:
    """One component.

    version
        of a package, platform or driver; empty for what is known by its digest.
    sha256
        of weights, data and files of code; empty for all else.
    trials
        ids of those that it was part of; empty where it was part of all.
    """

    kind: Kind
    name: str
    version: str = ""
    sha256: str = ""
    build: str = ""
    trials: tuple[str, ...] = ()


def materials(campaign: CampaignRecord, trials: Sequence[TrialRecord]) -> list[Material]:
    """Return every component of the trials that have begun, sorted; equal ones of several trials once."""
    found: dict[Material, list[str]] = {}
    for record in trials:
        for material in _of_trial(record):
            found.setdefault(material, []).append(record.trial_id)
    code = [Material("file", f"{name}.py", sha256=digest) for name, digest in campaign.code_files.items() if _is_sha256(digest)]
    own = Material("library", "tail-quality", campaign.code_version)
    of_trials = [Material(one.kind, one.name, one.version, one.sha256, one.build, tuple(ids)) for one, ids in found.items()]
    return sorted([own, *code, *of_trials])


def _of_trial(record: TrialRecord) -> Iterable[Material]:
    for name, version in record.stack.items():
        if version is not None and name not in NOT_COMPONENTS:
            build = str(record.stack.get("torch_git") or "") if name == "torch" else ""
            yield Material(NO_PACKAGE.get(name, "library"), NAMES.get(name, name), str(version), build=build)
    for kind, name, key in (
        ("machine-learning-model", record.trial.model.name, "model"),
        ("data", record.trial.task.name, "data"),
    ):
        if record.started_at is not None:
            digest = record.digests.get(key)
            yield Material(kind, name, sha256=str(digest) if _is_sha256(digest) else "")  # type: ignore[arg-type]


def _is_sha256(digest: Any) -> bool:
    return isinstance(digest, str) and len(digest) == 64 and all(letter in "0123456789abcdef" for letter in digest)


def to_cyclonedx(name: str, made_at: datetime, found: Sequence[Material]) -> str:
    """Return the bill of materials as CycloneDX 1.6 in JSON: the same for the same materials, whenever it is made."""
    from cyclonedx.model import HashAlgorithm, HashType, Property
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.output import make_outputter
    from cyclonedx.schema import OutputFormat, SchemaVersion
    from packageurl import PackageURL

    bom = Bom(serial_number=uuid5(NAMESPACE_URL, f"tail-quality:{name}:{made_at.isoformat()}:{found!r}"))
    bom.metadata.timestamp = made_at
    bom.metadata.component = Component(name=name, type=ComponentType.APPLICATION, bom_ref="campaign")
    parts = [
        Component(
            type=ComponentType(one.kind),
            name=one.name,
            version=one.version or None,
            bom_ref=f"component-{number}",
            purl=PackageURL("pypi", name=one.name, version=one.version) if one.kind == "library" else None,
            hashes=[HashType(alg=HashAlgorithm.SHA_256, content=one.sha256)] if one.sha256 else None,
            properties=[
                *([Property(name="tail-quality:build", value=one.build)] if one.build else []),
                *(Property(name=PROPERTY, value=trial) for trial in one.trials),
            ],
        )
        for number, one in enumerate(found)
    ]
    bom.components.update(parts)
    bom.register_dependency(bom.metadata.component, parts)
    return make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string(indent=1) + "\n"


def missing_from(text: str, found: Sequence[Material]) -> str | None:
    """Return in words the first material that a bill of materials does not name, or None. It needs no library."""
    try:
        document = json.loads(text)
        named = {_told(component) for component in document["components"]}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return "it is no bill of materials of this program"
    for one in found:
        if (one.kind, one.name, one.version, one.sha256) not in named:
            return f"it lacks {' '.join(filter(None, [one.kind, one.name, one.version, one.sha256[:12]]))}"
    return None


def _told(component: dict[str, Any]) -> tuple[str, str, str, str]:
    hashes = component.get("hashes") or [{}]
    return str(component["type"]), str(component["name"]), str(component.get("version") or ""), str(hashes[0].get("content") or "")
