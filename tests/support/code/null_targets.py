"""A task of twenty numbers and a model that answers them without a framework: fast, exact, and as real as any target."""

import os
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from orchestrator.contracts import InputError, LoadContext, Sample


class Numbers:
    """Numbers 0 to count - 1, each of its own class."""

    metrics = ("top1", "top5")

    def __init__(self, count: int) -> None:
        self._count = count

    def check(self) -> None:
        if self._count < 1:
            raise InputError(f"task.count={self._count}: must be at least 1")

    def samples(self) -> Sequence[Sample]:
        return [
            Sample(
                f"number-{number}",
                number,
                str(number),
                {"parity": "odd" if number % 2 else "even"},
                payload=str(number).encode(),
            )
            for number in range(self._count)
        ]

    def decode(self, encoded: bytes) -> int:
        return int(encoded)


class Loaded:
    facts: Mapping[str, Any] = {"threads": {}}

    def __init__(self, sleep_ms: float, wrong: Sequence[int], raises_on: Sequence[int]) -> None:
        self._sleep_s, self._wrong, self._raises_on = sleep_ms / 1000, set(wrong), set(raises_on)

    def input_size(self, sample: int) -> int:
        return len(str(sample))

    def preprocess(self, samples: Sequence[int]) -> list[int]:
        return list(samples)

    def infer(self, inputs: list[int]) -> list[int]:
        if self._sleep_s:
            time.sleep(self._sleep_s)
        if self._raises_on & set(inputs):
            raise RuntimeError(f"cannot read {inputs}")
        return [number + 1 if number in self._wrong else number for number in inputs]

    def postprocess(self, outputs: list[int]) -> list[list[int]]:
        return [[number, *range(1_000, 1_004)] for number in outputs]


class NullModel:
    """Answers a number with itself, or with the next one where it is told to be wrong."""

    def __init__(
        self, sleep_ms: float = 0, wrong: Sequence[int] = (), raises_on: Sequence[int] = (), fails_to_load: bool = False, dies: bool = False
    ) -> None:
        self._options = (sleep_ms, wrong, raises_on)
        self._fails_to_load, self._dies = fails_to_load, dies

    def check(self) -> None:
        if self._options[0] < 0:
            raise InputError(f"model.sleep_ms={self._options[0]}: must not be negative")

    def files(self) -> Sequence[Path]:
        return []

    def load(self, context: LoadContext) -> Loaded:
        if self._fails_to_load:
            raise OSError("weights are gone")
        if self._dies:
            os._exit(7)
        return Loaded(*self._options)


class StrayModel(NullModel):
    """Leaves the cores it was pinned to."""

    def load(self, context: LoadContext) -> Loaded:
        os.sched_setaffinity(0, set(range(os.cpu_count() or 1)) - os.sched_getaffinity(0))
        return super().load(context)


class SeesGpus(NullModel):
    """Loads nothing, and says which GPUs its process may see."""

    def load(self, context: LoadContext) -> Loaded:
        seen = f"CUDA_VISIBLE_DEVICES={os.environ['CUDA_VISIBLE_DEVICES']} in the order {os.environ['CUDA_DEVICE_ORDER']}"
        raise InputError(f"sees {seen}, {context.device} of {context.gpus}")


class Pools(Loaded):
    facts: Mapping[str, Any] = {"threads": {"intra_op": 1, "omp": 7}}


class PoolsModel(NullModel):
    """Has a pool of threads that nobody asked for."""

    def load(self, context: LoadContext) -> Loaded:
        return Pools(0, [], [])


class Odd(Loaded):
    def __init__(self, answer: Any) -> None:
        super().__init__(0, [], [])
        self._answer = answer

    def postprocess(self, outputs: list[int]) -> list[Any]:
        return [self._answer for _ in outputs]


class OddModel(NullModel):
    """Gives every number the same answer, of whatever form."""

    def __init__(self, answer: Any, **options: Any) -> None:
        super().__init__(**options)
        self._answer = answer

    def load(self, context: LoadContext) -> Odd:
        return Odd(self._answer)


class Faulty(Loaded):
    """Does something bad once: on one sample of one round, or while it loads."""

    def __init__(self, fault: str, at_round: int, sample: int, marker: Path, warmup_rounds: int) -> None:
        super().__init__(1, [], [])
        self._fault, self._at_round, self._sample, self._marker = fault, at_round, sample, marker
        self._round = -warmup_rounds - 1  # counted up on the first sample

    def infer(self, inputs: list[int]) -> list[int]:
        if inputs == [0]:
            self._round += 1
        if inputs == [self._sample] and self._round == self._at_round:
            do(self._fault, self._marker)
        return super().infer(inputs)


def do(fault: str, marker: Path) -> None:
    """Do the bad thing, unless it has been done before."""
    if marker.exists():
        return
    marker.touch()
    if fault == "hang":
        time.sleep(3600)
    if fault == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if fault == "interrupt":
        os.kill(os.getpid(), signal.SIGINT)
        return
    if fault == "exit":
        raise SystemExit(0)
    if fault == "memory":
        raise MemoryError("cannot allocate 80 GiB")
    raise RuntimeError("CUDA error: an illegal memory access was encountered" if fault == "gpu" else "cannot go on")


class FaultyModel(NullModel):
    """Answers like a NullModel, until its fault comes; ``once`` names the file that remembers it."""

    def __init__(self, fault: str, at_round: int, sample: int, once: str) -> None:
        super().__init__(1)
        self._faulty = (fault, at_round, sample, Path(once))

    def load(self, context: LoadContext) -> Faulty:
        fault, at_round, sample, marker = self._faulty
        if at_round < 0:
            do(fault, marker)
        return Faulty(fault, at_round, sample, marker, warmup_rounds=2)


class Traced(Loaded):
    def __init__(self, sleep_ms: float, trace: Path) -> None:
        super().__init__(sleep_ms, [], [])
        self._trace = trace

    def infer(self, inputs: list[int]) -> list[int]:
        began = time.monotonic_ns()
        outputs = super().infer(inputs)
        with self._trace.open("a") as file:
            file.write(f"{os.getpid()} {began} {time.monotonic_ns()}\n")
        return outputs


class TracedModel(NullModel):
    """Writes into a file when each of its inferences began and ended, and in which process."""

    def __init__(self, sleep_ms: float, trace: str) -> None:
        super().__init__(sleep_ms)
        self._trace = Path(trace)

    def load(self, context: LoadContext) -> Traced:
        return Traced(self._options[0], self._trace)


class GivesAway(Loaded):
    def infer(self, inputs: list[int]) -> list[int]:
        for line in Path("/proc/self/maps").read_text().splitlines():
            if "/tail-quality-" in line and not line.endswith("(deleted)"):  # an earlier trial of this process may have left one
                os.chown(line.split()[-1], 65534, 65534)
        raise RuntimeError("cannot go on")


class GivesAwayModel(NullModel):
    """Gives the stamps of its process to another user, and raises; root alone can."""

    def load(self, context: LoadContext) -> GivesAway:
        return GivesAway(0, [], [])
