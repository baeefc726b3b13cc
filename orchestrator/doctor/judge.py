"""What was read of hosts, judged line by line (pure)."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from orchestrator.configuration.config import ClusterConfig, SystemConfig
from orchestrator.configuration.server import ServerSettings
from orchestrator.contracts import InputError
from orchestrator.doctor.readings import Clocks, Gpu, HostReading, Offset, read_host
from orchestrator.machine.cores import format_cores
from orchestrator.machine.host import Machine, cores_offered, is_device, server_cores_offered
from orchestrator.machine.turn import TurnState

Grade = Literal["good", "doubtful", "bad"]
GRADES: tuple[Grade, ...] = ("good", "doubtful", "bad")


@dataclass(frozen=True)
class Diagnosis:
    """One line of the answer. ``why`` is the rule with its number, and the remedy where one is needed."""

    host: str
    what: str
    grade: Grade
    seen: str
    why: str


def graded(value: float, good: float, doubtful: float) -> Grade:
    """Return ``good`` up to one bound, ``doubtful`` up to the next, and ``bad`` beyond."""
    if value <= good:
        return "good"
    return "doubtful" if value <= doubtful else "bad"


def worst(*grades: Grade) -> Grade:
    """Return the worst of several grades."""
    return max(grades, key=GRADES.index)


@dataclass(frozen=True)
class Examined:
    """What is known of one node.

    name
        its name for people: address and labels.
    node_id, labels, address
        of the Ray node; empty for this machine without Ray.
    is_own
        whether the driver runs there.
    python
        the interpreter that did the reading, where a system has one of its own.
    reading
        None where the node could not be read; ``failure`` says why.
    offset
        of its wall clock, None on this machine without Ray.
    """

    name: str
    node_id: str = ""
    address: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    is_own: bool = False
    python: str | None = None
    reading: HostReading | None = None
    offset: Offset | None = None
    failure: str = ""


def host_names(nodes: Sequence[Examined]) -> list[str]:
    """Return the name of each for the table: its host's, with the node's address or the interpreter if two would be equal."""
    names = [node.reading.machine.host if node.reading else node.name for node in nodes]
    for additions in ([node.address for node in nodes], [node.python or "" for node in nodes]):
        pairs = zip(names, additions, strict=True)
        names = [f"{name} {addition}".strip() if names.count(name) > 1 else name for name, addition in pairs]
    return names


# By what is looked at: the rule with its number, and the remedy.
RULES = {
    "node": ("good is a node that answers, has a label or is the driver's own, and whose boot id no other has", ""),
    "versions": ("0 differences from the driver's", "install the same, or compare the systems as they are"),
    "timer": (
        "a call takes at most 200 ns (doubtful to 2 us), its resolution is at most 1 us (doubtful to 100 us); it never goes back",
        "where /sys/devices/system/clocksource offers tsc or kvm-clock, choose that",
    ),
    "the driver's own clock": (
        "its resolution is at most 1 ms (doubtful to 20 ms)",
        "rounds that follow one another get equal dates; durations do not suffer",
    ),
    "clock offset": (
        "for certain within 100 ms (bad: for certain beyond 1 s), resolution at most 1 ms (doubtful to 20 ms)",
        "keep all hosts' clocks with NTP (chrony); rounds of two hosts are ordered by them, durations do not suffer",
    ),
    "cores": (
        "at least 2, so that Ray, the driver and the system's services have one that is not timed",
        "give the node more cores; the affinity of the shell that starts it is what it gets",
    ),
    "pinning": (
        "the mask of 1 core reads back, and the kernel sees the thread on that core",
        "allow sched_setaffinity in the container or sandbox; trials that are not pinned certify no deadline",
    ),
    "hyper-threads": (
        "0 siblings: each allowed core has its physical core for itself",
        "list one thread of each core in system.cores and keep the other idle, or turn SMT off",
    ),
    "governor": ("performance on every allowed core", "cpupower frequency-set -g performance"),
    "turbo": (
        "off, because its frequency depends on heat and on the other cores",
        "turn it off (no_turbo or boost below /sys/devices/system/cpu), or take it as part of the system",
    ),
    "noise floor": (
        "p99 at most 1.1 times the median (doubtful to 1.5), longest at most 2 times (doubtful to 10)",
        "tails of models will be at least this heavy; see the lines on load, quota, stolen time and frequency",
    ),
    "foreign load": (
        "others take at most 2% of the allowed cores (doubtful to 20%)",
        "end them, or move them to cores that are not timed",
    ),
    "CPU quota": (
        "0 quotas: a process with a used-up quota stands still until the period ends",
        "limit by cores instead, unless the quota is what this system is about",
    ),
    "stolen time": (
        "at most 0.5% while the core was busy (doubtful to 5%)",
        "take a machine of your own, or dedicated cores",
    ),
    "swap": (
        "0 bytes used (bad: more than 0 pages come back while nothing of ours runs)",
        "swapoff -a, and give the machine memory enough for its models",
    ),
    "niceness": (
        "at most 0 (doubtful to 9): processes of less niceness go first",
        "start the node with RAY_worker_niceness=0 in its environment, and not under nice",
    ),
    "turn": (
        "campaigns of all users take turns; the turn is free (bad: it cannot be taken)",
        "have the administrator make a folder with `install -d -m 1777 FOLDER`, and name it in ORCHESTRATOR_LOCK_DIR",
    ),
    "GPU": (
        "0 foreign processes compute on it, and persistence mode is on",
        "end what nvidia-smi lists; nvidia-smi -pm 1",
    ),
    "throttling": (
        "0 reasons beyond idleness or clocks that were set (bad: heat, hardware slowdown, power brake)",
        "see nvidia-smi -q -d PERFORMANCE; cool it, or raise or fix its limits",
    ),
}
RAY_LABELS = "ray.io/"
# Characters of a boot id that are shown.
SHORT = 8
OVERHEAD_NS, RESOLUTION_NS, WALL_RESOLUTION_NS = (200, 2_000), (1_000, 100_000), (1_000_000, 20_000_000)
OFFSET_NS = (100_000_000, 1_000_000_000)
NICENESS = (0, 9)
P99_RATIO, MAX_RATIO = (1.10, 1.50), (2.0, 10.0)
STEAL_SHARE, FOREIGN_SHARE = (0.005, 0.05), (0.02, 0.20)
# NVML's bit of an idle GPU.
IDLE = 0x1
# NVML's other reasons for a lower clock.
REASONS: dict[int, tuple[str, Grade]] = {
    0x2: ("clocks set by an application", "good"),
    0x4: ("power cap", "doubtful"),
    0x8: ("hardware slowdown", "bad"),
    0x10: ("sync boost", "doubtful"),
    0x20: ("too hot (software)", "bad"),
    0x40: ("too hot (hardware)", "bad"),
    0x80: ("power brake", "bad"),
    0x100: ("display clocks", "doubtful"),
}


def diagnosis(host: str, what: str, grade: Grade, rule: str = "", remedy: str | None = None, **facts: Any) -> Diagnosis:
    """Return a finding with its words, those of the ``rule`` of another name where it has one; the remedy only where one is needed.

    What was seen is the sentence of that name in ``sentences.j2``, filled with ``facts``.
    """
    from orchestrator.report.html import said  # hosts that are read judge nothing

    told, usual = RULES[rule or what]
    seen = said("orchestrator.doctor", re.sub(r"\W", "_", rule or what), cores=format_cores, **facts)
    return Diagnosis(host, what, grade, seen, told if grade == "good" else f"{told}; {usual if remedy is None else remedy}")


def judge_here(cluster: ClusterConfig, systems: Sequence[SystemConfig], server: ServerSettings) -> list[Diagnosis]:
    """Read this machine in this process, and judge it. Starts no Ray."""
    reading = read_host()
    machine = reading.machine
    of_host = judge_all([Examined(machine.host, is_own=True, reading=reading)], cluster.machines, machine.versions)
    return [*of_host, *(found for system in systems for found in judge_place(machine.host, system, server, machine))]


def judge_all(nodes: Sequence[Examined], machines: Literal["boot_id", "node"], reference: Mapping[str, str]) -> Iterator[Diagnosis]:
    """Yield the lines of every node; ``reference`` are the versions of the driver."""
    hosts = host_names(nodes)
    for host, node in zip(hosts, nodes, strict=True):
        others = {
            name: other.reading.machine.boot_id
            for name, other in zip(hosts, nodes, strict=True)
            if other.reading is not None and other.node_id != node.node_id  # a node that was read twice is one
        }
        yield judge_node(host, node, others, machines)
        if node.reading is not None:
            yield judge_wall_clock(host, node.reading.clocks, node.offset)
            yield from judge_reading(host, node.reading)
            yield judge_versions(host, node.reading.machine.versions, reference)


def judge_reading(host: str, reading: HostReading) -> Iterator[Diagnosis]:
    """Yield the lines that one machine's reading alone decides."""
    yield judge_timer(host, reading.clocks)
    yield from _of_processor(host, reading)
    yield from _of_activity(host, reading)
    # Any process with less niceness goes first.
    yield diagnosis(host, "niceness", graded(reading.niceness, *NICENESS), reading=reading)
    yield judge_turn(host, reading.turn)
    if not reading.gpus:
        yield Diagnosis(host, "GPUs", "good", "none", "0 is enough for systems of device cpu")
    for gpu in reading.gpus:
        yield from _of_gpu(host, gpu)


def judge_node(host: str, node: Examined, others: Mapping[str, str], machines: Literal["boot_id", "node"]) -> Diagnosis:
    """A node must be up, a system must be able to name it, and it should be a machine of its own.

    ``others`` are the boot ids of the other nodes by their hosts.
    """
    if node.reading is None:
        return Diagnosis(host, "node", "bad", node.failure, "0 failures: it answers, and runs our code")
    boot_id = node.reading.machine.boot_id
    labels = ", ".join(f"{key}={value}" for key, value in sorted(node.labels.items()) if not key.startswith(RAY_LABELS))
    sharing = sorted(name for name, theirs in others.items() if theirs == boot_id)
    remedies = [] if labels or node.is_own else ["no system can name it: start it with --system NAME"]
    if sharing:
        turns = "their trials take turns", "cluster.machines=node times them at once all the same: for demonstrations"
        remedies.append(turns[machines == "node"])
    facts: dict[str, Any] = {"node": node, "labels": labels, "boot_id": boot_id[:SHORT], "sharing": sharing}
    return diagnosis(host, "node", "doubtful" if remedies else "good", remedy="; ".join(remedies), **facts)


def judge_versions(host: str, versions: Mapping[str, str], reference: Mapping[str, str]) -> Diagnosis:
    """Systems of other versions are other systems: which one is faster may be the version's doing."""
    differing = [
        f"{name} {versions.get(name, 'none')} and not {reference.get(name, 'none')}"
        for name in sorted({*versions, *reference})
        if versions.get(name) != reference.get(name)
    ]
    return diagnosis(host, "versions", "doubtful" if differing else "good", differing=differing, same=versions)


def judge_place(host: str, system: SystemConfig, server: ServerSettings, machine: Machine) -> Iterator[Diagnosis]:
    """Yield whether a machine has what a system asks for and, where a server would be started beside its client, cores for that."""
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
    seen = "; ".join(problems) or f"cores {format_cores(cores)}, device {system.device}"
    rule = "the host has its labels, cores and device: 0 are missing"
    yield Diagnosis(host, f"system {system.name}", "bad" if problems else "good", seen, rule)
    if server.is_started:
        grade: Grade = "good"
        try:
            own = server_cores_offered(server, system, machine.cores, machine.numa, machine.host)
            seen = f"cores {format_cores(own)}; its client has {format_cores(cores)}"
        except InputError as error:
            grade, seen = "bad", str(error)
        yield Diagnosis(host, f"server {server.name}", grade, seen, "the server has cores of its own: 0 of them are its client's")


def judge_timer(host: str, clocks: Clocks) -> Diagnosis:
    """Four readings of the timer go into every sample."""
    grade = worst(
        graded(clocks.overhead_ns, *OVERHEAD_NS),
        # A timer that never moved resolves nothing.
        graded(clocks.resolution_ns or RESOLUTION_NS[1] + 1, *RESOLUTION_NS),
        "bad" if clocks.backwards else "good",
    )
    return diagnosis(host, "timer", grade, clocks=clocks)


def judge_wall_clock(host: str, clocks: Clocks, offset: Offset | None) -> Diagnosis:
    """Wall clocks date rounds and show which of two hosts came first; no duration is taken from them."""
    grade = graded(clocks.wall_resolution_ns or WALL_RESOLUTION_NS[1] + 1, *WALL_RESOLUTION_NS)
    if offset is None:
        return diagnosis(host, "clock offset", grade, rule="the driver's own clock", clocks=clocks)
    nearest_ns, farthest_ns = abs(offset.offset_ns) - offset.half_trip_ns, abs(offset.offset_ns) + offset.half_trip_ns
    certain: Grade = "good" if farthest_ns <= OFFSET_NS[0] else "bad" if nearest_ns > OFFSET_NS[1] else "doubtful"
    return diagnosis(host, "clock offset", worst(grade, certain), clocks=clocks, offset=offset)


def _of_processor(host: str, reading: HostReading) -> Iterator[Diagnosis]:
    """Yield whether a timed process gets whole cores of one steady speed."""
    processor, noise = reading.processor, reading.noise
    # A core beyond the model's takes what is not timed.
    yield diagnosis(host, "cores", "good" if len(processor.cores) >= 2 else "doubtful", reading=reading)
    pinned: Grade = "good" if noise.read_back and noise.ran_on in (noise.core, None) else "doubtful"
    if noise.read_back and (noise.refused or noise.read_back != (noise.core,)):
        pinned = "bad"
    yield diagnosis(host, "pinning", pinned, reading=reading)
    # Two hyper-threads of one core take each other's time.
    yield diagnosis(host, "hyper-threads", "doubtful" if processor.siblings else "good", reading=reading)
    # Any governor but ``performance`` changes the frequency while a round runs; turbo frequencies depend on heat and on the other cores.
    remedy = None if processor.governors else "the host's operator sets the frequency; the noise floor shows the effect"
    yield diagnosis(host, "governor", "good" if processor.governors == ("performance",) else "doubtful", remedy=remedy, reading=reading)
    yield diagnosis(host, "turbo", "good" if processor.turbo is False else "doubtful", reading=reading)


def _of_activity(host: str, reading: HostReading) -> Iterator[Diagnosis]:
    """Yield what the machine alone adds to times, which is in every model's tail too, and who takes the cores."""
    noise, activity = reading.noise, reading.activity
    spread = worst(graded(noise.p99_ns / noise.median_ns, *P99_RATIO), graded(noise.max_ns / noise.median_ns, *MAX_RATIO))
    yield diagnosis(host, "noise floor", spread, reading=reading)
    yield diagnosis(host, "foreign load", graded(activity.foreign_share, *FOREIGN_SHARE), reading=reading)
    yield diagnosis(host, "CPU quota", "good" if reading.quota is None else "doubtful", reading=reading)
    yield diagnosis(host, "stolen time", graded(noise.steal_ns / noise.duration_ns, *STEAL_SHARE), reading=reading)
    # A page that comes back from swap costs milliseconds.
    swapped: Grade = "bad" if activity.swapped_in else "doubtful" if activity.swap_used_bytes else "good"
    yield diagnosis(host, "swap", swapped, reading=reading)


def judge_turn(host: str, turn: TurnState) -> Diagnosis:
    """The turn keeps campaigns from measuring at the same time: those of one user, or those of all."""
    if turn.problem is not None:
        return diagnosis(host, "turn", "bad", remedy="no campaign can measure here", turn=turn)
    if turn.holder is not None:
        return diagnosis(host, "turn", "doubtful", remedy="a campaign waits until it ends", turn=turn)
    return diagnosis(host, "turn", "good" if turn.every_user else "doubtful", turn=turn)


def _of_gpu(host: str, gpu: Gpu) -> Iterator[Diagnosis]:
    """Yield whether a GPU is shared or unloaded by its driver between uses, and whether it is throttled while idle."""
    shared: Grade = "doubtful" if gpu.processes is None else "bad" if gpu.processes else "good"
    yield diagnosis(host, f"GPU {gpu.index}", worst("good" if gpu.persistence else "doubtful", shared), rule="GPU", gpu=gpu)
    mask = gpu.throttle_reasons or 0
    known = [reason for bit, reason in REASONS.items() if mask & bit]
    unknown = mask & ~(IDLE | sum(REASONS))
    names = [name for name, _ in known] + ([f"reasons {unknown:#x}"] if unknown else [])
    doubt: Grade = "doubtful" if unknown or gpu.throttle_reasons is None else "good"
    grade = worst(doubt, *(grade for _, grade in known))
    yield diagnosis(host, f"GPU {gpu.index} throttling", grade, rule="throttling", gpu=gpu, names=names)
