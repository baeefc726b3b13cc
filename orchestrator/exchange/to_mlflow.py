"""A campaign as an experiment of MLflow in a local SQLite file: one run per trial. Nothing is sent anywhere."""

import hashlib
import logging
import os
import re
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from orchestrator.analysis.campaign_analysis import CampaignAnalysis
from orchestrator.analysis.ranking import rankings
from orchestrator.contracts import InputError
from orchestrator.exchange.csv_and_latex import to_csv
from orchestrator.report.chart_files import quality_picture
from orchestrator.report.markdown import PICTURE, to_report
from orchestrator.storage.records import TrialRecord

LONGEST = 250
DIGEST = 12
ALLOWED = re.compile(r"[A-Za-z0-9_.: /-]+")
MADE = re.compile(rf"_[0-9a-f]{{{DIGEST}}}\Z")
# Parts of a path that MLflow refuses between slashes.
NO_PART = ("", ".", "..")


def mlflow_name(name: str) -> str:
    """Return the name itself if MLflow takes it, else its permitted part and a digest of the whole.

    Equal names give equal results in every run and campaign, and different names different ones: a name that looks as if made here gets a
    digest too.
    """
    parts = name.split("/")
    if ALLOWED.fullmatch(name) and len(name) <= LONGEST and not set(parts) & set(NO_PART) and ".." not in name and not MADE.search(name):
        return name
    plain = "/".join("_" if part in NO_PART else re.sub(r"[^A-Za-z0-9_.: -]", "_", part) for part in parts).replace("..", "__")
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:DIGEST]
    return f"{plain[: LONGEST - DIGEST - 1]}_{digest}"


DATABASE = "mlflow.db"
ARTIFACTS = "artifacts"
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
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's warnings about its own libraries
        client = _client(folder)
        name = mlflow_name(f"{results.campaign.name} {results.campaign.created_at:%Y-%m-%dT%H-%M-%SZ}")
        if client.get_experiment_by_name(name) is not None:
            raise InputError(f"{folder} holds the campaign {name} already: name another folder with --to")
        experiment = client.create_experiment(name, artifact_location=(folder.resolve() / ARTIFACTS).as_uri())
        ranked = rankings(results)
        report = {"report.md": to_report(results, ranked), PICTURE: quality_picture(results, ranked=ranked)}
        for record in results.records:
            _add_run(client, experiment, record, results, report)


def _client(folder: Path) -> Any:
    if strange := set(str(folder.resolve())) & set("?#%"):
        # MLflow takes the path as part of an address, where these begin another part: it would write elsewhere.
        raise InputError(f"--to {folder}: MLflow cannot write into a path with {' '.join(sorted(strange))} in it: name another folder")
    # Read when MLflow is imported: else it reports its use to its makers.
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = os.environ["DO_NOT_TRACK"] = "true"
    try:
        import alembic  # noqa: F401 - the store of MLflow needs both
        import sqlalchemy  # noqa: F401
        from mlflow.tracking import MlflowClient
    except ImportError as error:
        raise InputError(f"--format mlflow needs the package {error.name}: install it with `pip install 'tail-quality[mlflow]'`") from error
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return MlflowClient(tracking_uri=f"sqlite:///{folder.resolve() / DATABASE}")


def _add_run(client: Any, experiment: str, record: TrialRecord, results: CampaignAnalysis, report: Mapping[str, str | None]) -> None:
    from mlflow.entities import Metric, Param, RunTag

    started = record.started_at or results.campaign.created_at
    ended = record.ended_at or started
    at_ms = int(ended.timestamp() * 1000)
    run = client.create_run(experiment, start_time=int(started.timestamp() * 1000), run_name=record.trial_id).info.run_id
    tags = {"state": record.state, "reason": record.reason or "", "flags": ", ".join(record.flags), "match_key": record.match_key}
    metrics = [Metric(key, value, at_ms, 0) for key, value in metrics_of(record, results).items()]
    params = [Param(key, value) for key, value in params_of(record).items()]
    client.log_batch(run, tags=[RunTag(f"tail_quality.{key}", _storable(value)[:LONGEST_VALUE]) for key, value in tags.items()])
    for at in range(0, max(len(metrics), len(params)), AT_ONCE):
        client.log_batch(run, metrics=metrics[at : at + AT_ONCE], params=params[at : at + AT_ONCE])
    with tempfile.TemporaryDirectory() as scratch:
        # All of them are made here, none is copied from the campaign.
        artifacts = {"trial.json": record.model_dump_json(indent=1)} | {name: text for name, text in report.items() if text}
        artifacts |= {f"{name}.csv": to_csv(_of(record, table)) for name, table in results.tables.items()}
        for name, text in artifacts.items():
            path = Path(scratch) / name
            path.write_text(text, encoding="utf-8", errors="backslashreplace")
            client.log_artifact(run, str(path))
    client.set_terminated(run, STATUS.get(record.state, "KILLED"), end_time=at_ms)


def params_of(record: TrialRecord) -> dict[str, str]:
    """Return what was measured, where and with which versions."""
    found: dict[str, Any] = dict(record.labels())
    del found["trial"], found["match_key"]
    found |= {f"measurement.{key}": value for key, value in record.trial.measurement.model_dump(mode="json").items()}
    found |= {f"runtime.{key}": value for key, value in record.trial.runtime.model_dump(mode="json").items() if key != "name"}
    found |= {f"placement.{key}": value for key, value in record.placement.items()}
    found |= {f"stack.{key}": value for key, value in record.stack.items()}
    found |= {f"digests.{key}": value for key, value in record.digests.items() if not isinstance(value, Mapping | list)}
    return {mlflow_name(key): text for key, value in found.items() if (text := _storable(str(value))[:LONGEST_VALUE])}


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
