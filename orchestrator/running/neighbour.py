"""A trial's neighbour: a command that works while rounds are timed, and is stopped by SIGSTOP at all other times.

It is begun before the timed process loads, under a keeper as a server is (`keeper.py`), so that nothing of it outlives its trial.
"""

import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from orchestrator.configuration.environment_values import Secret
from orchestrator.configuration.neighbour import NeighbourConfig
from orchestrator.configuration.server import filled
from orchestrator.machine.host import neighbour_cores_offered, numa_cores
from orchestrator.machine.own_processes import read_cpu_ns, read_stat
from orchestrator.measurement.failures import TrialFailed, tracebacks_kept
from orchestrator.measurement.scratch import companion_path
from orchestrator.running.keeper import send
from orchestrator.running.server import NOTICED_S, READY_EVERY_S, Order, Started, WorkerWithServer, importable, passed_on, read_log
from orchestrator.storage.handover import Prepared, Rounds
from orchestrator.storage.records import ALONE_CORES
from orchestrator.subject.inspection import second_of

# How long a neighbour works alone, to see how much processor time it takes when nothing keeps it from that.
ALONE_S = 0.5


class Neighbour(Started):
    """A neighbour that a trial starts; it works until it is told otherwise."""

    block = "neighbour"

    def await_ready(self, config: NeighbourConfig) -> None:
        """Wait until its output says that it works. Raises TrialFailed if it does not in time, or ends."""
        until = time.monotonic() + config.ready_s
        while self.tell(signal.SIGCONT) and (config.ready or "") not in read_log(self._log):
            if time.monotonic() > until:
                raise TrialFailed(
                    f"the neighbour {config.name} does not work after neighbour.ready_s={config.ready_s:g} s{self.last_words()}",
                    "load failed",
                )
            time.sleep(READY_EVERY_S)

    def tell(self, number: signal.Signals) -> set[int]:
        """Send a signal to all its processes, which are returned. Raises TrialFailed where it has ended."""
        told: set[int] = set()
        while new := {*self.processes()} - told:
            send(new, number)
            told |= new
        if read_stat(self.keeper.pid)[:1] in ([], [b"Z"]):
            how = self.how_it_ended(NOTICED_S)
            raise TrialFailed(f"the neighbour that works beside the trial has ended ({how}){self.last_words()}", "neighbour died")
        return told


class WorkerWithNeighbour(WorkerWithServer):
    """A worker whose neighbour, where its trial has one, works while rounds are timed, lead-ins included.

    One that ends raises the fault ``neighbour died``; the rounds that it was to work beside are not stored.
    """

    _neighbour: Neighbour | None = None

    @tracebacks_kept()
    def prepare(self) -> Prepared:
        config, second = self._trial.neighbour, second_of(self._trial)
        if not config.is_started:
            return super().prepare()
        cores = neighbour_cores_offered(self._trial, self._allowed, numa_cores(), os.uname().nodename)
        folder, log = (companion_path(self._scratch_path, kind) for kind in ("neighbour", "neighbour.log"))
        folder.mkdir(0o700)
        values = {
            **config.settings, "cache": self._cache_dir, "cores": len(cores), "folder": folder, "python": sys.executable,
            "second": second.model_dump_json() if second else "",
        }  # fmt: skip
        order = Order(
            tuple(filled(word, values) for word in config.command or ()), (), cores,
            passed_on(cores, {**os.environ, "PYTHONPATH": importable()}),
        )  # fmt: skip
        self._neighbour = neighbour = Neighbour(order, Secret(""), log, stop_s=0)
        neighbour.keeper.remove_at_end(folder)
        neighbour.keeper.remove_at_end(log)
        self._beside = (neighbour.keeper.own_pid,)
        neighbour.await_ready(config)
        before, began = read_cpu_ns(neighbour.processes()), time.monotonic_ns()
        time.sleep(ALONE_S)
        used_ns = sum(ns - before[pid] for pid, ns in read_cpu_ns(before).items())
        facts = {"neighbour_cores": list(cores), ALONE_CORES: used_ns / (time.monotonic_ns() - began)}
        neighbour.tell(signal.SIGSTOP)
        prepared = super().prepare()
        return replace(prepared, facts={**prepared.facts, **facts})

    def read_back(self) -> dict[str, Any]:
        said = {} if self._neighbour is None else {"neighbour": self._neighbour.last_words().removeprefix("; its last line: ")}
        return {**super().read_back(), **said}

    def end_started(self) -> None:
        if self._neighbour is not None:
            self._neighbour.end()
        super().end_started()

    def _watched(self, call: Callable[[], Rounds]) -> Rounds:
        if self._neighbour is None:
            return super()._watched(call)
        self._neighbour.tell(signal.SIGCONT)
        try:
            return super()._watched(call)
        finally:
            self._neighbour.tell(signal.SIGSTOP)
