"""How long trials took before: the only honest estimate of how long they will take."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

from orchestrator.storage.load import read_regular


def earlier_durations(match_keys: Iterable[str], campaigns: Sequence[Path]) -> dict[str, float]:
    """Return how long the latest finished trial of each match key took, from start to end, in s.

    Parameters
    ----------
    match_keys
        of the trials that are planned; those never measured before are missing from the result.
    campaigns
        results directories to look into. Files that cannot be read are passed over.
    """
    found: dict[str, float] = {}
    for key in set(match_keys):
        spans = [span for folder in campaigns for path in folder.glob(f"trials/{key}-r*/trial.json") if (span := _span(path))]
        if spans:
            started, ended = max(spans, key=lambda span: span[1])
            found[key] = (ended - started).total_seconds()
    return found


def known_campaigns(results: Path, results_dir: str | None) -> list[Path]:
    """Return the results directories below ``results``, and those beside the one the user chose."""
    beside = Path(results_dir).expanduser().parent.glob("*") if results_dir else ()
    return [folder for folder in [*results.glob("*/*"), *beside] if (folder / "campaign.json").is_file()]


def _span(path: Path) -> tuple[datetime, datetime] | None:
    try:
        record = json.loads(read_regular(path))
        if record["state"] != "done":
            return None
        return datetime.fromisoformat(record["started_at"]), datetime.fromisoformat(record["ended_at"])
    except (OSError, ValueError, LookupError, TypeError):
        return None
