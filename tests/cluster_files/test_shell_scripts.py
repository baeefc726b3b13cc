import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

pytestmark = pytest.mark.slow

Script = Callable[..., subprocess.CompletedProcess[str]]
Hosts = Callable[[str], dict[str, str]]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("start_head.sh", ["--prot", "1"]),
        ("start_head.sh", ["--port", "80"]),
        ("start_head.sh", ["--port", "20010"]),
        ("start_head.sh", ["--ports", "20000-20003"]),
        ("start_head.sh", ["--node-ip", "127.0.0.1"]),
        ("start_head.sh", ["--node-ip", "192.0.2.77"]),
        ("start_head.sh", ["--label", "a b=c"]),
        ("start_node.sh", ["--address", "192.0.2.1:6379"]),
        ("start_node.sh", ["--system", "a,b=c", "--address", "127.0.0.2:1"]),
        ("start_node.sh", ["--system", "a", "--address", "127.0.0.2:1"]),
        ("stop.sh", ["--all"]),
    ],
)
def test_mistakes_are_one_line(hosts: Hosts, script: Script, name: str, options: list[str]) -> None:
    refused = script(hosts("a"), name, *options)
    assert refused.returncode == 2
    assert (refused.stderr.startswith("error: "), refused.stderr.count("\n")) == (True, 1)


def test_a_state_folder_of_somebody_else_is_refused(hosts: Hosts, script: Script, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    refused = script(hosts("a") | {"TAIL_QUALITY_STATE": str(tmp_path / "link")}, "stop.sh")
    assert refused.returncode == 2


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
