"""Whether a file or folder is a checkpoint of the wanted kind, without any framework."""

from __future__ import annotations

import json
from pathlib import Path

from orchestrator.contracts import InputError

GGUF_MAGIC = b"GGUF"


def check_gguf(path: Path) -> None:
    """Raise InputError for a file that does not start as GGUF files do."""
    with path.open("rb") as file:
        start = file.read(len(GGUF_MAGIC))
    if start != GGUF_MAGIC:
        raise InputError(
            f"model.path={path} is no GGUF file: it starts with {start!r} instead of {GGUF_MAGIC!r}; take another file",
            "damaged",
            "model.path",
            path,
        )


def check_architecture(wanted: str | None, found: list[str], shown: str) -> None:
    """Raise InputError where a checkpoint is of another architecture than wanted."""
    if wanted is not None and found != [wanted]:
        raise InputError(
            f"{shown} is a checkpoint of {', '.join(found) or 'no named architecture'}, not of model.architecture={wanted}; "
            "take another checkpoint or set model.architecture",
            "conflict",
            "model.architecture",
            wanted,
        )


def named_architectures(folder: Path) -> list[str]:
    """Return the names in a checkpoint's ``config.json``."""
    path = folder / "config.json"
    try:
        named = json.loads(path.read_text(encoding="utf-8")).get("architectures")
    except (OSError, ValueError, AttributeError) as error:
        raise InputError(
            f"model.path={folder} needs a config.json as transformers writes it; set it to such a folder", "not_found", "model.path", folder
        ) from error
    return [str(name) for name in named or ()]
