"""Four hosts out of this machine: what they are, and campaigns over them; one file, so that one process makes them once."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import venv
from collections.abc import Mapping, Sequence
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import numpy
import pytest
from four_hosts import SUPPORT, SYSTEMS, null, rounds_of, trials
from four_hosts import FourHosts as Hosts

from orchestrator.doctor.judge import NICENESS, graded

pytestmark = [pytest.mark.slow, pytest.mark.first]

QUOTAS = {"half-core": 0.5, "quarter-core": 0.25}
"""Where control groups are there; elsewhere nothing limits these hosts, and their trials say so."""

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


def test_each_host_has_a_name_a_label_cores_and_a_quota_of_its_own(four_hosts: Hosts) -> None:
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


def test_a_stranger_is_refused(four_hosts: Hosts) -> None:
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


def test_the_doctor_examines_all_hosts(four_hosts: Hosts) -> None:
    done = four_hosts.orchestrator("doctor", "--all", "--quiet", cwd=four_hosts.folder, COLUMNS="2000")
    assert done.stderr == ""
    rows = [cells for line in done.stdout.splitlines()[3:] if len(cells := re.split(r" {2,}", line.strip())) == 5]
    lines = {(host, what): (grade, seen) for host, what, grade, seen, _ in rows}
    assert done.returncode == int("bad" in {grade for grade, _ in lines.values()})
    assert len({host for host, _ in lines}) == 5
    niceness = os.getpriority(os.PRIO_PROCESS, 0)
    whats = {what for host, what in lines if host == "half-core"}
    for (_, what), (_, seen) in lines.items():
        if what == "clock offset":  # one machine has one clock
            offset_ms, half_trip_ms = map(float, re.findall(r"([+-]?\d+\.\d+) ms", seen)[:2])
            assert abs(offset_ms) <= half_trip_ms + 0.02  # both are rounded
    for host, system in SYSTEMS.items():
        grade, seen = lines[host, "node"]
        assert grade == "doubtful"  # all of them share a boot id
        assert f"labels system={system}" in seen
        assert {what for named, what in lines if named == host} == whats
        assert lines[host, "niceness"] == (graded(niceness, *NICENESS), str(niceness))
        assert lines[host, "pinning"][0] == "good"
        assert lines[host, "versions"][0] == "good"
        quota = (four_hosts.folder / f"{host}.cgroup").exists()
        assert lines[host, "CPU quota"][0] == ("doubtful" if quota else "good")
        assert not quota or lines[host, "CPU quota"][1].startswith(f"{QUOTAS[host]} cores")


def spans(folder: Path, system: str) -> list[tuple[int, int]]:
    """When each round of a system was timed, from the stored stamps; one machine's monotonic clock serves all four hosts."""
    rows = [row for record in trials(folder) if record["trial"]["system"]["name"] == system for row in rounds_of(folder, record)]
    return sorted((row["started_monotonic_ns"], row["started_monotonic_ns"] + row["duration_ns"]) for row in rows)


def overlap(one: Sequence[tuple[int, int]], other: Sequence[tuple[int, int]]) -> bool:
    return any(start < end and begin < stop for start, stop in one for begin, end in other)


def test_two_models_on_four_hosts(four_hosts: Hosts, tmp_path: Path) -> None:
    """A model from outside the package, shipped by ``code``, in two variants on one of the hosts."""
    (tmp_path / "conf" / "sweep").mkdir(parents=True)
    (tmp_path / "conf" / "sweep" / "two.yaml").write_text(
        f"axes:\n  system: {','.join(SYSTEMS.values())},half_core\n  model.sleep_ms: 3,3,3,3,4\npair: [[system, model.sleep_ms]]\n"
    )
    words = ["--config-dir", str(tmp_path / "conf"), *null(rounds=24)[:-1], "+sweep=two", "model=echo", "results_dir=r"]
    done = four_hosts.orchestrator(*words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    records = trials(tmp_path / "r")
    assert len(records) == 5
    for record in records:
        assert record["state"] == "done"
        assert SYSTEMS[record["placement"]["host"]] == record["trial"]["system"]["name"] == record["placement"]["labels"]["system"]
        assert record["placement"]["niceness"] == os.getpriority(os.PRIO_PROCESS, 0)
        assert record["placement"]["quota_cores"] in (None, QUOTAS.get(record["placement"]["host"]))
        assert [row["visit"] for row in rounds_of(tmp_path / "r", record)] == [number // 2 for number in range(24)]
    cores = {record["trial"]["system"]["name"]: record["placement"]["cores"] for record in records}
    assert len(cores["one_core"]) == len(cores["half_core"]) == 1
    timing = {system: spans(tmp_path / "r", system) for system in SYSTEMS.values()}
    for system, found in timing.items():
        assert len(found) == 24 * (1 + (system == "half_core")), system
        assert all(first[1] <= second[0] for first, second in pairwise(found)), f"two trials overlap on {system}"
    assert any(overlap(*both) for both in combinations(timing.values(), 2)), "machines never worked at the same time"


def test_the_log_of_a_server_on_another_host_comes_to_the_driver(four_hosts: Hosts, tmp_path: Path) -> None:
    command = f"server.command=['{{python}}','{SUPPORT / 'tiny_server.py'}','--port','{{port}}','--says','I run here']"
    words = [*null("two_cores"), "model=tiny_asked", "runtime=http_json", "server=tiny", "system.cores=1", command, "results_dir=r"]
    done = four_hosts.orchestrator(*words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (record,) = trials(tmp_path / "r")
    assert (record["state"], record["placement"]["host"]) == ("done", "two-cores")
    folder = tmp_path / "r" / "trials" / record["trial_id"]
    assert (folder / "server-0.log").read_text() == "I run here\n"


@pytest.fixture(scope="module")
def other_stack(four_hosts: Hosts, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Words for a campaign of two hosts that share a boot id; on one of them the system has an environment with another numpy."""
    folder = tmp_path_factory.mktemp("other stack")
    python = another_environment(folder / "other")
    (folder / "my_conf" / "system").mkdir(parents=True)
    (folder / "my_conf" / "system" / "other.yaml").write_text(
        f"name: other\ndevice: cpu\ncores: null\nthreads: null\nnuma: null\nlabels: {{system: half_core}}\npaths: {{}}\n"
        f"python: {python}\nexclusive: true\n"
    )
    return ["-m", "--config-dir", str(folder / "my_conf"), *null("one_core", "other"), "model=echo", "model.sleep_ms=5", "results_dir=r"]


def another_environment(folder: Path) -> Path:
    """Make a virtual environment that sees this one's packages and has another numpy before them."""
    venv.create(folder, with_pip=False)
    (site,) = folder.glob("lib/python*/site-packages")
    shared = Path(numpy.__file__).parents[1]
    (site / "this_environment.pth").write_text(f"{shared}\n")
    older = "numpy<2.3" if numpy.__version__ >= "2.3" else "numpy>=2.3"
    subprocess.run([sys.executable, "-m", "uv", "pip", "install", "--no-deps", "--target", site, older], check=True, capture_output=True)
    return folder / "bin" / "python"


def test_hosts_of_one_boot_id_take_turns_and_a_system_has_an_environment_of_its_own(
    four_hosts: Hosts, other_stack: list[str], tmp_path: Path
) -> None:
    done = four_hosts.orchestrator(*other_stack, cwd=tmp_path, machines="boot_id")
    assert done.returncode == 0, done.stderr
    assert not overlap(spans(tmp_path / "r", "one_core"), spans(tmp_path / "r", "other"))
    versions = {record["trial"]["system"]["name"]: record["stack"]["numpy"] for record in trials(tmp_path / "r")}
    assert versions["one_core"] == numpy.__version__
    assert versions["other"] != numpy.__version__


def test_a_mistake_is_one_line(four_hosts: Hosts, other_stack: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A wrong token, and stacks that differ where they must not: Ray itself says nothing, and no results are begun."""
    wrong_token = [*null("one_core"), "model=echo", "results_dir=r"]
    for words, changes in ((wrong_token, {"RAY_AUTH_TOKEN": "0" * 64}), ([*other_stack, "require_same_stack=true"], {})):
        done = four_hosts.orchestrator(*words, cwd=tmp_path, **changes)
        assert (done.returncode, len(done.stderr.strip().splitlines())) == (2, 1), done.stderr
        assert capfd.readouterr().err == ""
        assert not (tmp_path / "r").exists()
