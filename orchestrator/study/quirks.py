"""Where the paper's program differs from its words: each difference alone, on these timings.

All else is as the program does it, in the true order of rounds, so that the two figures of a
difference differ by that alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.quality import JudgedMean
from orchestrator.analysis.threads import map_in_threads
from orchestrator.analysis.trial_data import TrialData
from orchestrator.stats.density import Floats, select_bandwidth
from orchestrator.stats.paper import NS_PER_S, Density
from orchestrator.stats.prediction import compare
from orchestrator.stats.thinning import evenly_chosen
from orchestrator.stats.times import Clock
from orchestrator.study.material import WHO_COLUMNS, Material, repeats_first, who
from orchestrator.study.program import (
    PERCENTILES,
    directory_order,
    distance_of,
    division,
    fit,
    mean_train_distance,
    quality_at,
    settling,
)
from orchestrator.study.tables import Row, StudyTable, named, numbers, three

CLOCK = Clock.INFERENCE
"""The clock of the paper's published cells."""
MOST_SAMPLES, MOST_IN_ALL, FEWEST = 10, 160, 4
FEWEST_ROUNDS = 20
"""With fewer there is no sixth fit among the training rounds."""
DIFFERENCES = {
    "run order": "mean train/test distance: rounds in the order in which a directory lists their "
    "files, or in the true one",
    "least rounds": "mean of the rounds a sample needs: 30 added once more and cut at 70, or as found",
    "bandwidth floor": "mean train/test distance: bandwidths of 5 ms and more, or such as suit the "
    "times",
    "recomputed percentile": "largest |train - test| of mean quality: each side at its own "
    "percentile, or at that of the training rounds",
    "divisor of train JSD": "mean distance among training fits: divided by tries that compared "
    "nothing too, or by the comparisons made",
}


def quirk_table(material: Material) -> StudyTable:
    """Return the effect of each difference on the first repeat of every system."""
    pairs = [(group, data) for group in material.groups for data in repeats_first(group.trials)]
    most = max(FEWEST, min(MOST_SAMPLES, MOST_IN_ALL // max(len(pairs), 1)))

    def effects_of(pair: tuple[object, TrialData]) -> list[Row]:
        _, data = pair
        records = data.own_times(CLOCK)
        complete = np.isfinite(records).all(axis=1)
        some = records[complete][:, evenly_chosen(records.shape[1], most)] / NS_PER_S
        judged = data.judged(data.metric)
        scores = judged.scores if isinstance(judged, JudgedMean) else None
        return list(effects(some, data.times[CLOCK][complete] / NS_PER_S, scores))

    found = map_in_threads(effects_of, pairs)
    rows = [[*who(*pair), *row] for pair, of in zip(pairs, found, strict=True) for row in of]
    note = "; ".join(f"{name}: {what}" for name, what in DIFFERENCES.items())
    columns = [*WHO_COLUMNS, *named("difference"), *numbers(three, "as in its program", "mended")]
    return StudyTable(
        "program",
        "What each difference of the paper's program from its words does to these timings, "
        "inference time",
        columns,
        rows,
        f"{note}. Of the first repeat of every trial, rounds that have all times and up to {most} "
        "samples, evenly chosen; recomputed percentile of all samples, and of metrics that are a "
        "mean over samples alone: of others, such as mAP, its check has no scores. That it does not "
        "synchronise a GPU cannot be tried here.",
    )


def effects(
    records: Floats, times: Floats, scores: Floats | None = None
) -> Iterator[tuple[str, float, float]]:
    """Yield each difference with its figure as in the program and mended; none of fewer than 20 rounds.

    ``records`` : [R, B] in s, ``times`` : [R, S] in s of the samples that have ``scores``, [S].
    """
    if len(records) < FEWEST_ROUNDS:
        return
    train, settings = division(len(records))
    in_true_order = _mean_distance(records, train, fit)
    as_listed = records[directory_order(len(records))]
    found = [settling(one, settings) for one in records[:train].T]
    window_fills = train >= settings.initial + settings.step * (settings.window + 1)
    yield "run order", _mean_distance(as_listed, train, fit), in_true_order
    if window_fills:
        least = np.array([one.rounds for one in found])
        added = np.minimum(least + settings.initial, train)
        yield "least rounds", float(added.mean()), float(least.mean())
    yield "bandwidth floor", in_true_order, _mean_distance(records, train, _suited)
    if scores is not None:

        def quality(on_time: NDArray[np.bool_]) -> Floats:
            return np.asarray((on_time * scores).mean(axis=1))

        curve, parts = partial(quality_at, quality), (times[:train], times[train:])
        sides = compare([curve] * 2, parts, PERCENTILES, as_in_program=True)
        means = sides.fit.mean(axis=1)
        own, frozen = (np.abs(means - of.mean(axis=1)).max() for of in (sides.own, sides.frozen))
        yield "recomputed percentile", float(own), float(frozen)
    if window_fills:
        mended = float(np.mean([one.mean_at_last for one in found]))
        yield "divisor of train JSD", mean_train_distance(found), mended


def _suited(times_s: Floats) -> Density:
    return Density(times_s, select_bandwidth(times_s, resolution=1 / NS_PER_S).value)


def _mean_distance(records: Floats, train: int, fitted: Callable[[Floats], Density]) -> float:
    """Return the mean distance of the records' densities in training and test rounds."""
    distances = [distance_of(fitted(one[:train]), fitted(one[train:])) for one in records.T]
    return float(np.mean(distances))
