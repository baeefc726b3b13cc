"""Which samples a round puts into which batch (pure)."""

from __future__ import annotations

import numpy as np

from orchestrator.config import Trial


def batches_of_round(trial: Trial, samples: int, number: int) -> list[list[int]]:
    """Return the sample numbers of each batch of a round, in the order they run; a shuffled order is the same on every system."""
    order = list(range(samples))
    if trial.measurement.order == "shuffled":
        order = np.random.default_rng([trial.task.subset_seed, number]).permutation(samples).tolist()
    size = trial.measurement.batch
    return [order[at : at + size] for at in range(0, samples, size)]
