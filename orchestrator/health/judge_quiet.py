"""Is the machine quiet? (pure)."""

from __future__ import annotations

from orchestrator.health.activity import Activity
from orchestrator.health.finding import Finding, graded, told, worst
from orchestrator.health.noise import Noise
from orchestrator.measurement.machine import format_cores

P99_RATIO = (1.10, 1.50)
MAX_RATIO = (2.0, 10.0)
STEAL_SHARE = (0.005, 0.05)
FOREIGN_SHARE = (0.02, 0.20)


def judge_noise(host: str, noise: Noise) -> Finding:
    """What the machine alone adds to the tail of a fixed piece of work is in every model's tail too."""
    p99, longest = noise.p99_ns / noise.median_ns, noise.max_ns / noise.median_ns
    return told(
        host,
        "noise floor",
        worst(graded(p99, *P99_RATIO), graded(longest, *MAX_RATIO)),
        f"p99 {p99:.2f}, longest {longest:.2f} times the median of {noise.median_ns / 1e6:.3g} ms "
        f"({noise.count} times SHA-256 of 1 MiB on core {noise.core})",
        "p99 at most 1.1 times the median (doubtful to 1.5), longest at most 2 times (doubtful to 10)",
        "tails of models will be at least this heavy; see the lines on load, quota, stolen time and frequency",
    )


def judge_steal(host: str, noise: Noise, is_virtual: bool) -> Finding:
    """Time that the host of a virtual machine gave to somebody else while ours wanted it."""
    share = noise.steal_ns / noise.duration_ns
    return told(
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
    return told(
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
    return told(
        host,
        "swap",
        "bad" if activity.swapped_in else "doubtful" if activity.swap_used_bytes else "good",
        f"{used_mib:.0f} MiB used, {activity.swapped_in} pages came back within a second",
        "0 bytes used (bad: more than 0 pages come back while nothing of ours runs)",
        "swapoff -a, and give the machine memory enough for its models",
    )
