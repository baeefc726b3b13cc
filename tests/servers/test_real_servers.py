"""Real servers, started from their packages: the same answers as in the timed process, and what they cost is shown."""

import importlib.util
import json
import os
import sys
from pathlib import Path
from typing import Any

import psutil
import pyarrow.parquet as pq
import pytest
from program import orchestrator

import orchestrator as tail_quality
from orchestrator.machine.cores import allowed_cores

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),  # up to four starts of servers that load a framework
    pytest.mark.skipif(len(allowed_cores()) < 2, reason="a server needs a core that its client has not: run it on two cores or more"),
]

SHORT = ["cluster=inline", "measurement.rule=rounds", "measurement.min_rounds=2", "measurement.max_rounds=2", "measurement.warmup_rounds=1"]


def needs(module: str) -> pytest.MarkDecorator:
    reason = f"the server {module} is not installed: pip install 'tail-quality[servers]'"
    return pytest.mark.skipif(importlib.util.find_spec(module) is None, reason=reason)


def is_served(pid: int) -> bool:
    """Whether a process of this number is a server of ours; another may have the number by now."""
    try:
        return "tasks.servers." in " ".join(psutil.Process(pid).cmdline())
    except psutil.Error:
        return False


def other_environment() -> Path:
    """The Python of the environment for servers that want other versions than this one, or a skip that says how to make it."""
    named = os.environ.get("TAIL_QUALITY_SERVERS_PYTHON")
    python = Path(named) if named else Path(sys.prefix, "servers", "bin", "python")
    if not python.exists():
        pytest.skip(f"{python} is not there: make the environment with `python requirements/servers.py {python.parents[1]}`")
    return python


def measure(folder: Path, axes: dict[str, str], *words: str) -> Path:
    """Measure a model in this process and through a server: the values of all axes move together."""
    (folder / "conf" / "sweep").mkdir(parents=True)
    lines = ["axes:", *(f"  {key}: {values}" for key, values in axes.items()), f"pair: [[{', '.join(axes)}]]"]
    (folder / "conf" / "sweep" / "both.yaml").write_text("\n".join(lines) + "\n")
    given = ["--config-dir", str(folder / "conf"), "+sweep=both", "system=cpu_1core", *SHORT, *words, f"results_dir={folder / 'r'}"]
    done = orchestrator(*given, cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / "r"


def same_answers(results: Path, trials: int) -> list[dict[str, Any]]:
    """Hold all trials to one set of answers, and return the rows of what servers cost."""
    campaign = tail_quality.open(results)
    found = [pq.read_table(results / "trials" / trial["trial"] / "predictions.parquet") for trial in campaign.trials().to_pylist()]
    assert len(found) == trials
    first, *others = (table.column("prediction").to_pylist() for table in found)
    assert all(other == first for other in others)
    rows: list[dict[str, Any]] = pq.read_table(results / "server_cost.parquet").to_pylist()
    assert len(rows) == trials - 1
    for row in rows:
        assert row["different_answers"] == 0
        assert row["samples"] == len(first)
        assert row["cost_p50_ns"] == row["served_p50_ns"] - row["in_process_p50_ns"]
    for path in results.glob("trials/*/trial.json"):
        started = json.loads(path.read_text())["facts"].get("server_started")
        if started is not None:
            assert started.get("version") or all(started["packages"].values())
            assert not is_served(started["pid"])
            assert not set(started["cores"]) & set(allowed_cores()[-1:])
    return rows


def test_open_inference_in_binary_and_in_json_answers_as_in_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Triton takes both, KServe's own server JSON too."""
    monkeypatch.setenv("TAIL_QUALITY_SERVERS_PYTHON", str(other_environment()))
    # A key of one model alone is no axis: JSON has a model of its own.
    (tmp_path / "conf" / "model").mkdir(parents=True)
    shipped = Path(__file__).parents[2] / "conf" / "model" / "served_efficientnet_lite0.yaml"
    text = shipped.read_text().replace("name: served_efficientnet_lite0", "name: served_in_json").replace("binary: true", "binary: false")
    (tmp_path / "conf" / "model" / "served_in_json.yaml").write_text(text)
    axes = {
        "model": "efficientnet_lite0,served_efficientnet_lite0,served_in_json,served_in_json",
        "runtime": "onnxruntime,open_inference,open_inference,open_inference",
        "server": "none,triton,triton,kserve",
    }
    results = measure(tmp_path, axes, "task=imagenet_samples", "task.limit=6")
    rows = same_answers(results, 4)
    assert sorted(row["server"] for row in rows) == ["kserve", "triton", "triton"]


@needs("litserve")
def test_plain_json_answers_in_batches_as_in_process(tmp_path: Path) -> None:
    axes = {
        "model": "minilm_movie_reviews,served_movie_reviews",
        "runtime": "onnxruntime,http_json",
        "server": "none,litserve",
        "server.settings": '"{},{batch: 4, batch_wait_ms: 2}"',
        "server.in_flight": "null,4",
    }
    results = measure(tmp_path, axes, "task=movie_reviews", "task.limit=12")
    same_answers(results, 2)
    trials = [json.loads(path.read_text())["trial"] for path in results.glob("trials/*/trial.json")]
    assert sorted(trial["server"]["settings"]["batch"] for trial in trials if "server" in trial) == [4]


@needs("xllamacpp")
@pytest.mark.parametrize(
    ("settings", "cached"),
    [
        ([], (0, 0)),
        (["server.settings.prompt_cache=true"], (0.95, 1)),
        (["server.settings.prompt_cache=true", "model.request.cache=salted"], (0, 0.5)),
    ],
)
def test_llama_cpp_streams_the_answers_of_a_language_model(tmp_path: Path, settings: list[str], cached: tuple[float, float]) -> None:
    given = [
        "model=served_chat", "model.request.max_tokens=4", "task=mmlu_dev", "task.limit=1", "runtime=openai", "server=xllamacpp",
        "system=cpu_1core", *settings, *SHORT, f"results_dir={tmp_path / 'r'}",
    ]  # fmt: skip
    done = orchestrator(*given, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (path,) = (tmp_path / "r").glob("trials/*/trial.json")
    record = json.loads(path.read_text())
    assert record["facts"]["server_started"]["packages"]["xllamacpp"]
    timings = pq.read_table(path.parent / "timings").to_pylist()
    assert len(timings) == 2
    for row in timings:
        assert row["outcome"] == "ok"
        assert 0 < row["first_token_ns"] <= row["last_token_ns"] <= row["inference_ns"]
        assert 1 <= row["tokens"] <= 4
        assert cached[0] <= row["cached_tokens"] / row["prompt_tokens"] <= cached[1]
    assert not is_served(record["facts"]["server_started"]["pid"])
