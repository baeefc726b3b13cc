"""Every verb takes an imported campaign, or refuses it in one line."""

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc_csv
import pyarrow.parquet as pq
import pytest
from program import orchestrator
from refusals import refused

from orchestrator.commands.import_ import FORMATS
from orchestrator.exchange.formats import recordings_of
from orchestrator.storage.reader import open_campaign


@pytest.fixture(scope="module")
def campaigns(tmp_path_factory) -> tuple[Path, Path]:
    """The same task with scores and without, under a schedule, with times of tokens."""
    folder = tmp_path_factory.mktemp("imported")
    rng = np.random.default_rng(1)
    times = rng.lognormal(2, 0.3, 400)
    arrivals = np.arange(400) * 20.0 + np.arange(400) // 100 * 10_000
    moments = {
        "arrival_ms": arrivals, "start_ms": arrivals + rng.exponential(1, 400), "first_token_ms": times / 2, "tokens": np.full(400, 5),
    }  # fmt: skip
    scored = {"score_top1": pa.array(np.tile([1.0, 0.0, 1.0, 1.0, 1.0], 80))}
    for name, more in (("scored", scored), ("plain", {})):
        path = folder / f"{name}.csv"
        pc_csv.write_csv(
            pa.table(
                {"round": np.repeat(np.arange(40), 10), "sample": np.tile(np.arange(10), 40), "inference_ms": times, **moments, **more}
            ),
            path,
        )
    for file, name in (("scored", "scored"), ("plain", "plain"), ("scored", "again")):
        words = ("--format", "table", "--task", "t", "system=host", "--quiet", f"results_dir={name}")
        assert orchestrator("import", f"{file}.csv", *words, cwd=folder).returncode == 0
    return folder / "scored", folder / "plain"


@pytest.mark.slow
def test_report_status_compare_export_explain_inspect(campaigns, call, tmp_path) -> None:
    scored, plain = campaigns
    for directory in campaigns:
        answer = call("report", directory, 'analysis.primary="13 ms"')
        assert (answer.returncode, answer.stderr) == (0, "")
        assert (directory / "report.html").exists()
        assert call("status", directory).returncode == 0
        assert call("explain", directory).returncode == 0
        (trial,) = open_campaign(directory).trials()
        inspected = call("inspect", directory, trial.trial_id)
        assert (inspected.returncode, inspected.stderr) == (0, "")
    assert call("compare", scored, plain.parent / "again").returncode == 0
    exported = call("export", scored, "--to", tmp_path / "out", "--format", "csv,latex,parquet")
    assert (exported.returncode, exported.stderr) == (0, "")
    assert "per_token" in (tmp_path / "out" / "tail_quality.csv").read_text()
    rows = pq.read_table(tmp_path / "out" / "timings.parquet", columns=["response_ns", "queue_ns", "total_ns", "first_token_ns"])
    assert rows.num_rows == 400
    assert sum(column.null_count for column in rows.columns) == 0


@pytest.mark.slow
def test_no_deadline_is_certified_and_resume_and_extend_refuse(campaigns, call) -> None:
    scored, _ = campaigns
    assert call("report", scored).returncode == 0
    assert not any(pq.read_table(scored / "deadline.parquet").column("certified").to_pylist())
    for words in (("resume", scored), ("extend", scored, "--rounds", "3")):
        answer = call(*words)
        assert (answer.returncode, answer.stdout) == (2, "")


@pytest.mark.parametrize("form", FORMATS)
def test_what_has_no_end_is_not_imported(form, tmp_path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    for path in (tmp_path / "pipe.csv", Path("/dev/zero")):
        with refused("unsafe", value=path):
            next(recordings_of(form, [path], {}))


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("x.csv", "--format", "table", "--task", "t"), "not_found"),
        ((".", "--format", "aiperf", "--task", "t", "--map", "inference_ms=x"), "conflict"),
        ((".", "--format", "aiperf", "--task", "t"), "unsafe"),
        ((".", "--format", "loadgen", "--task", "t"), "not_found"),
    ],
)
def test_a_mistake_in_the_words_is_refused(words, code, call) -> None:
    answer = call("import", *words)
    assert (answer.returncode, answer.stdout, answer.refusal) == (2, "", code)
