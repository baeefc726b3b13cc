"""Where a campaign can run: the machines there, a look at models and data on them, and the executor over them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from orchestrator.config import SystemConfig, Trial
from orchestrator.environment_values import resolved
from orchestrator.execution.executor import Executor
from orchestrator.measurement.inspection import Inspector, Look
from orchestrator.measurement.machine import Machine, read_machine


class Site(Protocol):
    """A place with machines. Looking at it starts no trial and times nothing."""

    def machine(self, system: SystemConfig) -> Machine:
        """Return the machine that a system means. Raises InputError where there is none."""

    def look(self, machine: Machine, trials: Sequence[Trial]) -> list[Look]:
        """Return what each trial would find on the machine, which is that of all their systems.

        Raises InputError for a mistake that no machine would forgive.
        """

    def executor(self) -> AbstractContextManager[Executor]:
        """Return the executor over the machines."""


class LocalSite:
    """The driver's machine alone. No Ray is started before ``executor`` is entered."""

    def __init__(self, open_executor: Callable[[], AbstractContextManager[Executor]]) -> None:
        self._open_executor = open_executor
        self._machine = read_machine()
        self._inspector = Inspector()

    def machine(self, system: SystemConfig) -> Machine:
        """Return this machine, whatever the system's labels are: what does not fit is told by the plan."""
        return self._machine

    def look(self, machine: Machine, trials: Sequence[Trial]) -> list[Look]:
        """Look in this process."""
        return [self._inspector.look(resolved(trial)) for trial in trials]

    def executor(self) -> AbstractContextManager[Executor]:
        """Return the executor that was asked for."""
        return self._open_executor()

    def __enter__(self) -> LocalSite:
        return self

    def __exit__(self, *exception: object) -> None:
        """Nothing was opened."""
