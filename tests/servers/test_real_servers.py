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

BY_LENGTH = "served_targets:ByLength"
SUPPORT, MODELS = Path(__file__).parents[1] / "support", Path(__file__).parents[2] / "conf" / "model"
SHORT = [
    "cluster=inline", "measurement.rule=rounds", "measurement.min_rounds=1", "measurement.max_rounds=1", "measurement.warmup_rounds=1",
    "measurement.lead_in=0",
]  # fmt: skip


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


def as_shipped(folder: Path, name: str, new: str, was: str, becomes: str) -> None:
    """Write a shipped model under another name, with a piece of its text changed: a key of one model alone is no axis."""
    text = (MODELS / f"{name}.yaml").read_text().replace(f"name: {name}", f"name: {new}").replace(was, becomes)
    (folder / "conf" / "model").mkdir(parents=True, exist_ok=True)
    (folder / "conf" / "model" / f"{new}.yaml").write_text(text)


def test_open_inference_in_binary_and_in_json_answers_as_in_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Triton in binary, KServe's own server in JSON."""
    monkeypatch.setenv("TAIL_QUALITY_SERVERS_PYTHON", str(other_environment()))
    as_shipped(tmp_path, "served_efficientnet_lite0", "served_in_json", "binary: true", "binary: false")
    axes = {
        "model": "efficientnet_lite0,served_efficientnet_lite0,served_in_json",
        "runtime": "onnxruntime,open_inference,open_inference",
        "server": "none,triton,kserve",
    }
    rows = same_answers(measure(tmp_path, axes, "task=imagenet_samples", "task.limit=3"), 3)
    assert sorted(row["server"] for row in rows) == ["kserve", "triton"]


@needs("litserve")
def test_plain_json_answers_in_batches_as_in_process(tmp_path: Path) -> None:
    """A model that needs no framework: what serves it is LitServe all the same."""
    as_shipped(tmp_path, "minilm_movie_reviews", "by_length", "tasks.models.sentence_classifier:SentenceClassifier", BY_LENGTH)
    as_shipped(tmp_path, "served_movie_reviews", "served_by_length", "same_as: minilm_movie_reviews", "same_as: by_length")
    axes = {
        "model": "by_length,served_by_length",
        "runtime": "onnxruntime,http_json",
        "server": "none,litserve",
        "server.settings": f'"{{}},{{target: {BY_LENGTH}, batch: 4, batch_wait_ms: 500}}"',
        "server.in_flight": "null,4",
    }
    results = measure(tmp_path, axes, "task=movie_reviews", "task.limit=12", f"code=[{SUPPORT / 'code'}]")
    same_answers(results, 2)
    trials = [json.loads(path.read_text())["trial"] for path in results.glob("trials/*/trial.json")]
    assert sorted(trial["server"]["settings"]["batch"] for trial in trials if "server" in trial) == [4]


@needs("xllamacpp")
def test_llama_cpp_streams_the_answers_of_a_language_model(tmp_path: Path) -> None:
    axes = {"server.settings.prompt_cache": "false,true,true", "model.request.cache": "as_is,as_is,salted"}
    (tmp_path / "a_test.csv").write_text("Which of these is a city?,Oslo,Mars,tea,red,A\n")
    words = ["model=served_chat", "model.request.max_tokens=4", "task=mmlu", f"task.root={tmp_path}", "runtime=openai", "server=xllamacpp"]
    results = measure(tmp_path, axes, *words)
    cached = {(False, "as_is"): (0, 0), (True, "as_is"): (0.95, 1), (True, "salted"): (0, 0.5)}
    for path in results.glob("trials/*/trial.json"):
        record = json.loads(path.read_text())
        settings, request = record["trial"]["server"]["settings"], record["trial"]["model"]["options"]["request"]
        least, most = cached.pop((settings["prompt_cache"], request["cache"]))
        assert record["facts"]["server_started"]["packages"]["xllamacpp"]
        (row,) = pq.read_table(path.parent / "timings").to_pylist()  # the warm-up has asked the same
        assert row["outcome"] == "ok"
        assert 0 < row["first_token_ns"] <= row["last_token_ns"] <= row["inference_ns"]
        assert 1 <= row["tokens"] <= 4
        assert least <= row["cached_tokens"] / row["prompt_tokens"] <= most
        assert not is_served(record["facts"]["server_started"]["pid"])
    assert not cached
