"""All that one process reads of its machine, as plain values that travel to the driver."""

from __future__ import annotations

import os
from dataclasses import dataclass

from orchestrator.health.activity import Activity, read_activity
from orchestrator.health.clocks import Clocks, read_clocks
from orchestrator.health.gpus import Gpu, read_gpus
from orchestrator.health.noise import Noise, read_noise
from orchestrator.health.processor import Processor, read_processor
from orchestrator.measurement.machine import Machine, read_machine
from orchestrator.measurement.quota import Quota, read_quota
from orchestrator.measurement.turn import TurnState, read_turn


@dataclass(frozen=True)
class Reading:
    """One machine as one process sees it."""

    machine: Machine
    clocks: Clocks
    processor: Processor
    noise: Noise
    activity: Activity
    quota: Quota | None
    niceness: int
    turn: TurnState
    gpus: tuple[Gpu, ...]


def read_host() -> Reading:
    """Read this machine in this process; it takes about three seconds."""
    return Reading(
        machine=read_machine(),
        clocks=read_clocks(),
        processor=read_processor(),
        gpus=read_gpus(),
        quota=read_quota(),
        niceness=os.getpriority(os.PRIO_PROCESS, 0),
        turn=read_turn(),
        activity=read_activity(),
        noise=read_noise(),
    )
