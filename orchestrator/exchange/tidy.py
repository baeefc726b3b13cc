"""All timings of a campaign in one Parquet file, one row per sample and round with every label; never more than one trial in memory."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from orchestrator.contracts import InputError
from orchestrator.storage import encoding, schema
from orchestrator.storage.files import replacing
from orchestrator.storage.reader import Campaign
from orchestrator.storage.records import TrialRecord

# Rows per group.
ROWS = 1 << 18

NAME = pa.dictionary(pa.int32(), pa.string())
LABELS = [(name, NAME) for name in ("trial", "match_key", "model", "task", "system", "runtime", "server")]
# ``score_<metric>`` and ``slice_<name>`` of the trials that have them follow. ``started_at`` is the round's.
FIXED = pa.schema(
    [
        *LABELS,
        ("batch", pa.int32()),
        ("repeat", pa.int32()),
        ("host", NAME),
        ("data_digest", NAME),
        ("round", pa.int32()),
        ("sample", pa.int32()),
        ("name", NAME),
        ("outcome", NAME),
        ("start_gap_ns", pa.int64()),
        *((stage, pa.int64()) for stage in schema.STAGES),
        ("total_ns", pa.int64()),
        ("cuda_inference_ns", pa.int64()),
        ("arrival_ns", pa.int64()),
        ("queue_ns", pa.int64()),
        ("response_ns", pa.int64()),
        ("ramp", pa.bool_()),
        *((name, schema.TIMINGS.field(name).type) for name in schema.ANSWER),
        ("stream", pa.int32()),
        ("input_size", pa.int64()),
        ("started_at", pa.timestamp("us", tz="UTC")),
        ("process", pa.int32()),
        ("incomplete", pa.bool_()),
    ]
)


def write_tidy(campaign: Campaign, path: Path) -> int:
    """Write the file and return its number of rows.

    Raises
    ------
    InputError
        if no trial has a round, and for files that cannot be read.
    """
    trials = [record for record in campaign.trials() if record.started_at is not None]
    trials = [record for record in trials if campaign.rounds(record.trial_id).num_rows]
    if not trials:
        raise InputError(f"{campaign.directory} has no stored round, so there is nothing to export")
    form = _form(campaign, trials)
    rows = 0
    options = {
        **encoding.TIMINGS,
        "use_dictionary": [field.name for field in form if pa.types.is_dictionary(field.type) or field.name.startswith("score_")],
        "column_encoding": {**encoding.TIMINGS["column_encoding"], "total_ns": "BYTE_STREAM_SPLIT"},
    }
    with replacing(path) as file, pq.ParquetWriter(file, form, **options) as writer:
        for record in trials:
            rows += _write_trial(campaign, record, form, writer)
    return rows


def _form(campaign: Campaign, trials: list[TrialRecord]) -> pa.Schema:
    """Return the columns of all trials together."""
    names = {name for record in trials for name in campaign.samples(record.trial_id).column_names if name.startswith(("score_", "slice_"))}
    extra = {name: pa.float64() if name.startswith("score_") else NAME for name in names}
    return pa.schema([*FIXED, *sorted(extra.items())])


def _write_trial(campaign: Campaign, record: TrialRecord, form: pa.Schema, writer: pq.ParquetWriter) -> int:
    (timings, rounds), samples = campaign.both(record.trial_id), campaign.samples(record.trial_id)
    hosts = {process.process: process.host for process in record.processes}
    rounds = rounds.append_column("host", pa.array([hosts.get(process) for process in rounds.column("process").to_pylist()], pa.string()))
    samples = samples.select(["sample", *(name for name in samples.column_names if name in form.names and name != "sample")])
    constant: Mapping[str, Any] = {**record.labels(), "data_digest": record.digests.get("data")}
    for at in range(0, timings.num_rows, ROWS):
        part = timings.slice(at, ROWS)
        of_round = rounds.take(_places(rounds.column("round"), part.column("round"), record))
        of_sample = samples.take(_places(samples.column("sample"), part.column("sample"), record))
        total = pc.add(pc.add(*(part.column(stage) for stage in schema.STAGES[:2])), part.column(schema.STAGES[2]))
        columns = {name: table.column(name) for table in (of_sample, of_round, part) for name in table.column_names}
        columns |= {"total_ns": total, "response_ns": pc.add(total, part.column("queue_ns"))}
        writer.write_table(pa.table([_conform(columns.get(field.name), constant, field, part.num_rows) for field in form], schema=form))
    return int(timings.num_rows)


def _conform(column: Any, constant: Mapping[str, Any], field: pa.Field, rows: int) -> Any:
    """Return one column in its stored type: the trial's own label, what was measured, or nulls."""
    if field.name in constant:
        value_type = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        column = pa.chunked_array([pa.repeat(pa.scalar(constant[field.name], value_type), rows)])
    if column is None:
        return pa.nulls(rows, field.type)
    if pa.types.is_dictionary(field.type):
        return column.cast(pa.string()).dictionary_encode().cast(field.type)
    return column.cast(field.type)


def _places(known: pa.ChunkedArray, wanted: pa.ChunkedArray, record: TrialRecord) -> pa.ChunkedArray:
    """Return the row of each wanted number."""
    places = pc.index_in(wanted, value_set=known.combine_chunks())
    if places.null_count:
        raise InputError(f"{record.trial_id} has timings of a sample that its predictions.parquet lacks: restore it from a copy")
    return places
