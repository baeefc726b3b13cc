"""Clocks: one that moves only where somebody waits or works, those that step at every reading, one that stands still."""

import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orchestrator.measurement.load_loop import Served, Service, serve
from orchestrator.measurement.timing import STAMPS, Stages


def at_rest() -> int:
    """Be a driver's clock that stands still: pauses are over at once, so that trials take turns in the order that is drawn."""
    return 0


class SteppingClock:
    """Each reading is a step after the last one: 1 ms, or what a function says."""

    def __init__(self, step: Callable[[], int] = lambda: 1_000_000) -> None:
        self.step, self.readings, self._now = step, 0, 0

    def __call__(self) -> int:
        self.readings += 1
        self._now += self.step()
        return self._now

    def now(self) -> int:
        """Return the last reading."""
        return self._now

    def stage(self, takes_ns: int) -> Callable[[object], object]:
        """Return a stage that takes so long and returns what it is given."""

        def call(value: object) -> object:
            self._now += takes_ns
            return value

        return call


class NoisyClock(SteppingClock):
    """Readings 1 to 9 ms apart at random, the same ones for a seed."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__(lambda: self._random.randint(1, 9) * 1_000_000)
        self.begin(seed)

    def begin(self, seed: int) -> None:
        """Begin anew at as many seconds."""
        self._now = seed * 1_000_000_000
        self._random = random.Random(seed)


class VirtualClock:
    """Moves to the moment that is waited for, and by the service of each sample during its inference."""

    def __init__(self, services: Sequence[int] | NDArray[np.int64]) -> None:
        self.now = 0
        self._services = services

    def __call__(self) -> int:
        return self.now

    def wait_until(self, moment: int) -> int:
        self.now = max(self.now, moment)
        return self.now

    @property
    def stages(self) -> Stages:
        """Stages whose items are numbers of samples; a batch takes as long as its longest."""

        def infer(batch: Sequence[int]) -> Sequence[int]:
            self.now += max(int(self._services[number]) for number in batch)
            return batch

        return Stages(lambda batch: batch, infer, lambda batch: list(batch))


def run(
    due: Sequence[int] | NDArray[np.int64],
    services: Sequence[int] | NDArray[np.int64],
    service: Service = Service(),  # noqa: B008 - frozen
    infer: Callable[[Any], Any] | None = None,
) -> tuple[Served, NDArray[np.int64]]:
    """Serve a stream on a virtual clock; return what it came to and its stamps, [N, 4]."""
    clock = VirtualClock(services)
    count = len(due)
    stamps = memoryview(bytearray(8 * STAMPS * count)).cast("q")
    stages = clock.stages if infer is None else Stages(clock.stages.preprocess, infer, clock.stages.postprocess)
    moments = due.tolist() if isinstance(due, np.ndarray) else due
    served = serve(moments, range(count), stages, stamps, service, clock, clock.wait_until)
    return served, np.array(stamps, dtype=np.int64).reshape(count, STAMPS)
