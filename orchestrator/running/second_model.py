"""The neighbour ``model``: answers samples of a task with a model, one after another, at a fixed rate, until it is ended.

It runs as ``python -u -m orchestrator.running.second_model TRIAL RATE CACHE``: a trial as JSON, samples a second, and a folder for derived
files. It writes every second how many samples it has answered so far. A sample whose moment has passed is left out: a neighbour that was
stopped does not catch up.
"""

import sys
import time
from itertools import cycle
from pathlib import Path

from orchestrator.configuration.config import Trial
from orchestrator.machine.cores import allowed_cores
from orchestrator.measurement.worker import load_model, stages_for
from orchestrator.subject.inspection import Inspector


def main(document: str, rate_per_s: float, cache: Path) -> None:
    """Answer samples for ever."""
    trial = Trial.model_validate_json(document)
    subject = Inspector().open(trial)
    model = load_model(subject.model, trial, len(allowed_cores()), cache, None)
    items, stages = stages_for(trial.task.preload, subject.samples, subject.task, model)
    arrival = told = time.monotonic()
    for answered, item in enumerate(cycle(items), start=1):
        stages.postprocess(stages.infer(stages.preprocess([item])))
        now = time.monotonic()
        if answered == 1 or now - told >= 1:
            told = now
            sys.stdout.write(f"{answered} samples answered\n")
        arrival += max(1, -((arrival - now) * rate_per_s // 1)) / rate_per_s
        time.sleep(max(0.0, arrival - time.monotonic()))


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), Path(sys.argv[3]))
