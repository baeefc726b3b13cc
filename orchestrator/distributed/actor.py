"""The Ray actor around one timed process, and the bell that wakes it between its visits."""

import os
import select
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import ray

from orchestrator.configuration.config import Trial
from orchestrator.distributed.placement import import_shipped
from orchestrator.endings import take_no_interrupts
from orchestrator.machine.host import Identity, own_identity
from orchestrator.machine.locks import own_folder_path
from orchestrator.machine.own_processes import roots_beside
from orchestrator.machine.turn import Turn
from orchestrator.measurement.evidence import kernel_ns
from orchestrator.measurement.last_words import keep_crashes
from orchestrator.measurement.scratch import crash_path, remove_stale, scratch_root, stamps_path
from orchestrator.running.neighbour import WorkerWithNeighbour
from orchestrator.storage.handover import Prepared


class TimedActor(WorkerWithNeighbour):
    """One fresh process for one trial; each method is one actor call.

    ``keepers`` are processes of this machine that an embedded Ray descends from.
    """

    def __init__(
        self,
        document: Mapping[str, Any],
        process: int,
        cache_dir: str,
        campaign: str,
        holder: str,
        driver: Identity,
        keepers: Sequence[int],
    ) -> None:
        take_no_interrupts()
        import_shipped(Path.cwd())
        for folder in (scratch_root(), own_folder_path()):
            remove_stale(folder)
        # As plain values: the system's own Python may have another pydantic.
        trial = Trial.model_validate(document)
        roots = (*roots_beside(driver), *keepers)
        super().__init__(trial, process, stamps_path(scratch_root()), Path(cache_dir).expanduser(), roots=roots)
        self._turn = Turn(campaign, holder)

    def identify(self) -> Identity:
        return own_identity()

    def scratch(self) -> str:
        """Return where the stamps are."""
        return str(self._scratch_path)

    def take_turn(self) -> str | None:
        return self._turn.take()

    def prepare(self) -> Prepared:
        self._crashes = keep_crashes(self._scratch_path)
        prepared = super().prepare()
        context = ray.get_runtime_context()
        node = {"node_id": context.get_node_id(), "labels": context.get_node_labels(), "turn": self._turn.placement}
        return replace(prepared, placement={**prepared.placement, **node})

    def rest(self, bell: str) -> None:
        """Sleep until the bell at this path rings or its owner is gone.

        A process that cannot see the bell stays awake: it is in a container with folders of its own.
        """
        try:
            pipe = os.open(bell, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        try:
            select.select([pipe], [], [])
            os.read(pipe, 1)
        finally:
            os.close(pipe)

    def kernel_ns(self) -> int:
        return kernel_ns()

    def close(self) -> None:
        super().close()
        crash_path(self._scratch_path).unlink(missing_ok=True)


class Bell:
    """The driver's end of a named pipe on a machine that both share. ``path`` must be new; raises OSError where none can be made.

    Ray looks for signals a hundred times a second on the thread that waits for calls, also in a process that has nothing to do. A call that
    sleeps keeps that thread quiet; it ends with one byte from the driver, or with the driver itself: the pipe's other end is then closed.
    """

    def __init__(self, path: Path) -> None:
        os.mkfifo(path, 0o600)
        self.path = path
        self._pipe: int | None = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)

    def ring(self) -> None:
        """Wake the process, or have its next sleep end at once."""
        if self._pipe is not None:
            with suppress(BlockingIOError):  # full: it cannot sleep anyway
                os.write(self._pipe, b"\0")

    def remove(self) -> None:
        """Close and delete it. Idempotent."""
        pipe, self._pipe = self._pipe, None
        if pipe is not None:
            os.close(pipe)
            self.path.unlink(missing_ok=True)
