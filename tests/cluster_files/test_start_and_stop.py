import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

PROJECT = Path(__file__).parents[2]
pytestmark = [pytest.mark.slow, pytest.mark.first]
Script = Callable[..., subprocess.CompletedProcess[str]]
Hosts = Callable[[str], dict[str, str]]

# No public name of Ray keeps it to one address.
LOOK = """
import json, os, sys, ray
ray.init(address=sys.argv[1], _node_ip_address=sys.argv[1].split(":")[0], log_to_driver=False, configure_logging=False)
@ray.remote(num_cpus=0)
def look():
    return os.nice(0), os.getcwd(), os.environ["RAY_USAGE_STATS_ENABLED"]
systems = {node["Labels"].get("system"): node["NodeManagerAddress"] for node in ray.nodes() if node["Alive"]}
seen = [ray.get(look.options(label_selector={"system": name}).remote()) for name in ("a", "b")]
racks = [node["Labels"].get("rack") for node in ray.nodes()]
print(json.dumps({"systems": systems, "seen": seen, "racks": racks}))
"""


def of_session(leader: int) -> list[int]:
    found = []
    for process in psutil.process_iter():
        try:
            stat = Path(f"/proc/{process.pid}/stat").read_text().rpartition(") ")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(stat[3]) == leader and stat[0] != "Z":
            found.append(process.pid)
    return found


def leader(environment: dict[str, str], address: str) -> int:
    return int((Path(environment["TAIL_QUALITY_STATE"]) / address / "leader").read_text().split()[1])


def ports(first: int) -> str:
    return f"{first}-{first + 19}"


@dataclass(frozen=True)
class Apart:
    """A Ray of this user that is none of the lab's, and how its first start was refused."""

    environment: dict[str, str]
    options: list[str]
    refused: subprocess.CompletedProcess[str]
    log: str
    started: subprocess.CompletedProcess[str]


@pytest.fixture
def apart(hosts: Hosts, script: Script, free_ports: Callable[[int], int]) -> Apart:
    """Ray's name for its sockets is too long for the first start; and there is no grpcio, as Python says it of a package."""
    host = hosts("apart")
    home = Path(host["HOME"])
    (home / "grpc.py").write_text('raise ModuleNotFoundError("No module named grpc", name="grpc")\n')
    host["PYTHONPATH"] = str(home)
    options = ["--node-ip", "127.0.0.49", "--port", str(free_ports(1)), "--ports", ports(free_ports(20))]
    refused = script(host, "start_head.sh", *options, "--temp-dir", str(home / ("long" * 25)))
    log = (Path(host["TAIL_QUALITY_STATE"]) / "127.0.0.49.log").read_text()
    return Apart(host, options, refused, log, script(host, "start_head.sh", *options))


def the_output_of_a_ray_that_failed_was_kept_until_the_next_start_which_takes_no_grpcio(apart: Apart) -> None:
    log = Path(apart.environment["TAIL_QUALITY_STATE"]) / "127.0.0.49.log"
    assert apart.refused.returncode == 2
    assert str(log) in apart.refused.stderr
    assert "Traceback" in apart.log
    assert apart.started.returncode == 0, apart.started.stderr
    assert not log.exists()
    # Ray refuses a port for its client server where that cannot be.
    command = Path(f"/proc/{leader(apart.environment, '127.0.0.49')}/cmdline").read_bytes()
    assert b"--head" in command
    assert b"--ray-client-server-port" not in command


def machine(name: str, number: int, first_port: int, **keys: object) -> dict[str, object]:
    return {"host": f"lab-{name}", "ip": f"127.0.0.{number}", "ports": ports(first_port), "system": name, **keys}


def wrong_tokens_are_one_line_and_leave_nothing(script: Script, node: dict[str, str], join: list[str]) -> None:
    wrong, token = "f" * 64, Path(node["HOME"]) / ".ray" / "auth_token"
    refused = script(node, "start_node.sh", "--token-stdin", *join, given=wrong)
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert wrong not in refused.stderr
    assert list(Path(node["TAIL_QUALITY_STATE"]).iterdir()) == []
    assert not token.exists()

    token.write_text(wrong)  # one that was there before is not this script's to remove
    assert script(node, "start_node.sh", *join).returncode == 2
    assert token.read_text() == wrong


def test_a_lab_comes_up_with_its_labels_and_its_end_ends_exactly_it(
    lab: Callable[..., subprocess.CompletedProcess[str]],
    apart: Apart,
    hosts: Hosts,
    script: Script,
    tmp_path: Path,
    free_ports: Callable[[int], int],
) -> None:
    port = free_ports(1)
    inventory = {
        "port": port,
        "folder": str(PROJECT),
        "python": sys.executable,
        "head": machine("a", 51, free_ports(20)),
        "nodes": [machine("b", 52, free_ports(20), user="visitor", labels={"rack": "r2"})],
    }
    address = f"127.0.0.51:{port}"
    up = [
        f"lab-a: up: head {address}",
        f"lab-b: up: system b on 127.0.0.52, head {address}",
        f"lab-a: next: python -m orchestrator plan +sweep=NAME cluster=address cluster.address={address}",
    ]
    the_output_of_a_ray_that_failed_was_kept_until_the_next_start_which_takes_no_grpcio(apart)
    outsider = of_session(leader(apart.environment, "127.0.0.49"))
    machines = {name: hosts(f"lab-{name}") for name in "ab"}  # those that stand behind ssh, too
    try:
        started = lab("up", inventory)
        assert (started.returncode, started.stdout.splitlines(), started.stderr) == (0, up, "")
        again = lab("up", inventory)
        assert (again.returncode, again.stdout.splitlines()) == (0, up)
        status = lab("status", inventory)
        assert status.returncode == 0
        assert [line.partition(" (process")[0] for line in status.stdout.splitlines()] == [f"{up[0]}, system a", *up[1:2]]
        tokens = [tmp_path / f"lab-{name}" / ".ray" / "auth_token" for name in machines]
        assert len({token.read_text() for token in tokens}) == 1
        assert [token.stat().st_mode & 0o777 for token in tokens] == [0o600] * 2
        output = (tmp_path / "commands").read_text() + started.stdout + again.stdout + status.stdout
        assert tokens[0].read_text() not in output
        assert "visitor@lab-b" in output

        node = hosts("node")
        join = ["--system", "d", "--address", address, "--node-ip", "127.0.0.54", "--ports", ports(free_ports(20))]
        assert script(node, "start_node.sh", *join).returncode == 2  # without a token
        wrong_tokens_are_one_line_and_leave_nothing(script, node, join)
        taken = script(node, "start_head.sh", "--node-ip", "127.0.0.55", "--port", str(port), "--ports", ports(free_ports(20)))
        assert taken.returncode == 2

        variables = {"RAY_AUTH_MODE": "token", "RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
        looked = subprocess.run(
            [sys.executable, "-c", LOOK, address], env=machines["a"] | variables, capture_output=True, text=True, check=False
        )
        assert looked.returncode == 0, looked.stderr
        cluster = json.loads(looked.stdout.splitlines()[-1])
        assert cluster["systems"] == {"a": "127.0.0.51", "b": "127.0.0.52"}
        assert "r2" in cluster["racks"]
        assert [(seen[0], seen[2]) for seen in cluster["seen"]] == [(os.nice(0), "0")] * 2

        leaders = {f"127.0.0.{number}": machines[name] for name, number in (("a", 51), ("b", 52))}
        processes = [pid for ip, host in leaders.items() for pid in of_session(leader(host, ip))]
        temp = [Path((Path(host["TAIL_QUALITY_STATE"]) / ip / "temp").read_text().strip()) for ip, host in leaders.items()]
        # Ray opens its own folder, which lies within, to all users.
        assert [folder.stat().st_mode & 0o777 for folder in temp] == [0o700] * 2
        assert all((folder / "r" / "session_latest").exists() for folder in temp)
    finally:
        ended = lab("down", inventory)
    assert ended.returncode == 0
    assert [line.partition(":")[0] for line in ended.stdout.splitlines()] == ["lab-b", "lab-a"]
    assert lab("status", inventory).returncode == 1
    assert len(processes) >= 6
    assert [pid for pid in processes if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE] == []
    assert not any(folder.exists() for folder in temp)
    assert script(machines["a"], "stop.sh").stdout == "nothing is up\n"

    assert script(apart.environment, "stop.sh", "--list").stdout.startswith("up: head 127.0.0.49")
    assert set(outsider) <= set(of_session(leader(apart.environment, "127.0.0.49")))
    after_a_killed_leader_nothing_is_left_and_the_ports_are_free(apart, script)


def after_a_killed_leader_nothing_is_left_and_the_ports_are_free(apart: Apart, script: Script) -> None:
    host, killed = apart.environment, [leader(apart.environment, "127.0.0.49")]
    os.kill(killed[0], signal.SIGKILL)
    started = script(host, "start_head.sh", *apart.options)  # which ends what the first has left
    assert started.returncode == 0, started.stderr
    assert of_session(killed[0]) == []
    killed.append(leader(host, "127.0.0.49"))
    os.kill(killed[1], signal.SIGKILL)
    assert of_session(killed[1]) != []  # Ray's agents notice late
    assert script(host, "stop.sh").stdout.startswith("down: head 127.0.0.49")
    assert of_session(killed[1]) == []
