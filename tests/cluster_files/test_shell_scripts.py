from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

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


def test_stop_never_signals_a_process_that_it_did_not_start(hosts: Hosts, script: Script) -> None:
    environment = hosts("a")
    folder = Path(environment["TAIL_QUALITY_STATE"]) / "127.0.0.2"
    folder.mkdir(parents=True)
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    (folder / "leader").write_text(f"{boot} {os.getpid()} 1\n")  # our process id, another start time: a number used again
    (folder / "about").write_text("system a on 127.0.0.2\n")
    (folder / "temp").write_text(f"{environment['HOME']}\n")  # not a folder that the scripts made

    assert script(environment, "stop.sh", "--list").stdout == "dead: system a on 127.0.0.2; stop.sh removes what it left\n"
    assert script(environment, "stop.sh").stdout == "down: system a on 127.0.0.2\n"
    assert not folder.exists()
    assert Path(environment["HOME"]).is_dir()
