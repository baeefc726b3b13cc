"""All lines of one command, host by host (pure)."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from orchestrator.doctor.findings import Examined, Finding, Grade, HostReading, finding, graded, host_names, worst
from orchestrator.doctor.judge_cluster import boot_ids, judge_node, judge_timer, judge_versions, judge_wall_clock
from orchestrator.doctor.judge_machine import (
    judge_cores,
    judge_governor,
    judge_gpus,
    judge_niceness,
    judge_pinning,
    judge_quota,
    judge_siblings,
    judge_turbo,
)
from orchestrator.doctor.noise import Activity, Noise
from orchestrator.machine.cores import format_cores
from orchestrator.machine.turn import TurnState

REMEDY = "have the administrator make a folder with `install -d -m 1777 FOLDER`, and name it in ORCHESTRATOR_LOCK_DIR"


def judge_turn(host: str, turn: TurnState) -> Finding:
    """The turn keeps campaigns from measuring at the same time: those of one user, or those of all."""
    among = "among all users" if turn.every_user else "among this user's campaigns"
    grade: Grade = "good" if turn.every_user else "doubtful"
    seen = f"taken {among}, in {turn.folder}; {f'{turn.holder} measures now' if turn.holder else 'it is free'}"
    remedy = REMEDY
    if turn.problem is not None:
        grade, seen, remedy = "bad", turn.problem, "no campaign can measure here"
    elif turn.holder is not None:
        grade, remedy = "doubtful", "a campaign waits until it ends"
    return finding(host, "turn", grade, seen, "campaigns of all users take turns; the turn is free (bad: it cannot be taken)", remedy)


P99_RATIO = (1.10, 1.50)
MAX_RATIO = (2.0, 10.0)
STEAL_SHARE = (0.005, 0.05)
FOREIGN_SHARE = (0.02, 0.20)


def judge_noise(host: str, noise: Noise) -> Finding:
    """What the machine alone adds to the tail of a fixed piece of work is in every model's tail too."""
    p99, longest = noise.p99_ns / noise.median_ns, noise.max_ns / noise.median_ns
    return finding(
        host,
        "noise floor",
        worst(graded(p99, *P99_RATIO), graded(longest, *MAX_RATIO)),
        f"p99 {p99:.2f}, longest {longest:.2f} times the median of {noise.median_ns / 1e6:.3g} ms "
        f"({noise.count} times SHA-256 of 1 MiB on core {noise.core})",
        "p99 at most 1.1 times the median (doubtful to 1.5), longest at most 2 times (doubtful to 10)",
        "tails of models will be at least this heavy; see the lines on load, quota, stolen time and frequency",
    )


def judge_steal(host: str, noise: Noise, is_virtual: bool) -> Finding:
    """Time that a virtual machine's host gave to others while ours wanted it."""
    share = noise.steal_ns / noise.duration_ns
    return finding(
        host,
        "stolen time",
        graded(share, *STEAL_SHARE),
        f"{share:.1%} of {noise.duration_ns / 1e9:.1f} s on core {noise.core}, {'a' if is_virtual else 'no'} virtual machine",
        "at most 0.5% while the core was busy (doubtful to 5%)",
        "take a machine of your own, or dedicated cores",
    )


def judge_load(host: str, activity: Activity) -> Finding:
    """What others do on the allowed cores while we sleep."""
    named = ", ".join(f"{name} {share:.0%} of a core" for name, share in activity.busiest)
    return finding(
        host,
        "foreign load",
        graded(activity.foreign_share, *FOREIGN_SHARE),
        f"{activity.foreign_share:.1%} of cores {format_cores(activity.cores)}{f' ({named})' if named else ''}; load {activity.load:.2f}",
        "others take at most 2% of the allowed cores (doubtful to 20%)",
        "end them, or move them to cores that are not timed",
    )


def judge_swap(host: str, activity: Activity) -> Finding:
    """A page that comes back from swap costs milliseconds."""
    used_mib = activity.swap_used_bytes / 2**20
    return finding(
        host,
        "swap",
        "bad" if activity.swapped_in else "doubtful" if activity.swap_used_bytes else "good",
        f"{used_mib:.0f} MiB used, {activity.swapped_in} pages came back within a second",
        "0 bytes used (bad: more than 0 pages come back while nothing of ours runs)",
        "swapoff -a, and give the machine memory enough for its models",
    )


def judge_all(nodes: Sequence[Examined], machines: Literal["boot_id", "node"], reference: Mapping[str, str]) -> Iterator[Finding]:
    """Yield the lines of every node.

    Parameters
    ----------
    reference
        versions of the driver.
    """
    hosts = host_names(nodes)
    for number, (host, node) in enumerate(zip(hosts, nodes, strict=True)):
        yield judge_node(host, node, boot_ids(hosts, nodes, number), machines)
        if node.reading is not None:
            yield judge_wall_clock(host, node.reading.clocks, node.offset)
            yield from judge_reading(host, node.reading)
            yield judge_versions(host, node.reading.machine.versions, reference)


def judge_reading(host: str, reading: HostReading) -> Iterator[Finding]:
    """Yield the lines that one machine's reading alone decides."""
    yield judge_timer(host, reading.clocks)
    yield judge_cores(host, reading.processor)
    yield judge_pinning(host, reading.noise)
    yield judge_siblings(host, reading.processor)
    yield judge_governor(host, reading.processor)
    yield judge_turbo(host, reading.processor)
    yield judge_noise(host, reading.noise)
    yield judge_load(host, reading.activity)
    yield judge_quota(host, reading.quota)
    yield judge_steal(host, reading.noise, reading.processor.is_virtual)
    yield judge_swap(host, reading.activity)
    yield judge_niceness(host, reading.niceness)
    yield judge_turn(host, reading.turn)
    yield from judge_gpus(host, reading.gpus)
