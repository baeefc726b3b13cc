"""What only several machines together, or a system and its machine, can show (pure)."""

from collections.abc import Mapping, Sequence
from typing import Literal

from orchestrator.configuration.config import SystemConfig
from orchestrator.configuration.server import ServerSettings
from orchestrator.contracts import InputError
from orchestrator.doctor.clocks import Clocks, Offset
from orchestrator.doctor.findings import Examined, Finding, Grade, finding, graded, worst
from orchestrator.machine.cores import format_cores
from orchestrator.machine.host import Machine, cores_offered, is_device, server_cores_offered

RAY_LABELS = "ray.io/"
SHORT = 8
"""Characters of a boot id that are shown."""


def judge_node(host: str, node: Examined, others: Mapping[str, str], machines: Literal["boot_id", "node"]) -> Finding:
    """A node must be up, a system must be able to name it, and it should be a machine of its own.

    Parameters
    ----------
    others
        boot ids of the other nodes by their hosts.
    """
    if node.reading is None:
        return Finding(host, "node", "bad", node.failure, "0 failures: it answers, and runs our code")
    boot_id = node.reading.machine.boot_id
    labels = ", ".join(f"{key}={value}" for key, value in sorted(node.labels.items()) if not key.startswith(RAY_LABELS))
    sharing = sorted(name for name, theirs in others.items() if theirs == boot_id)
    grade: Grade = "doubtful" if sharing or not (labels or node.is_own) else "good"
    remedies = [] if labels or node.is_own else ["no system can name it: start it with --system NAME"]
    if sharing and machines == "node":
        remedies.append("cluster.machines=node times them at once all the same: for demonstrations")
    elif sharing:
        remedies.append("their trials take turns")
    parts = [node.address, f"labels {labels or 'none'}" if node.node_id else "", f"boot id {boot_id[:SHORT]}"]
    if sharing:
        parts.append(f"the same as {', '.join(sharing)}")
    rule = "good is a node that answers, has a label or is the driver's own, and whose boot id no other has"
    return finding(host, "node", grade, ", ".join(filter(None, parts)), rule, "; ".join(remedies))


def judge_versions(host: str, versions: Mapping[str, str], reference: Mapping[str, str]) -> Finding:
    """Systems of other versions are other systems: which one is faster may be the version's doing."""
    names = sorted({*versions, *reference})
    differing = [
        f"{name} {versions.get(name, 'none')} and not {reference.get(name, 'none')}"
        for name in names
        if versions.get(name) != reference.get(name)
    ]
    return finding(
        host,
        "versions",
        "doubtful" if differing else "good",
        "; ".join(differing) or ", ".join(f"{name} {version}" for name, version in versions.items()),
        "0 differences from the driver's",
        "install the same, or compare the systems as they are",
    )


def judge_system(host: str, system: SystemConfig, machine: Machine) -> Finding:
    """A machine must have what the system asks for."""
    problems = []
    cores: tuple[int, ...] = ()
    try:
        cores = cores_offered(system, machine.cores, machine.numa, machine.host)
    except InputError as error:
        problems.append(str(error))
    if not all(any(is_device(wanted, known) for known in machine.devices) for wanted in system.gpus):
        problems.append(f"system.device={system.device}: there is {', '.join(['cpu', *machine.devices])}")
    lacking = [f"{key}={value}" for key, value in system.labels.items() if machine.labels.get(key) != value]
    if lacking:
        problems.append(f"system.labels: {', '.join(lacking)} is not here; join a cluster with cluster=address")
    return Finding(
        host,
        f"system {system.name}",
        "bad" if problems else "good",
        "; ".join(problems) or f"cores {format_cores(cores)}, device {system.device}",
        "the host has its labels, cores and device: 0 are missing",
    )


def judge_place(host: str, system: SystemConfig, server: ServerSettings, machine: Machine) -> list[Finding]:
    """Return the line of a system and, where a server would be started beside its client, that of the server."""
    return [judge_system(host, system, machine), *([judge_server(host, server, system, machine)] if server.is_started else [])]


def judge_server(host: str, server: ServerSettings, system: SystemConfig, machine: Machine) -> Finding:
    """A server that is started must have cores that its client has not."""
    try:
        cores = server_cores_offered(server, system, machine.cores, machine.numa, machine.host)
        client = cores_offered(system, machine.cores, machine.numa, machine.host)
        grade: Grade = "good"
        seen = f"cores {format_cores(cores)}; its client has {format_cores(client)}"
    except InputError as error:
        grade, seen = "bad", str(error)
    return Finding(host, f"server {server.name}", grade, seen, "the server has cores of its own: 0 of them are its client's")


def missing_system(system: SystemConfig, reason: str) -> Finding:
    """Return the line of a system that no node, or more than one, stands for."""
    return Finding("-", f"system {system.name}", "bad", reason, "exactly 1 node has its labels")


def boot_ids(hosts: Sequence[str], nodes: Sequence[Examined], own: int) -> dict[str, str]:
    """Return the boot ids of the nodes other than number ``own``, by host; a node that was read twice is one."""
    return {
        host: node.reading.machine.boot_id
        for host, node in zip(hosts, nodes, strict=True)
        if node.reading is not None and node.node_id != nodes[own].node_id
    }


OVERHEAD_NS = (200, 2_000)
RESOLUTION_NS = (1_000, 100_000)
WALL_RESOLUTION_NS = (1_000_000, 20_000_000)
OFFSET_NS = (100_000_000, 1_000_000_000)


def judge_timer(host: str, clocks: Clocks) -> Finding:
    """Four readings of the timer go into every sample."""
    grade = worst(
        graded(clocks.overhead_ns, *OVERHEAD_NS),
        # A timer that never moved resolves nothing.
        graded(clocks.resolution_ns or RESOLUTION_NS[1] + 1, *RESOLUTION_NS),
        "bad" if clocks.backwards else "good",
    )
    backwards = f", went back {clocks.backwards} times" if clocks.backwards else ""
    return finding(
        host,
        "timer",
        grade,
        f"{clocks.overhead_ns:.0f} ns a call, steps of {clocks.resolution_ns} ns, source {clocks.source or 'unknown'}{backwards}",
        "a call takes at most 200 ns (doubtful to 2 us) and steps are at most 1 us (doubtful to 100 us); it never goes back",
        "where /sys/devices/system/clocksource offers tsc or kvm-clock, choose that",
    )


def judge_wall_clock(host: str, clocks: Clocks, offset: Offset | None) -> Finding:
    """Wall clocks date rounds and show which of two hosts came first; no duration is taken from them."""
    resolution = graded(clocks.wall_resolution_ns or WALL_RESOLUTION_NS[1] + 1, *WALL_RESOLUTION_NS)
    steps = f"steps of {_short(clocks.wall_resolution_ns)}"
    if offset is None:
        return finding(
            host,
            "clock offset",
            resolution,
            f"the driver's own clock; {steps}",
            "steps are at most 1 ms (doubtful to 20 ms)",
            "rounds that follow one another get equal dates; durations do not suffer",
        )
    return finding(
        host,
        "clock offset",
        worst(resolution, _offset_grade(offset)),
        f"{offset.offset_ns / 1e6:+.2f} ms +- {offset.half_trip_ns / 1e6:.2f} ms against the driver; {steps}",
        "for certain within 100 ms (bad: for certain beyond 1 s), steps at most 1 ms (doubtful to 20 ms)",
        "keep all hosts' clocks with NTP (chrony); rounds of two hosts are ordered by them, durations do not suffer",
    )


def _offset_grade(offset: Offset) -> Grade:
    nearest_ns, farthest_ns = abs(offset.offset_ns) - offset.half_trip_ns, abs(offset.offset_ns) + offset.half_trip_ns
    if farthest_ns <= OFFSET_NS[0]:
        return "good"
    return "bad" if nearest_ns > OFFSET_NS[1] else "doubtful"


def _short(ns: int) -> str:
    if ns < 1_000:
        return f"{ns} ns"
    return f"{ns / 1_000:g} us" if ns < 1_000_000 else f"{ns / 1_000_000:g} ms"
