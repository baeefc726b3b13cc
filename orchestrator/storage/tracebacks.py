"""``traceback.txt`` of a trial: what code has raised, newest last. Text for people, which no figure rests on and no reader needs."""

from __future__ import annotations

from pathlib import Path

from orchestrator.contracts import InputError
from orchestrator.storage.load import read_regular

MOST_BYTES = 64 * 1024
"""The oldest make room for the newest."""
RULE = "=" * 20


def with_traceback(known: str, heading: str, text: str) -> str:
    """Return the content of the file with one traceback more, within ``MOST_BYTES``; as it was where the same one stands there."""
    body = text.strip()
    if body in known:
        return known
    sections = [*_sections(known), f"{RULE} {heading}\n{body}\n"]
    while len(sections) > 1 and len("\n".join(sections).encode(errors="backslashreplace")) > MOST_BYTES:
        del sections[0]
    return "\n".join(sections)


def read_tracebacks(path: Path) -> str:
    """Return what the file holds. One that is missing, is no regular file or is not ours to read counts as empty."""
    try:
        return read_regular(path)[: 2 * MOST_BYTES].decode(errors="replace")
    except (InputError, OSError):
        return ""


def _sections(text: str) -> list[str]:
    return [f"{RULE}{part.rstrip()}\n" for part in text.split(RULE)[1:]]
