"""A small campaign with its result tables."""

from pathlib import Path

from small_campaign import measure_small

from orchestrator.commands.reading import store_report
from orchestrator.storage.reader import open_campaign


def reported(directory: Path, day: int = 1, repeat: int = 1) -> Path:
    """Measure a small campaign, whose times each day has its own of, report it, and return its directory."""
    measure_small(directory, day=day, repeat=repeat, seed=day - 1)
    store_report(directory, open_campaign(directory).record.config.analysis)
    return directory
