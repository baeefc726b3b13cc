"""Write what analysis found into a campaign's directory."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa

from orchestrator.storage.atomic import write_parquet, write_text


def write_results(directory: Path, tables: Mapping[str, pa.Table], texts: Mapping[str, str]) -> None:
    """Write result tables as ``<name>.parquet`` and texts under their own names; each file is whole or not there."""
    for name, table in tables.items():
        write_parquet(directory / f"{name}.parquet", table)
    for name, text in texts.items():
        write_text(directory / name, text)
