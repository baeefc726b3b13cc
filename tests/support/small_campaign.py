"""A small campaign with whatever a reader can meet: faults, failed and left-out trials, settings, slices, a warm-up and other answers."""

import hashlib
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
from null_trials import measure_by, null_document, planned
from virtual_clock import NoisyClock

from orchestrator.configuration.analysis import AnalysisConfig
from orchestrator.configuration.config import CampaignConfig
from orchestrator.storage.files import sealed_json, write_parquet
from orchestrator.storage.records import CampaignRecord, LeftOut

CODE = Path(__file__).parent / "code"


@contextmanager
def importable() -> Iterator[None]:
    sys.path.append(str(CODE))
    try:
        yield
    finally:
        sys.path.remove(str(CODE))
        sys.modules.pop("null_targets", None)


def document(wrong: list[int], system: str, repeat: int, rounds: int, samples: int, raises_on: list[int]) -> dict[str, Any]:
    return null_document(
        model={"wrong": wrong, "raises_on": raises_on},
        task={"count": samples},
        system={"name": system},
        runtime={"packages": ["json"]},
        measurement={"min_rounds": rounds, "max_rounds": rounds, "max_errors": 0 if len(raises_on) > 1 else 9, "repeat": repeat},
    )


def measure_small(
    directory: Path, day: int = 1, rounds: int = 6, samples: int = 6, repeat: int = 1, seed: int = 0, primary: str | None = None
) -> Path:
    """Measure the campaign into a new directory, in this process and on a clock of its own."""
    with importable():
        trials = planned(
            document([1], "cpu_all", repeat, rounds, samples, []),
            document([1, 2], "cpu_1", repeat, rounds, samples, [3]),
            document([2], "cpu_all", 1, rounds, samples, [0, 1, 2, 3]),
        )
        record = CampaignRecord(
            code_version="1.0", code_digest="ab", name="small", command=("+sweep=small", "model=null"), trials=tuple(trials),
            sweep={"axes": {"model": "null,other"}, "set": ["task=numbers"]}, left_out=(LeftOut(pair=("null", "coco"), reason="other kind"),),
            created_at=datetime(2026, 3, day, 12, 30, tzinfo=UTC), config=CampaignConfig(analysis=AnalysisConfig(thresholds_ms=(14,), primary=primary)),
        )  # fmt: skip
        return measure_by(NoisyClock(seed), directory, record)


def reseal_json(path: Path, document: Any) -> None:
    """Write what a stranger may have written: any JSON with a checksum that fits, whatever our own writer would refuse."""
    write_sealed(path, json.dumps(document, indent=1, ensure_ascii=True))


def write_sealed(path: Path, text: str) -> None:
    """Write a text with the seal that fits it, where it ends as an object does."""
    path.write_text(sealed_json(text) if text.endswith("\n}") else text, encoding="utf-8", errors="surrogatepass")


def reseal_table(path: Path, table: pa.Table, **options: Any) -> None:
    """Write a table with a seal that fits."""
    write_parquet(path, table, **options)


def read_document(path: Path) -> Any:
    """Return a stored JSON document without its seal."""
    document = json.loads(path.read_text("utf-8"))
    del document["sha256"]
    return document


def contents(folder: Path) -> dict[str, str]:
    """Return a digest of every file of a folder."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.rglob("*")) if path.is_file()
    }
