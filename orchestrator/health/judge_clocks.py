"""Are the clocks good enough? (pure)."""

from __future__ import annotations

from orchestrator.health.clocks import Clocks, Offset
from orchestrator.health.finding import Finding, Grade, graded, told, worst

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
    return told(
        host,
        "timer",
        grade,
        f"{clocks.overhead_ns:.0f} ns a call, steps of {clocks.resolution_ns} ns, source {clocks.source or 'not told'}{backwards}",
        "a call takes at most 200 ns (doubtful to 2 us) and steps are at most 1 us (doubtful to 100 us); it never goes back",
        "where /sys/devices/system/clocksource offers tsc or kvm-clock, choose that",
    )


def judge_wall_clock(host: str, clocks: Clocks, offset: Offset | None) -> Finding:
    """Wall clocks date rounds and tell which of two hosts came first; no duration is taken from them."""
    resolution = graded(clocks.wall_resolution_ns or WALL_RESOLUTION_NS[1] + 1, *WALL_RESOLUTION_NS)
    steps = f"steps of {_short(clocks.wall_resolution_ns)}"
    if offset is None:
        return told(
            host,
            "clock offset",
            resolution,
            f"the driver's own clock; {steps}",
            "steps are at most 1 ms (doubtful to 20 ms)",
            "rounds that follow one another get equal dates; durations do not suffer",
        )
    return told(
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
