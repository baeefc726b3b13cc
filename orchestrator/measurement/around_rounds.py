"""What surrounds a round or a stream: evidence is read before and after it, garbage is kept out of it."""

import gc
import os
import time
from collections.abc import Collection, Sequence
from typing import Any

from orchestrator.machine import cores
from orchestrator.machine.own_processes import Kin, OwnProcesses
from orchestrator.measurement import evidence
from orchestrator.measurement.device import MemoryPeaks

COLLECT_EVERY_S = 0.25


class AroundRounds:
    """Reads what else happens while something is timed: `begin`, then `counters` right before it and `end` right after it.

    Parameters
    ----------
    on_cores
        those of the trial.
    roots
        ids of the processes from which this program's others descend.
    uuids
        of the GPUs that are read.
    gpus
        how many the process sees.
    garbage
        whether its collection is left to Python, as a user may want.
    """

    def __init__(self, on_cores: tuple[int, ...], roots: Collection[int], uuids: Sequence[str], gpus: int, garbage: bool) -> None:
        self._cores = on_cores
        self._garbage, self._collected_s = garbage, 0.0
        self._kin, self._ours, self._throttle_files = Kin(roots), OwnProcesses(), cores.read_throttle_files()
        self._gpus = evidence.GpuEvidence(uuids)
        self.memory = MemoryPeaks(gpus)

    def find_own_processes(self) -> None:
        """Look which processes are this program's from here on."""
        self._ours = self._kin.find()

    def begin(self) -> None:
        """Keep garbage out, and let the peaks of memory count anew."""
        if not self._garbage:
            # What the last round has left; older garbage too, unless that was done a moment ago and rounds are short.
            recent = time.monotonic() - self._collected_s < COLLECT_EVERY_S
            gc.collect(0 if recent else 2)
            self._collected_s = self._collected_s if recent else time.monotonic()
            gc.disable()
        self.memory.begin()

    def counters(self) -> evidence.Counters:
        """Read the counters of this moment."""
        return evidence.read_counters(self._cores, self._throttle_files, self._ours)

    def end(self, before: evidence.Counters) -> dict[str, Any]:
        """Let garbage in again, and return the evidence of what was timed since ``before``, as columns of rounds."""
        after, held = self.counters(), self.memory.read()
        gc.enable()
        return {
            **evidence.difference(before, after),
            **self._gpus.read(),
            "frequency_mhz": evidence.frequency_mhz(self._cores),
            "load_1m": os.getloadavg()[0],
            **held,
        }
