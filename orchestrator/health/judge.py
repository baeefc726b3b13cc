"""All lines of one command, host by host (pure)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from orchestrator.health.examined import Examined, host_names
from orchestrator.health.finding import Finding
from orchestrator.health.judge_clocks import judge_timer, judge_wall_clock
from orchestrator.health.judge_cluster import boot_ids, judge_node, judge_versions
from orchestrator.health.judge_gpus import judge_gpus
from orchestrator.health.judge_processor import (
    judge_cores,
    judge_governor,
    judge_niceness,
    judge_pinning,
    judge_quota,
    judge_siblings,
    judge_turbo,
)
from orchestrator.health.judge_quiet import judge_load, judge_noise, judge_steal, judge_swap
from orchestrator.health.judge_turn import judge_turn
from orchestrator.health.reading import Reading


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


def judge_reading(host: str, reading: Reading) -> Iterator[Finding]:
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
