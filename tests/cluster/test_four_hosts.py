import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

SYSTEMS = {"two-cores": "two_cores", "one-core": "one_core", "half-core": "half_core", "quarter-core": "quarter_core"}
QUOTAS = {"half-core": 0.5, "quarter-core": 0.25}

DRIVER = """
import json, os, socket
import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

ray.init(address=os.environ["TAIL_QUALITY_ADDRESS"], log_to_driver=False, configure_logging=False)

@ray.remote(num_cpus=0)
def probe():
    return {
        "host": socket.gethostname(), "cores": sorted(os.sched_getaffinity(0)), "groups": open("/proc/self/cgroup").read(),
        "niceness": os.getpriority(os.PRIO_PROCESS, 0), "interfaces": sorted(name for _, name in socket.if_nameindex()),
    }

nodes = {node["Labels"].get("system"): node for node in ray.nodes() if node["Alive"]}
places = {system: NodeAffinitySchedulingStrategy(node["NodeID"], soft=False) for system, node in nodes.items() if system is not None}
seen = {system: probe.options(scheduling_strategy=place).remote() for system, place in places.items()}
listed = {system: (node["NodeManagerHostname"], node["NodeManagerAddress"]) for system, node in nodes.items()}
print("answer:", json.dumps({"head": listed.pop(None), "listed": listed, "seen": {system: ray.get(found) for system, found in seen.items()}}))
"""

LIST = """
import os
from ray._raylet import GcsClient  # no public name asks a cluster for its nodes without joining it

GcsClient(address=os.environ["TAIL_QUALITY_ADDRESS"]).get_all_node_info(timeout=30)
"""


def python(script: str, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """A program on the head. Each has a process of its own, because Ray reads how it is to identify itself once in the life of one."""
    return subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False)


def test_each_host_has_a_name_a_label_cores_and_a_quota_of_its_own(four_hosts: Any) -> None:
    done = python(DRIVER, four_hosts.environment)
    assert done.returncode == 0, done.stderr
    [line] = [line for line in done.stdout.splitlines() if line.startswith("answer: ")]  # Ray writes there too, at any time
    answer = json.loads(line.removeprefix("answer: "))
    assert {host: system for system, (host, _) in answer["listed"].items()} == SYSTEMS
    assert answer["head"] == [socket.gethostname(), four_hosts.address.partition(":")[0]]

    available = os.sched_getaffinity(0)
    for host, system in SYSTEMS.items():
        seen = answer["seen"][system]
        assert seen["host"] == host
        assert len(seen["cores"]) == min(2 if host == "two-cores" else 1, len(available))
        assert set(seen["cores"]) <= available
        assert seen["niceness"] == os.getpriority(os.PRIO_PROCESS, 0)
        assert seen["interfaces"] == ["eth0", "lo"]
        recorded = four_hosts.folder / f"{host}.cgroup"
        if recorded.exists():  # some machines have no control groups for processor time
            group = Path(recorded.read_text().strip())
            assert group.name in seen["groups"]
            assert quota_of(group) == QUOTAS[host]


def quota_of(group: Path) -> float:
    if (group / "cpu.max").exists():
        quota, period = (group / "cpu.max").read_text().split()
    else:
        quota, period = ((group / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
    return int(quota) / int(period)


def test_a_stranger_is_refused(four_hosts: Any) -> None:
    """One without a token; what a wrong one gets is among the mistakes of a campaign."""
    done = python(LIST, {**four_hosts.environment, "RAY_AUTH_MODE": "disabled"})
    assert done.returncode == 1
    assert "AuthenticationError" in done.stderr
    assert (four_hosts.folder / "token").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL])
def test_half_made_hosts_are_removed(hosts_script: Path, traces_of: Any, tmp_path: Path, sent: signal.Signals) -> None:
    folder = tmp_path / "half made"
    environment = {**os.environ, "PYTHON": sys.executable}
    # A shell cannot trap what was ignored when it began, as SIGINT is in the background of another.
    command = ["env", "--default-signal=INT", hosts_script, "up", folder]
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as making:
        while not (folder / "head.log").exists() and making.poll() is None:
            time.sleep(0.01)
        traces = traces_of.of(folder)
        # Again and again: now and then bash loses an interrupt that comes in the very moment a child of its ends.
        while making.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                making.send_signal(sent)
            time.sleep(1)
    assert making.returncode == (-signal.SIGKILL if sent == signal.SIGKILL else 128 + sent)
    assert bool(traces.left()) == (sent == signal.SIGKILL)
    for _ in range(2):
        subprocess.run([hosts_script, "down", folder], check=True, env=environment)
        assert traces.left() == []
    assert not folder.exists()
