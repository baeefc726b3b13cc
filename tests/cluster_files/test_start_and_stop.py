from __future__ import annotations

import json
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
    joined = script(node, "start_node.sh", "--token-stdin", *join, given=token.read_text())
    assert joined.returncode == 0, joined.stderr
    again = script(node, "start_node.sh", *join)
    assert again.returncode == 2
    assert "127.0.0.42 is up already" in again.stderr

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
    assert [(seen[0], seen[2]) for seen in cluster["seen"].values()] == [(0, "0"), (0, "0")]

    processes = of_session(leader(head, "127.0.0.41")) + of_session(leader(node, "127.0.0.42"))
    temp = [
        Path((Path(host["TAIL_QUALITY_STATE"]) / ip / "temp").read_text().strip())
        for host, ip in ((head, "127.0.0.41"), (node, "127.0.0.42"))
    ]
    assert script(node, "stop.sh").stdout.startswith("down: system b on 127.0.0.42")
    assert script(head, "stop.sh").stdout.startswith("down: head 127.0.0.41")
    assert len(processes) >= 6
    assert [pid for pid in processes if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE] == []
    assert not any(folder.exists() for folder in temp)
    assert script(head, "stop.sh").stdout == "nothing is up\n"

    assert script(other, "stop.sh", "--list").stdout.startswith("up: head 127.0.0.43")
    assert set(outsider) <= set(of_session(leader(other, "127.0.0.43")))


def test_a_wrong_token_is_one_line_and_leaves_nothing(hosts: Hosts, script: Script, free_ports: Callable[[int], int]) -> None:
    head, node = hosts("head"), hosts("node")
    port = free_ports(1)
    started = script(head, "start_head.sh", "--node-ip", "127.0.0.44", "--port", str(port), "--ports", ports(free_ports(20)))
    assert started.returncode == 0, started.stderr
    wrong = "f" * 64
    refused = script(
        node,
        "start_node.sh",
        *["--token-stdin", "--system", "b", "--address", f"127.0.0.44:{port}", "--node-ip", "127.0.0.45", "--ports", ports(free_ports(20))],
        given=wrong,
    )
    assert refused.returncode == 2
    assert refused.stderr.startswith("error: Ray did not start on 127.0.0.45: the head refuses this host's token; copy the head's")
    assert refused.stderr.count("\n") == 1
    assert wrong not in refused.stderr
    assert list(Path(node["TAIL_QUALITY_STATE"]).iterdir()) == []

    taken = script(node, "start_head.sh", "--node-ip", "127.0.0.46", "--port", str(port), "--ports", ports(free_ports(20)))
    assert taken.returncode == 2
    assert taken.stderr == f"error: port {port} of this host is taken; choose others with --ports or, for the head, --port\n"
