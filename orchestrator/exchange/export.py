"""A campaign for other programs: figures as CSV, timings as one Parquet file, and an experiment of MLflow. Nothing is sent anywhere."""

import hashlib
import json
import logging
import os
import posixpath
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from orchestrator.analysis.campaign_analysis import CampaignAnalysis
from orchestrator.contracts import InputError
from orchestrator.report.chart_files import quality_picture
from orchestrator.report.markdown import PICTURE, to_report
from orchestrator.report.text import printable
from orchestrator.storage import schema, stored_form
from orchestrator.storage.files import replacing
from orchestrator.storage.reader import Campaign
from orchestrator.storage.records import TrialRecord

# What spreadsheets take for the beginning of a formula.
FORMULA = ("=", "+", "-", "@", "\N{FULLWIDTH EQUALS SIGN}", "\N{FULLWIDTH PLUS SIGN}", "\N{FULLWIDTH HYPHEN-MINUS}",
           "\N{FULLWIDTH COMMERCIAL AT}")  # fmt: skip


def to_csv(table: pa.Table) -> str:
    """Return a table as CSV with a header.

    Numbers are written so that they read back exactly; nulls are empty; lists and maps are JSON. In text, what steers a terminal, hides or
    breaks lines is an escape, as in the report, and a backslash is two, so that texts that differ do so here; text that a spreadsheet would
    run as a formula has an apostrophe before it.
    """
    lines = [[_text(name) for name in table.column_names]]
    columns = [column.to_pylist(maps_as_pydicts="strict") for column in table.columns]
    lines += [[_cell(value) for value in row] for row in zip(*columns, strict=True)]
    # Python's csv does not quote a lone carriage return, which ends a row.
    quoted = [['"{}"'.format(cell.replace('"', '""')) if re.search('[,"\r\n]', cell) else cell for cell in cells] for cells in lines]
    return "".join(f"{','.join(cells)}\n" for cells in quoted)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list | dict | bool):
        text = json.dumps(value, ensure_ascii=False)  # in which names of any script stay, and what is not to be seen is an escape
        return text if printable(text) == text else json.dumps(value).replace("\x7f", "\\u007f")
    return repr(value) if isinstance(value, int | float) else _text(str(value))


def _text(text: str) -> str:
    plain = printable(text.replace("\\", "\\\\"))
    return f"'{plain}" if plain.startswith(FORMULA) else plain


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


def write_tidy(campaign: Campaign, path: Path) -> None:
    """Write all timings of a campaign, one row per sample and round with every label; never more than one trial is in memory.

    Raises
    ------
    InputError
        if no trial has a round, and for files that cannot be read.
    """
    trials = [record for record in campaign.trials() if record.started_at is not None and campaign.rounds(record.trial_id).num_rows]
    if not trials:
        raise InputError(f"{campaign.directory} has no stored round, so there is nothing to export", "no_data")
    names = {name for record in trials for name in campaign.samples(record.trial_id).column_names if name.startswith(("score_", "slice_"))}
    form = pa.schema([*FIXED, *((name, pa.float64() if name.startswith("score_") else NAME) for name in sorted(names))])
    options = {
        **stored_form.PARQUET_OF_TIMINGS,
        "use_dictionary": [field.name for field in form if pa.types.is_dictionary(field.type) or field.name.startswith("score_")],
        "column_encoding": {**stored_form.PARQUET_OF_TIMINGS["column_encoding"], "total_ns": "BYTE_STREAM_SPLIT"},
    }
    with replacing(path) as file, pq.ParquetWriter(file, form, **options) as writer:
        for record in trials:
            (timings, rounds), samples = campaign.both(record.trial_id), campaign.samples(record.trial_id)
            hosts = {process.process: process.host for process in record.processes}
            rounds = rounds.append_column("host", pa.array([hosts.get(of) for of in rounds.column("process").to_pylist()], pa.string()))
            samples = samples.select([name for name in samples.column_names if name == "sample" or name in form.names])
            labels = {**record.labels(), "data_digest": record.digests.get("data")}
            for at in range(0, timings.num_rows, ROWS):
                writer.write_table(_tidy(timings.slice(at, ROWS), rounds, samples, labels, form))


def _tidy(timings: pa.Table, rounds: pa.Table, samples: pa.Table, labels: Mapping[str, Any], form: pa.Schema) -> pa.Table:
    """Return timings with all that is known of their rounds, samples and trial; what is not known is null."""
    of_round = rounds.take(pc.index_in(timings.column("round"), value_set=rounds.column("round").combine_chunks()))
    places = pc.index_in(timings.column("sample"), value_set=samples.column("sample").combine_chunks())
    if places.null_count:
        raise InputError(f"{labels['trial']} has timings of a sample that its predictions.parquet lacks: restore it from a copy", "damaged")
    columns = {name: table.column(name) for table in (samples.take(places), of_round, timings) for name in table.column_names}
    total = pc.add(pc.add(*(timings.column(stage) for stage in schema.STAGES[:2])), timings.column(schema.STAGES[2]))
    columns |= {"total_ns": total, "response_ns": pc.add(total, timings.column("queue_ns"))}
    nothing = pa.nulls(timings.num_rows)
    columns |= {name: nothing if value is None else pa.repeat(value, timings.num_rows) for name, value in labels.items()}
    return pa.table([_stored(columns.get(field.name, nothing), field.type) for field in form], schema=form)


def _stored(column: Any, kind: pa.DataType) -> Any:
    return column.cast(pa.string()).dictionary_encode().cast(kind) if pa.types.is_dictionary(kind) else column.cast(kind)


LONGEST, DIGEST = 250, 12
ALLOWED = re.compile(r"[A-Za-z0-9_.: /-]+")


def mlflow_name(name: str) -> str:
    """Return the name itself if MLflow takes it, else its letters and a digest of the whole, which are the same in every run."""
    if ALLOWED.fullmatch(name) and len(name) <= LONGEST and posixpath.normpath(name) == name and not name.startswith((".", "/")):
        return name
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:DIGEST]
    return f"{re.sub('[^A-Za-z0-9_: -]', '_', name)[: LONGEST - DIGEST - 1]}_{digest}"


FIGURES = ("threshold_ns", "ideal", "mean", "worst", "interval_low", "interval_high", "rounds")
STATUS = {"done": "FINISHED", "failed": "FAILED", "infeasible": "FAILED", "interrupted": "KILLED"}
LONGEST_VALUE, AT_ONCE = 500, 100


def export_to_mlflow(results: CampaignAnalysis, folder: Path) -> None:
    """Add a campaign to the MLflow store of a folder.

    Raises
    ------
    InputError
        if MLflow is not installed, or the folder holds this campaign already.
    """
    if strange := set(str(folder.resolve())) & set("?#%"):
        # MLflow takes the path as part of an address, where these begin another part: it would write elsewhere.
        raise InputError(
            f"--to {folder}: MLflow cannot write into a path with {' '.join(sorted(strange))} in it: name another folder",
            "unsupported",
            "--to",
            folder,
        )
    # Read when MLflow is imported: else it reports its use to its makers.
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = os.environ["DO_NOT_TRACK"] = "true"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's warnings about its own libraries
        try:
            import alembic  # noqa: F401 - the store of MLflow needs both
            import sqlalchemy  # noqa: F401
            from mlflow.tracking import MlflowClient
        except ImportError as error:
            raise InputError(
                f"--format mlflow needs the package {error.name}: install it with `pip install 'tail-quality[mlflow]'`",
                "not_installed",
                "--format",
                "mlflow",
            ) from error
        for library in ("mlflow", "alembic"):
            logging.getLogger(library).setLevel(logging.WARNING)
        client = MlflowClient(tracking_uri=f"sqlite:///{folder.resolve() / 'mlflow.db'}")
        name = mlflow_name(f"{results.campaign.name} {results.campaign.created_at:%Y-%m-%dT%H-%M-%SZ}")
        if client.get_experiment_by_name(name) is not None:
            raise InputError(f"{folder} holds the campaign {name} already: name another folder with --to", "exists", "--to", folder)
        experiment = client.create_experiment(name, artifact_location=(folder.resolve() / "artifacts").as_uri())
        report = {"report.md": to_report(results), PICTURE: quality_picture(results)}
        for record in results.records:
            _add_run(client, experiment, record, results, report)


def _add_run(client: Any, experiment: str, record: TrialRecord, results: CampaignAnalysis, report: Mapping[str, str | None]) -> None:
    from mlflow.entities import Metric, Param, RunTag

    started = record.started_at or results.campaign.created_at
    ended = record.ended_at or started
    at_ms = int(ended.timestamp() * 1000)
    run = client.create_run(experiment, start_time=int(started.timestamp() * 1000), run_name=record.trial_id).info.run_id
    tags = {"state": record.state, "reason": record.reason or "", "flags": ", ".join(record.flags), "match_key": record.match_key}
    client.log_batch(run, tags=[RunTag(f"tail_quality.{key}", _storable(value)[:LONGEST_VALUE]) for key, value in tags.items()])
    metrics = [Metric(key, value, at_ms, 0) for key, value in metrics_of(record, results).items()]
    params = [Param(key, value) for key, value in params_of(record).items()]
    for at in range(0, max(len(metrics), len(params)), AT_ONCE):
        client.log_batch(run, metrics=metrics[at : at + AT_ONCE], params=params[at : at + AT_ONCE])
    # All of them are made here, none is copied from the campaign.
    artifacts = {"trial.json": record.model_dump_json(indent=1)} | {name: text for name, text in report.items() if text}
    artifacts |= {f"{name}.csv": to_csv(_of(record, table)) for name, table in results.tables.items()}
    for name, text in artifacts.items():
        client.log_text(run, _storable(text), name)
    client.set_terminated(run, STATUS.get(record.state, "KILLED"), end_time=at_ms)


def params_of(record: TrialRecord) -> dict[str, str]:
    """Return what was measured, where and with which versions."""
    trial = record.trial
    parts: dict[str, Mapping[str, Any]] = {
        "measurement.": trial.measurement.model_dump(mode="json"),
        "runtime.": trial.runtime.model_dump(mode="json", exclude={"name"}),
        "placement.": record.placement,
        "stack.": record.stack,
        "digests.": {key: value for key, value in record.digests.items() if not isinstance(value, Mapping | list)},
        "": {key: value for key, value in record.labels().items() if key not in ("trial", "match_key")},
    }
    found = {f"{part}{key}": _storable(str(value))[:LONGEST_VALUE] for part, values in parts.items() for key, value in values.items()}
    return {mlflow_name(key): text for key, text in found.items() if text}


def metrics_of(record: TrialRecord, results: CampaignAnalysis) -> dict[str, float]:
    """Return the figures of one trial: tail quality per metric, clock and threshold, latency, and certified deadlines."""
    found: dict[str, float | None] = {}
    for row in _of(record, results.tables["tail_quality"]).to_pylist():
        if row["slice"] == "all":
            key = f"{row['metric']}/{row['clock']}/{row['threshold_origin']} {row['threshold']}"
            found |= {f"{key}/{figure}": row[figure] for figure in FIGURES}
    for row in _of(record, results.tables["latency"]).to_pylist():
        found[f"latency/{row['clock']}/p{row['percentile']:g}_ns"] = row["value_ns"]
    for row in _of(record, results.tables["deadline"]).to_pylist():
        found[f"deadline/{row['clock']}/{row['reference']}_ns"] = row["deadline_ns"]
    return {mlflow_name(key): float(value) for key, value in found.items() if value is not None}


def _of(record: TrialRecord, table: pa.Table) -> pa.Table:
    return table.filter(pc.equal(table.column("trial"), record.trial_id))


def _storable(text: str) -> str:
    """Return text that UTF-8 can hold."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
