"""A token goes to the server alone: not into results, messages, output or the command line of any process."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from fault_server import FaultServer, fault_server
from program import Done, orchestrator

SUPPORT = Path(__file__).parents[1] / "support"
TOKEN = "sk-Zq81-never-to-be-stored"
SHORT = ["system=cpu_all", "cluster=inline", "measurement.rule=rounds", "measurement.min_rounds=2", "measurement.max_rounds=2"]


@pytest.fixture
def server() -> Iterator[FaultServer]:
    faults = {1: "answers its token", 3: "echoes its head", 4: "error 500"}
    with fault_server(faults, delay_s=0.002) as started:
        yield started


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    (tmp_path / "own" / "model").mkdir(parents=True)
    (tmp_path / "own" / "model" / "asked_here.yaml").write_text(
        "name: asked_here\nkind: image_classification\ntarget: served_targets:ServedNumbers\nruntimes: [http_json]\n"
        "request: {path: /predict, body: {number: '{number}'}, answer: said.number}\n"
    )
    return tmp_path / "own"


def words(server: FaultServer, conf: Path, *more: str) -> list[str]:
    return [
        "--config-dir", str(SUPPORT / "conf"), "--config-dir", str(conf), f"code=[{SUPPORT / 'code'}]", "model=asked_here", "task=numbers",
        "runtime=http_json", "server=url", "server.name=numbers", f"server.url={server.url}", *SHORT, *more,
    ]  # fmt: skip


def command_lines(found: set[str], over: threading.Event) -> None:
    """Collect the command lines and, of children of this process, the environments that they were started with."""
    while not over.wait(0.02):
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    found.add((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
                except OSError:
                    continue


def run(*line: str, cwd: Path) -> Done:
    return orchestrator(*line, cwd=cwd)


@pytest.mark.parametrize("where", ["variable", "file"])
def test_a_token_is_nowhere_but_with_the_server(
    server: FaultServer, conf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    if where == "variable":
        monkeypatch.setenv("TQ_SERVER_TOKEN", TOKEN)
        named = "server.token_env=TQ_SERVER_TOKEN"
    else:
        (tmp_path / "secret").write_text(TOKEN)
        named = f"server.token_file={tmp_path / 'secret'}"
    found: set[str] = set()
    over = threading.Event()
    watching = threading.Thread(target=command_lines, args=(found, over))
    watching.start()
    try:
        shown = run(*words(server, conf, named), "--cfg", "job", cwd=tmp_path)
        planned = run("plan", *words(server, conf, named), cwd=tmp_path)
        done = run(*words(server, conf, named, "results_dir=r"), cwd=tmp_path)
        reported = run("report", "r", cwd=tmp_path)
        inspected = run("inspect", "r", cwd=tmp_path)
    finally:
        over.set()
        watching.join()
    assert done.returncode == 0, done.stderr
    assert any(f"Authorization: Bearer {TOKEN}".encode() in head for head in server.heads)
    written = "".join(path.read_bytes().decode("latin-1") for path in (tmp_path / "r").rglob("*") if path.is_file())
    assert "HTTP 401 No" in written
    assert "invalid literal for int() with base 10: '***'" in written
    for text in (written, *found, *(f"{one.stdout}{one.stderr}" for one in (shown, planned, done, reported, inspected))):
        assert TOKEN not in text
    assert named.partition("=")[2] in written  # where it is to be found is known
    assert os.environ.get("TQ_SERVER_TOKEN", TOKEN) == TOKEN


def test_a_server_that_is_not_there_ends_the_command_with_one_line(server: FaultServer, conf: Path, tmp_path: Path) -> None:
    server.close()
    done = run(*words(server, conf, "results_dir=r"), cwd=tmp_path)
    assert done.returncode == 2
    assert (
        f"server.url={server.url}: the server numbers takes no connection (connection refused); start it, or correct the URL" in done.stderr
    )
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "r").exists()


def test_keys_of_a_request_are_set_on_the_command_line(server: FaultServer, conf: Path, tmp_path: Path) -> None:
    shown = run(*words(server, conf, "model.request.answer=said"), "--cfg", "job", cwd=tmp_path)
    assert "answer: said\n" in shown.stdout
    wrong = run(*words(server, conf, "model.request.answr=said"), "--cfg", "job", cwd=tmp_path)
    assert wrong.returncode == 2
    assert "answr" in wrong.stderr
