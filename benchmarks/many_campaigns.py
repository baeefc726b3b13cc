"""Many campaigns of one sweep, made from one that was measured and reported: other dates, other means, the same files."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from orchestrator.storage.files import write_json, write_parquet
from orchestrator.storage.load import read_table
from orchestrator.storage.reader import open_campaign

# Of fewer rounds a deadline is none.
CERTIFY_ROUNDS = 120
# What a trial certifies that certifies nothing.
DEADLINE_NS = 50e6
HALF_WIDTH = 0.004


def many_campaigns(
    folder: Path, source: Path, qualities: Sequence[float], deadlines: Sequence[float] | None = None, codes: Sequence[str] | None = None
) -> list[Path]:
    """Write a campaign a day into new folders and return these.

    Parameters
    ----------
    folder, source
        where they go, and the campaign that they are like.
    qualities
        what each adds to every mean of tail quality, [N].
    deadlines
        by what each multiplies every certified deadline, [N]; 1 where none are given.
    codes
        the digest of the code of each, [N].
    """
    record = open_campaign(source).record
    quality, deadline = (read_table(source / f"{name}.parquet") for name in ("tail_quality", "deadline"))
    made = []
    for number, added in enumerate(qualities):
        created_at: datetime = record.created_at + timedelta(days=number)
        directory = folder / f"{created_at:%Y-%m-%dT%H-%M-%SZ}"
        directory.mkdir(parents=True)
        update: dict[str, Any] = {"created_at": created_at, "code_digest": codes[number] if codes else record.code_digest}
        write_json(directory / "campaign.json", record.model_copy(update=update).model_dump(mode="json"))
        write_parquet(directory / "tail_quality.parquet", _moved(quality, added))
        write_parquet(directory / "deadline.parquet", _slowed(deadline, 1.0 if deadlines is None else deadlines[number]))
        made.append(directory)
    return made


def _moved(table: pa.Table, added: float) -> pa.Table:
    means = _floats(table, "mean") + added
    for name, by in (("mean", 0.0), ("interval_low", -HALF_WIDTH), ("interval_high", HALF_WIDTH)):
        table = _with(table, name, pa.array(means + by))
    return table


def _slowed(table: pa.Table, times: float) -> pa.Table:
    known = table.column("deadline_ns").fill_null(int(DEADLINE_NS)).to_numpy()
    slowed = _with(table, "deadline_ns", pa.array(np.rint(known * times).astype(np.int64)))
    return _with(slowed, "rounds", pa.array(np.full(len(table), CERTIFY_ROUNDS, dtype=np.int32)))


def _floats(table: pa.Table, name: str) -> NDArray[np.float64]:
    found: NDArray[np.float64] = table.column(name).to_numpy()
    return found


def _with(table: pa.Table, name: str, values: pa.Array) -> pa.Table:
    place = table.schema.get_field_index(name)
    return table.set_column(place, table.schema.field(place), values.cast(table.schema.field(place).type))
