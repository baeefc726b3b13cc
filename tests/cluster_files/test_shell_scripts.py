from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import psutil
import pytest

pytestmark = pytest.mark.slow

Script = Callable[..., subprocess.CompletedProcess[str]]
Hosts = Callable[[str], dict[str, str]]
COMMANDS = ("start_head.sh", "start_node.sh", "stop.sh")


def test_shellcheck_has_nothing_to_say(cluster_folder: Path) -> None:
    scripts = sorted(str(path) for pattern in ("*.sh", "*.sbatch") for path in cluster_folder.rglob(pattern))
    checked = subprocess.run(
        [Path(sys.executable).parent / "shellcheck", "--external-sources", "--source-path=SCRIPTDIR", *scripts],
        capture_output=True,
        text=True,
        check=False,
    )
    assert len(scripts) >= 7
    assert checked.stdout + checked.stderr == ""


@pytest.mark.parametrize("name", [*COMMANDS, "slurm.sbatch"])
def test_scripts_stop_at_the_first_failure(cluster_folder: Path, name: str) -> None:
    assert "\nset -euo pipefail\n" in (cluster_folder / name).read_text()


@pytest.mark.parametrize("name", COMMANDS)
def test_help(hosts: Hosts, script: Script, name: str) -> None:
    shown = script(hosts("a"), name, "--help")
    assert shown.returncode == 0
    assert shown.stdout.startswith(f"usage: {name} ")
    assert shown.stderr == ""


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("start_head.sh", ["--prot", "1"], "--prot: there is no such option; see --help"),
        ("start_head.sh", ["--port"], "--port needs a value"),
        ("start_head.sh", ["--port", "80"], "must be a port from 1024 to 65535"),
        ("start_head.sh", ["--port", "20010"], "is one of --ports 20000-20099"),
        ("start_head.sh", ["--ports", "20000-20003"], "at least 20 ports"),
        ("start_head.sh", ["--ports", "many"], "must be FIRST-LAST"),
        ("start_head.sh", ["--node-ip", "127.0.0.1"], "give the address that the others reach"),
        ("start_head.sh", ["--node-ip", "192.0.2.77"], "--node-ip 192.0.2.77: is no address of this host"),
        ("start_head.sh", ["--label", "a b=c"], "label a b=c: must be KEY=VALUE"),
        ("start_head.sh", ["--label", "ray.io/node-id=1"], "not begin with ray.io/"),
        ("start_node.sh", ["--address", "192.0.2.1:6379"], "no system: say which one this host is"),
        ("start_node.sh", ["--system", "a"], "no address: give what start_head.sh printed"),
        ("start_node.sh", ["--system", "a", "--address", "somewhere"], "must be HEAD:PORT"),
        ("start_node.sh", ["--system", "a,b=c", "--address", "127.0.0.2:1"], "label system=a,b=c: must be"),
        ("start_node.sh", ["--system", "a", "--address", "127.0.0.2:1"], "nothing answers at 127.0.0.2:1"),
        ("stop.sh", ["--all"], "--all: there is no such option"),
    ],
)
def test_mistakes_are_one_line(hosts: Hosts, script: Script, name: str, options: list[str], said: str) -> None:
    refused = script(hosts("a"), name, *options)
    assert refused.returncode == 2
    assert refused.stderr.startswith("error: ")
    assert refused.stderr.count("\n") == 1
    assert said in refused.stderr


def test_an_interpreter_without_ray_is_named_with_the_remedy(hosts: Hosts, script: Script, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "bare"], check=True)
    bare = tmp_path / "bare" / "bin" / "python"
    refused = script(hosts("a") | {"TAIL_QUALITY_PYTHON": str(bare)}, "start_head.sh", "--node-ip", "127.0.0.2")
    assert refused.returncode == 2
    assert refused.stderr.startswith(f"error: {bare} has no Ray: install the project there")


def test_a_missing_interpreter_is_named(hosts: Hosts, script: Script) -> None:
    refused = script(hosts("a") | {"TAIL_QUALITY_PYTHON": "/no/python"}, "start_head.sh", "--node-ip", "127.0.0.2")
    assert refused.stderr == "error: /no/python: no such program; set TAIL_QUALITY_PYTHON to the interpreter that has Ray\n"


def test_a_state_folder_of_somebody_else_is_refused(hosts: Hosts, script: Script, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    refused = script(hosts("a") | {"TAIL_QUALITY_STATE": str(tmp_path / "link")}, "stop.sh")
    assert refused.returncode == 2
    assert "belongs to somebody else" in refused.stderr


@pytest.fixture
def reason(cluster_folder: Path, tmp_path: Path) -> Callable[[str], str]:
    """Return what start_head.sh says of an output of Ray's."""

    def of(output: str) -> str:
        (tmp_path / "log").write_text(output)
        command = f"source {cluster_folder / 'node.sh'} && reason {tmp_path / 'log'} KEPT"
        return subprocess.run(["bash", "-euo", "pipefail", "-c", command], capture_output=True, text=True, check=True).stdout

    return of


def test_another_version_is_told_with_both_sides(reason: Callable[[str], str]) -> None:
    complaint = "\n".join(
        (
            "from ray._private.utils import check_version_info",
            "check_version_info({'ray_version': '2.51.0', 'python_version': '3.9.1'}, 'node 192.0.2.1')",
        )
    )
    output = subprocess.run([sys.executable, "-c", complaint], capture_output=True, text=True, check=False).stderr
    python = platform.python_version()
    assert reason(output) == (
        "Version mismatch: The cluster was started with: Ray: 2.51.0 Python: 3.9.1 This process on node 192.0.2.1 was started with: "
        f"Ray: {version('ray')} Python: {python}; install the cluster's versions here\n"
    )


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["2026-11-25 21:32:49,790\tINFO scripts.py:1043 -- Local node IP: 9.9.9.9"], "see KEPT"),
        (["2026-11-25 21:32:49,790\tERROR services.py:10 -- no room", "2026-11-25 21:32:49,791\tINFO a.py:1 -- up"], "no room; see KEPT"),
        (
            ["[2026-11-25 21:39:14,413 W 11 11] gcs_client.cc:210: No answer.", "[2026-11-25 21:39:14,413 I 11 11] a.cc:1: x"],
            "No answer.; see KEPT",
        ),
        (["Traceback (most recent call last):", '  File "a.py", line 1, in <module>', "ValueError: no", ""], "ValueError: no; see KEPT"),
        ([], "see KEPT"),
    ],
)
def test_the_reason_is_the_last_line_that_complains(reason: Callable[[str], str], lines: list[str], said: str) -> None:
    assert reason("\n".join(lines)) == f"{said}\n"


def node_folder(environment: dict[str, str], leader: str) -> Path:
    folder = Path(environment["TAIL_QUALITY_STATE"]) / "127.0.0.2"
    folder.mkdir(parents=True, exist_ok=True)
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    (folder / "leader").write_text(f"{boot} {leader}\n")
    (folder / "about").write_text("system a on 127.0.0.2\n")
    (folder / "temp").write_text(f"{environment['HOME']}\n")  # not a folder that the scripts made
    return folder


def test_stop_ends_of_a_killed_leaders_session_only_what_works_in_its_folders(hosts: Hosts, script: Script) -> None:
    environment = hosts("a")
    folder = node_folder(environment, "0 0")
    deep = Path(environment["HOME"]) / "deep"
    deep.mkdir()
    start = f'for place in {folder} {deep} /; do (cd "$place" && exec sleep 300 >/dev/null) & echo $!; done; read -r'
    with subprocess.Popen(
        ["bash", "-c", start], start_new_session=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as leader:
        assert leader.stdout is not None
        members = [psutil.Process(int(leader.stdout.readline())) for _ in range(3)]
        while any(member.name() != "sleep" for member in members):  # before that a member may not have come to its folder
            time.sleep(0.01)
        stat = Path(f"/proc/{leader.pid}/stat").read_text().rpartition(") ")[2].split()
        node_folder(environment, f"{leader.pid} {stat[19]}")
        leader.kill()
    try:
        assert [is_up(member) for member in members] == [True] * 3
        assert script(environment, "stop.sh").stdout == "down: system a on 127.0.0.2\n"
        assert [is_up(member) for member in members] == [False, False, True]
        assert not folder.exists()
    finally:
        for member in members:
            if is_up(member):
                member.kill()


def is_up(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def test_stop_never_signals_a_process_that_it_did_not_start(hosts: Hosts, script: Script) -> None:
    environment = hosts("a")
    folder = node_folder(environment, f"{os.getpid()} 1")  # our process id, another start time: a number used again

    assert script(environment, "stop.sh", "--list").stdout == "dead: system a on 127.0.0.2; stop.sh removes what it left\n"
    assert script(environment, "stop.sh").stdout == "down: system a on 127.0.0.2\n"
    assert not folder.exists()
    assert Path(environment["HOME"]).is_dir()
