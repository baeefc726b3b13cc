"""A token goes to the server alone: not into results, messages, output or the command line of any process."""

import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from fault_server import FaultServer, fault_server
from program import orchestrator

pytestmark = pytest.mark.slow

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
    """Collect the command lines of all processes that have started meanwhile."""
    before = {*Path("/proc").iterdir()}
    while not over.wait(0.02):
        for process in {*Path("/proc").iterdir()} - before:
            with suppress(OSError):
                found.add((process / "cmdline").read_text(errors="replace"))


@pytest.mark.parametrize("where", ["variable", "file"])
def test_a_token_is_nowhere_but_with_the_server(
    server: FaultServer, conf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    monkeypatch.setenv("TQ_SERVER_TOKEN", TOKEN)
    (tmp_path / "secret").write_text(TOKEN)
    named = "server.token_env=TQ_SERVER_TOKEN" if where == "variable" else f"server.token_file={tmp_path / 'secret'}"
    found: set[str] = set()
    over = threading.Event()
    watching = threading.Thread(target=command_lines, args=(found, over))
    watching.start()
    try:
        shown = orchestrator(*words(server, conf, named), "--cfg", "job", cwd=tmp_path)
        planned = orchestrator("plan", *words(server, conf, named), cwd=tmp_path)
        done = orchestrator(*words(server, conf, named, "results_dir=r"), cwd=tmp_path)
        reported = orchestrator("report", "r", cwd=tmp_path)
        inspected = orchestrator("inspect", "r", cwd=tmp_path)
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
