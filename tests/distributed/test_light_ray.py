"""What Ray's processes leave out, and what they still have."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from subprocess import list2cmdline

import pytest

from orchestrator.distributed.light_process import Later, left_for_later
from orchestrator.distributed.light_ray import LIGHT_PROCESS, NO_AGENT, with_light_agent, without_dashboard_agent
from orchestrator.distributed.no_agent import sleep_until_gone

NODE = "ab" * 28


@pytest.fixture
def seldom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a package that nobody has imported yet."""
    (tmp_path / "seldom_used").mkdir()
    (tmp_path / "seldom_used" / "__init__.py").write_text("class Problem(Exception): pass\n")
    (tmp_path / "seldom_used" / "part.py").write_text("from seldom_used import Problem\n")
    monkeypatch.syspath_prepend(tmp_path)
    return "seldom_used"


def test_a_module_is_imported_when_it_is_used(seldom: str) -> None:
    with left_for_later([seldom]):
        import seldom_used  # type: ignore[import-not-found]
    assert isinstance(seldom_used, Later)
    assert seldom not in sys.modules
    problem = seldom_used.Problem
    assert sys.modules[seldom].Problem is problem
    with left_for_later([seldom]):
        assert not isinstance(sys.modules[seldom], Later)
    assert sys.modules[seldom].Problem is problem


def test_parts_of_it_are_imported_at_once(seldom: str) -> None:
    with left_for_later([seldom]):
        import seldom_used.part  # type: ignore[import-not-found]
    assert sys.modules[seldom].Problem is seldom_used.part.Problem


@pytest.mark.parametrize("folder", ["/tmp/session", "/tmp/the session"])
def test_a_raylet_starts_our_agents_and_keeps_all_else(folder: str, tmp_path: Path) -> None:
    from ray._private.services import RAY_PATH

    session = f"{tmp_path}{folder}"
    Path(session).mkdir(parents=True)
    main = f"{RAY_PATH}/_private/runtime_env/agent/main.py"
    agent = [sys.executable, "-u", f"{RAY_PATH}/dashboard/agent.py", f"--node-id={NODE}", f"--session-dir={session}"]
    environments = [sys.executable, "-u", main, f"--node-id={NODE}"]
    rest = ["raylet", f"--session_dir={session}"]
    command = [
        *rest,
        f"--dashboard_agent_command={list2cmdline(agent)}",
        f"--runtime_env_agent_command={list2cmdline(environments)}",
        "--head",
    ]
    ours = without_dashboard_agent(with_light_agent(command))
    assert ours == [
        *rest,
        f"--dashboard_agent_command={list2cmdline([sys.executable, '-ISP', NO_AGENT, session])}",
        f"--runtime_env_agent_command={list2cmdline([sys.executable, '-u', LIGHT_PROCESS, main, f'--node-id={NODE}'])}",
        "--head",
    ]
    ports = ("metrics_agent_port", "metrics_export_port", "dashboard_agent_listen_port")
    assert {path.name: path.read_text() for path in Path(session).iterdir()} == {f"{port}_{NODE}": "-1" for port in ports}


@pytest.mark.parametrize("command", [["gcs_server", "--log_dir=x"], ["raylet", "--session_dir=x", "--other_agent_command=x"], []])
def test_what_is_started_otherwise_is_left_to_ray(command: list[str]) -> None:
    assert without_dashboard_agent(with_light_agent(command)) == command


def test_what_stands_in_ends_with_the_raylet() -> None:
    with subprocess.Popen(["sleep", "600"]) as raylet:
        waiting = threading.Thread(target=sleep_until_gone, args=[raylet.pid])
        waiting.start()
        assert waiting.is_alive()
        raylet.kill()
        waiting.join()
    sleep_until_gone(raylet.pid)
