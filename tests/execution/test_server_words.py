"""What a server's command may name, which keys start one, which cores it is given, and what is stored of its log."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from pydantic import ValidationError
from refusals import refused

from orchestrator.configuration.config import SystemConfig
from orchestrator.configuration.environment_values import Secret
from orchestrator.configuration.fields import explain
from orchestrator.configuration.server import ServerSettings
from orchestrator.machine.host import server_cores_offered
from orchestrator.machine.locks import open_own_folder
from orchestrator.running.keeper import await_keepers
from orchestrator.running.server import Order, log_path, order_of, read_log, take_server_log, versions_of

STARTED = {"name": "tiny", "url": "http://127.0.0.1:8123", "command": ["serve", "--port", "{port}"]}


def settings(**changes: object) -> ServerSettings:
    return ServerSettings.model_validate(STARTED | changes)


def test_names_stand_for_their_values_and_braces_of_json_stay() -> None:
    asked = settings(
        command=["{python}", "serve.py", "--at={host}:{port}", "--batch", "{batch}", '--more={"a": {}}', "--fast={fast}"],
        settings={"batch": 8, "fast": True},
        environment={"THREADS": "{cores}", "OMP_NUM_THREADS": "7"},
    )
    inherited = {"PATH": "/bin", "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "RAY_ADDRESS": "local"}
    order = order_of(asked, (0, 2, 3), inherited, Path("/cache"))
    assert order.command[2:] == ("--at=127.0.0.1:8123", "--batch", "8", '--more={"a": {}}', "--fast=true")
    given = {"THREADS": "3", "OMP_NUM_THREADS": "7", "MKL_NUM_THREADS": "3", "PATH": "/bin"}  # the user's own word counts
    assert order.environment.items() >= given.items()
    assert not {"CUDA_VISIBLE_DEVICES", "RAY_ADDRESS"} & set(order.environment)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"command": ["serve", "{prt}"]}, "names {prt}, which has no value"),
        ({"settings": {"batch": 4}}, "server.settings.batch has no effect"),
        ({"settings": {"port": 4}, "command": ["{port}"]}, "server.settings.port is the name"),
        ({"url": "http://10.0.0.1:80"}, "answers on its own host alone"),
        ({"url": "http://127.0.0.1"}, "or port 0 for a free one"),
        ({"command": None, "settings": {"batch": 4}}, "settings has no effect on a server that runs already"),
        ({"command": None, "url": "http://127.0.0.1:0"}, "names no port"),
        ({"command": []}, "command"),
    ],
)
def test_a_mistake_is_one_line(changes: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        settings(**changes)
    assert said in explain(caught.value)


def version_of(*command: str) -> dict[str, object]:
    return versions_of(settings(packages=["pytest.x", "no_such"]), Order((), command, (), {}), Secret("s3cret"))


@pytest.mark.parametrize(
    ("program", "version"),
    [
        ("print('2.1 s3cret'); print('more')", "2.1 ***"),
        ("import sys; sys.stderr.write('2.2')", "2.2"),
        ("", "unknown"),
    ],
)
def test_a_servers_version_is_the_first_line_of_its_command_without_the_token(program: str, version: str) -> None:
    packages = {"pytest": pytest.__version__, "no_such": None}
    assert version_of(sys.executable, "-c", program) == {"packages": packages, "version": version}


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (["no-such-program"], "No such file"),
        ([sys.executable, "-c", "raise SystemExit(3)"], "exit status 3"),
        ([sys.executable, "-c", "raise SystemExit('a\\nno s3cret here')"], "no *** here"),
    ],
)
def test_a_version_command_that_fails_is_refused_without_the_token(command: list[str], why: str) -> None:
    with refused("not_installed", "server.version_command", command[0]) as caught:
        version_of(*command)
    assert why in str(caught.value)


@pytest.mark.parametrize(
    ("system", "server", "cores"),
    [
        (1, 1, (2,)),
        (1, None, (0, 1, 2)),
        ([0], 2, (2, 3)),
        ([1, 2], [0, 3], (0, 3)),
        (1, [1], (1,)),
    ],
)
def test_a_server_has_cores_that_its_client_has_not(system: object, server: object, cores: tuple[int, ...]) -> None:
    client = SystemConfig.model_validate({"name": "x", "cores": system})
    assert server_cores_offered(settings(cores=server), client, (0, 1, 2, 3), {}, "box") == cores


@pytest.mark.parametrize(("system", "server"), [(None, None), (3, 2), (1, [3]), (1, [0, 9]), (1, [])])
def test_cores_that_it_cannot_have_are_refused(system: object, server: object) -> None:
    client = SystemConfig.model_validate({"name": "x", "cores": system})
    with refused("conflict", "server.cores"):
        server_cores_offered(settings(cores=server), client, (0, 1, 2, 3), {}, "box")


def test_of_a_long_log_the_beginning_and_the_end_are_kept(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"first\n" + b"x" * 2_000_000 + b"\nlast\n")
    text = read_log(log)
    assert (text[:5], text[-5:]) == ("first", "last\n")
    assert len(text) < 1_100_000
    assert read_log(tmp_path / "none") == ""


SETTINGS = ServerSettings.model_validate(
    {"name": "tiny", "url": "http://127.0.0.1:0", "command": ["serve"], "token_env": "TINY_TOKEN"}
).model_dump(mode="json")
TOKEN = "squeamish-ossifrage"


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Path]:
    """A log that holds the token, where that of a timed process would lie."""
    os.close(open_own_folder())
    path = log_path(tmp_path / "tail-quality-0-abc")
    path.write_text(f"started with key {TOKEN}\n")
    yield path
    path.unlink(missing_ok=True)


def test_the_token_is_left_out_and_a_log_whose_token_is_unknown_too(log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = log.read_text()
    monkeypatch.setenv("TINY_TOKEN", TOKEN)
    assert take_server_log(SETTINGS, tmp_path / "tail-quality-0-abc") == "started with key ***\n"
    assert not log.exists()
    monkeypatch.delenv("TINY_TOKEN")
    log.write_text(written)
    assert TOKEN not in take_server_log(SETTINGS, tmp_path / "tail-quality-0-abc")
    assert not log.exists()


@pytest.mark.parametrize(
    ("file", "owner", "started", "awaited"),
    [
        ("keeper.py", "7", "100.5", True),
        ("keeper.py", "7", "101.0", True),
        ("keeper.py", "7", "101.5", False),
        ("keeper.py", "8", "100.0", False),
        ("other.py", "7", "100.0", False),
        ("keeper.py", "7", "no number", False),
    ],
)
def test_only_the_keepers_of_one_program_are_awaited(
    monkeypatch: pytest.MonkeyPatch, file: str, owner: str, started: str, awaited: bool
) -> None:
    process = SimpleNamespace(cmdline=lambda: ["python", "-ISP", f"/elsewhere/{file}", owner, started, "0.0", ""])
    monkeypatch.setattr(psutil, "process_iter", lambda: [process])
    found: list[object] = []
    monkeypatch.setattr(psutil, "wait_procs", lambda processes, timeout: found.extend(processes))
    await_keepers(7, 100.0, 1.0)
    assert (found == [process]) is awaited
