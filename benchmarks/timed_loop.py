"""What the timed loop adds per sample: four stamps and bookkeeping around a null model, less the same calls without them.

python benchmarks/timed_loop.py
"""

import statistics
import tempfile
import time
from pathlib import Path

from orchestrator.measurement.scratch import Scratch
from orchestrator.measurement.timing import Stages, run_batches

SAMPLES = 100_000
REPEATS = 11


def same(value: object) -> object:
    return value


def bare(batches: list[list[int]], answers: list[object]) -> None:
    """The three calls of the null model and the place for its answer, without a stamp."""
    preprocess, infer, postprocess = same, same, same
    for number in range(len(batches)):
        inputs = preprocess(batches[number])
        outputs = infer(inputs)
        answers[number] = postprocess(outputs)


def main() -> None:
    batches = [[number] for number in range(SAMPLES)]
    added = []
    with tempfile.TemporaryDirectory() as folder:
        scratch = Scratch(Path(folder) / "stamps", batches=SAMPLES)
        for _ in range(REPEATS):
            started = time.perf_counter_ns()
            bare(batches, [None] * SAMPLES)
            without = time.perf_counter_ns() - started
            scratch.begin(0, 0, 0)
            started = time.perf_counter_ns()
            run_batches(batches, Stages(same, same, same), scratch.stamps)
            added.append((time.perf_counter_ns() - started - without) / SAMPLES)
    print(f"added time per sample: median {statistics.median(added):.0f} ns of {REPEATS} runs, worst {max(added):.0f} ns (bar: 500 ns)")


if __name__ == "__main__":
    main()
