"""The manifest of a bundle: what it holds, with the size and SHA-256 of every file, and how its figures were made."""

import json
from itertools import accumulate
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, ValidationError, model_validator

from orchestrator.configuration.analysis import AnalysisConfig
from orchestrator.configuration.fields import Frozen, explain
from orchestrator.storage.files import BrokenSeal, check_json, json_text, sealed_json
from orchestrator.storage.layout import plain
from orchestrator.storage.records import UtcTime

NAME = "MANIFEST.json"
"""The first file of a bundle; it does not name itself, and is sealed as every JSON file of a campaign is."""
BUNDLE_VERSION = 1
MOST_BYTES = 2**26
"""Of the manifest itself."""
MOST_FILES = 200_000
LARGEST = 2**50
DEEPEST = 8


class BrokenManifest(ValueError):
    """The manifest is not what was written."""


class NewerBundle(ValueError):
    """A newer program made the bundle."""


def _path(name: str) -> str:
    """Return the name of a file in a bundle. Raises ValueError for one that could lead elsewhere."""
    parts = name.split("/")
    if len(parts) > DEEPEST:
        raise ValueError(f"must be at most {DEEPEST} names with slashes between them")
    return "/".join(map(plain, parts))


class BundledFile(Frozen):
    """One file of a bundle."""

    size_bytes: Annotated[int, Field(ge=0, le=LARGEST)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class BundledCampaign(Frozen):
    """The campaign that a bundle is of."""

    name: str
    created_at: UtcTime


class Manifest(Frozen):
    """``MANIFEST.json``.

    program_version, program_digest
        of the program that made the bundle; the digest is that of its code.
    analysis
        the settings that the result tables were computed with.
    requirements
        the name of the file of requirements that was given, or None; its content is ``requirements.yaml``.
    """

    bundle_version: Annotated[int, Field(ge=1, le=BUNDLE_VERSION)] = BUNDLE_VERSION
    program_version: str
    program_digest: str
    campaign: BundledCampaign
    analysis: AnalysisConfig
    requirements: str | None = None
    files: dict[Annotated[str, AfterValidator(_path)], BundledFile] = Field(min_length=1, max_length=MOST_FILES)

    @model_validator(mode="after")
    def _no_file_is_a_folder(self) -> Self:
        if NAME in self.files:
            raise ValueError(f"{NAME} must not name itself")
        lower = {name.lower() for name in self.files}  # on some file systems A and a are one name
        if len(lower) < len(self.files):
            raise ValueError("files must not have names that differ in capitals alone")
        for name in lower:
            for folder in accumulate(name.split("/")[:-1], "{}/{}".format):
                if folder in lower:
                    raise ValueError(f"{folder} must not be a file and a folder")
        return self

    @property
    def total_bytes(self) -> int:
        """The size of all files together."""
        return sum(file.size_bytes for file in self.files.values())


def to_text(manifest: Manifest) -> str:
    """Return the manifest as it stands in a bundle."""
    return sealed_json(json_text(manifest.model_dump(mode="json")))


def manifest_of(content: bytes) -> Manifest:
    """Return the manifest that a bundle's first file holds.

    Raises
    ------
    BrokenManifest
        for content that is not what was written.
    NewerBundle
        for one of a newer program.
    """
    try:
        check_json(content)
        document: Any = json.loads(content)
    except BrokenSeal as error:
        raise BrokenManifest(str(error)) from error
    except (ValueError, RecursionError) as error:
        raise BrokenManifest("it is no whole JSON file") from error
    if not isinstance(document, dict):
        raise BrokenManifest("it is no JSON object")
    version = document.get("bundle_version")
    if isinstance(version, int) and version > BUNDLE_VERSION:
        raise NewerBundle(f"has bundle version {version} and this program reads up to {BUNDLE_VERSION}")
    document.pop("sha256", None)
    try:
        return Manifest.model_validate(document)
    except ValidationError as error:
        raise BrokenManifest(explain(error)) from error
