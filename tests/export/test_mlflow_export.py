import re
import socket
import warnings
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from refusals import refused

import orchestrator
from orchestrator.analysis.table import tables
from orchestrator.commands import line
from orchestrator.exchange.export import mlflow_name


def export(directory: Path, to: Path) -> int:
    return line.run(["export", str(directory), "--to", str(to), "--format", "mlflow"])


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any) -> None:
        raise AssertionError(f"a connection to {arguments}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.mark.slow
def test_runs_hold_parameters_metrics_and_artifacts(
    monday: Path, tmp_path: Path, no_network: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("alembic")
    pytest.importorskip("sqlalchemy")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "a store, é"
    assert export(monday, folder) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"monday", folder.name}
    assert {path.name for path in folder.iterdir()} == {"mlflow.db", "artifacts"}

    from mlflow.tracking import MlflowClient

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        client = MlflowClient(tracking_uri=f"sqlite:///{folder}/mlflow.db")
        experiment = client.get_experiment_by_name("vision 2026-03-01T12-30-00Z")
        runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    results = orchestrator.open(monday)
    assert set(runs) == set(results.trials().column("trial").to_pylist())
    for row in results.tail_quality().to_pylist():
        run = runs[row["trial"]]
        assert (run.info.status, run.data.params["measurement.max_rounds"], run.data.params["model"]) == ("FINISHED", "30", row["model"])
        if row["slice"] == "all":
            key = f"{row['metric']}/{row['clock']}/{row['threshold_origin']} {row['threshold']}"
            for figure in ("threshold_ns", "mean", "worst", "interval_low", "interval_high"):
                assert run.data.metrics[f"{key}/{figure}"] == row[figure]
    files = {path.name for path in (folder / "artifacts").rglob("*") if path.is_file()}
    assert files == {"trial.json", "report.md", *(f"{name}.csv" for name in tables())}
    with refused("exists", "--to", folder):
        export(monday, folder)


def test_a_missing_package_is_named(monday: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "alembic", None)
    with refused("not_installed"):
        export(monday, tmp_path / "store")


def test_a_path_that_mlflow_would_misread_is_refused(monday: Path, tmp_path: Path) -> None:
    with refused("unsupported", "--to", tmp_path / "a?b"):
        export(monday, tmp_path / "a?b")


@given(st.lists(st.text(st.one_of(st.sampled_from("./_:- a\\=%"), st.characters()), max_size=270), min_size=2, max_size=2, unique=True))
def test_names_are_short_plain_and_stay_apart(names: list[str]) -> None:
    made = [mlflow_name(name) for name in names]
    assert made[0] != made[1]
    assert all(re.fullmatch(r"[\w.\- :/]{1,250}", name, re.ASCII) for name in made)
