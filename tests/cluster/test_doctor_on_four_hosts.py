import os
import re
from typing import Any

import pytest

from orchestrator.doctor.judge import NICENESS, graded

pytestmark = pytest.mark.slow

SYSTEMS = {"two-cores": "two_cores", "one-core": "one_core", "half-core": "half_core", "quarter-core": "quarter_core"}
QUOTAS = {"half-core": "0.5 cores", "quarter-core": "0.25 cores"}


def doctor(hosts: Any, *words: str, machines: str) -> tuple[int, dict[tuple[str, str], tuple[str, str]]]:
    """The exit code, and grade and value of every line by host and what was looked at."""
    done = hosts.orchestrator("doctor", "--all", "--quiet", *words, machines=machines, cwd=hosts.folder, COLUMNS="2000")
    assert done.stderr == ""
    rows = [cells for line in done.stdout.splitlines()[3:] if len(cells := re.split(r" {2,}", line.strip())) == 5]
    return done.returncode, {(host, what): (grade, seen) for host, what, grade, seen, _ in rows}


def test_all_hosts_are_examined(four_hosts: Any) -> None:
    code, lines = doctor(four_hosts, machines="node")
    assert code == int("bad" in {grade for grade, _ in lines.values()})
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
        assert not quota or lines[host, "CPU quota"][1].startswith(QUOTAS[host])
