from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

pytestmark = [pytest.mark.cluster, pytest.mark.slow]
Script = Callable[..., subprocess.CompletedProcess[str]]
Hosts = Callable[[str], dict[str, str]]

LOOK = """
import json, os, sys, ray
ray.init(address=sys.argv[1], _node_ip_address=sys.argv[1].split(":")[0], log_to_driver=False, configure_logging=False)
@ray.remote(num_cpus=0)
def look():
    return os.nice(0), os.getcwd(), os.environ["RAY_USAGE_STATS_ENABLED"]
systems = {node["Labels"].get("system"): node["NodeManagerAddress"] for node in ray.nodes() if node["Alive"]}
seen = {name: ray.get(look.options(label_selector={"system": name}).remote()) for name in systems}
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


def wrong_tokens_are_one_line_and_leave_nothing(script: Script, node: dict[str, str], join: list[str]) -> None:
    wrong, token = "f" * 64, Path(node["HOME"]) / ".ray" / "auth_token"
    refused = script(node, "start_node.sh", "--token-stdin", *join, given=wrong)
    assert refused.returncode == 2
    assert refused.stderr.startswith("error: Ray did not start on 127.0.0.42: the head refuses this host's token; copy the head's")
    assert refused.stderr.count("\n") == 1
    assert wrong not in refused.stderr
    assert list(Path(node["TAIL_QUALITY_STATE"]).iterdir()) == []
    assert not token.exists()

    token.write_text(wrong)  # one that was there before is not this script's to remove
    assert script(node, "start_node.sh", *join).returncode == 2
    assert token.read_text() == wrong
    token.unlink()


def test_a_cluster_comes_up_with_its_labels_and_stop_ends_exactly_it(
    hosts: Hosts, script: Script, free_ports: Callable[[int], int]
) -> None:
    head, node, other = hosts("head"), hosts("node"), hosts("other")
    port = free_ports(1)
    started = script(
        head, "start_head.sh", "--system", "a", "--node-ip", "127.0.0.41", "--port", str(port), "--ports", ports(free_ports(20))
    )
    assert started.returncode == 0, started.stderr
    token = Path(head["HOME"]) / ".ray" / "auth_token"
    assert token.stat().st_mode & 0o777 == 0o600
    assert token.read_text() not in started.stdout + started.stderr

    address = f"127.0.0.41:{port}"
    join = ["--system", "b", "--label", "rack=r2", "--address", address, "--node-ip", "127.0.0.42", "--ports", ports(free_ports(20))]
    refused = script(node, "start_node.sh", *join)
    assert refused.returncode == 2
    assert "no token in" in refused.stderr
    wrong_tokens_are_one_line_and_leave_nothing(script, node, join)
    joined = script(node, "start_node.sh", "--token-stdin", *join, given=token.read_text())
    assert joined.returncode == 0, joined.stderr
    again = script(node, "start_node.sh", *join)
    assert again.returncode == 2
    assert "127.0.0.42 is up already" in again.stderr

    taken = script(other, "start_head.sh", "--node-ip", "127.0.0.46", "--port", str(port), "--ports", ports(free_ports(20)))
    assert taken.returncode == 2
    assert taken.stderr == f"error: port {port} of this host is taken; choose others with --ports or, for the head, --port\n"

    # Another Ray of the same user, which must outlive all of this.
    apart = script(other, "start_head.sh", "--node-ip", "127.0.0.43", "--port", str(free_ports(1)), "--ports", ports(free_ports(20)))
    assert apart.returncode == 0, apart.stderr
    outsider = of_session(leader(other, "127.0.0.43"))

    variables = {"RAY_AUTH_MODE": "token", "RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
    looked = subprocess.run([sys.executable, "-c", LOOK, address], env=head | variables, capture_output=True, text=True, check=False)
    assert looked.returncode == 0, looked.stderr
    cluster = json.loads(looked.stdout.splitlines()[-1])
    assert cluster["systems"] == {"a": "127.0.0.41", "b": "127.0.0.42"}
    assert "r2" in cluster["racks"]
    assert [(seen[0], seen[2]) for seen in cluster["seen"].values()] == [(os.nice(0), "0")] * 2

    processes = of_session(leader(head, "127.0.0.41")) + of_session(leader(node, "127.0.0.42"))
    temp = [
        Path((Path(host["TAIL_QUALITY_STATE"]) / ip / "temp").read_text().strip())
        for host, ip in ((head, "127.0.0.41"), (node, "127.0.0.42"))
    ]
    assert [folder.stat().st_mode & 0o777 for folder in temp] == [0o700, 0o700]  # Ray opens its own folder, which lies within, to all users
    assert all((folder / "r" / "session_latest").exists() for folder in temp)
    assert script(node, "stop.sh").stdout.startswith("down: system b on 127.0.0.42")
    assert script(head, "stop.sh").stdout.startswith("down: head 127.0.0.41")
    assert len(processes) >= 6
    assert [pid for pid in processes if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE] == []
    assert not any(folder.exists() for folder in temp)
    assert script(head, "stop.sh").stdout == "nothing is up\n"

    assert script(other, "stop.sh", "--list").stdout.startswith("up: head 127.0.0.43")
    assert set(outsider) <= set(of_session(leader(other, "127.0.0.43")))


def test_after_a_killed_leader_nothing_is_left_and_the_ports_are_free(
    hosts: Hosts, script: Script, free_ports: Callable[[int], int]
) -> None:
    host = hosts("head")
    options = ["--node-ip", "127.0.0.48", "--port", str(free_ports(1)), "--ports", ports(free_ports(20))]
    killed = []
    for _ in range(2):  # the second start ends what the first has left
        started = script(host, "start_head.sh", *options)
        assert started.returncode == 0, started.stderr
        killed.append(leader(host, "127.0.0.48"))
        os.kill(killed[-1], signal.SIGKILL)
    assert of_session(killed[0]) == []
    assert of_session(killed[1]) != []  # Ray's agents notice late
    assert script(host, "stop.sh").stdout.startswith("down: head 127.0.0.48")
    assert of_session(killed[1]) == []


def test_the_output_of_a_ray_that_failed_is_kept_until_the_next_start_which_takes_no_grpcio(
    hosts: Hosts, script: Script, free_ports: Callable[[int], int], tmp_path: Path
) -> None:
    # What Python says of a package that is not there; then Ray refuses a port for its client server.
    (tmp_path / "grpc.py").write_text('raise ModuleNotFoundError("No module named grpc", name="grpc")\n')
    host = hosts("head") | {"PYTHONPATH": str(tmp_path)}
    kept = Path(host["TAIL_QUALITY_STATE"]) / "127.0.0.49.log"
    options = ["--node-ip", "127.0.0.49", "--port", str(free_ports(1)), "--ports", ports(free_ports(20))]
    refused = script(host, "start_head.sh", *options, "--temp-dir", str(tmp_path / ("long" * 25)))  # too long for Ray's sockets
    assert refused.returncode == 2
    assert refused.stderr.startswith("error: Ray did not start on 127.0.0.49: OSError: ")
    assert refused.stderr.endswith(f"; see {kept}\n")
    assert "Traceback" in kept.read_text()
    started = script(host, "start_head.sh", *options)
    assert started.returncode == 0, started.stderr
    assert not kept.exists()
    command = b"\0".join(Path(f"/proc/{leader(host, '127.0.0.49')}/cmdline").read_bytes().split(b"\0"))
    assert b"--head" in command
    assert b"--ray-client-server-port" not in command
