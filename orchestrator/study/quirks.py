"""Where the paper's program differs from its words: each difference switched on alone, on these timings."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.groups import Group
from orchestrator.analysis.quality import JudgedMean
from orchestrator.analysis.threads import map_in_threads
from orchestrator.analysis.trial_data import TrialData
from orchestrator.contracts import InputError
from orchestrator.stats.paper_program.per_record import division
from orchestrator.stats.paper_quirks import (
    Effect,
    bandwidth_floor_effect,
    least_rounds_always_70,
    recomputed_percentile_effect,
    run_order_effect,
    train_jsd_divisor_effect,
)
from orchestrator.stats.thinning import evenly_chosen
from orchestrator.stats.times import Clock
from orchestrator.study.material import Material, repeats_first, who, who_columns
from orchestrator.study.tables import StudyTable, Value, named, numbers, three

Floats = NDArray[np.float64]
CLOCK = Clock.INFERENCE
"""The clock of the paper's published cells."""
MOST_SAMPLES, MOST_IN_ALL, FEWEST = 10, 160, 4
NAMES = {
    "run order": "mean train/test distance: rounds in the order in which a directory lists their files, or in the true one",
    "least rounds": "mean of the rounds a sample needs: 30 added once more and cut at 70, or as found",
    "bandwidth floor": "mean train/test distance: bandwidths of 5 ms and more, or such as suit the times",
    "recomputed percentile": "largest |train - test| of mean quality: each side at its own percentile, or at that of the training rounds",
    "divisor of train JSD": "mean distance among training fits: divided by tries that compared nothing too, or by the comparisons made",
}

SETTLING = ("least rounds", "divisor of train JSD")


def quirk_table(material: Material) -> StudyTable:
    """Return the effect of each difference on the first repeat of every system whose rounds all have times."""
    pairs = [(group, data) for group in material.groups for data in repeats_first(group.trials)]
    most = max(FEWEST, min(MOST_SAMPLES, MOST_IN_ALL // max(len(pairs), 1)))
    found = map_in_threads(lambda pair: list(_effects(pair[1], most)), pairs)
    rows = [_row(group, data, *one) for (group, data), effects in zip(pairs, found, strict=True) for one in effects]
    note = "; ".join(f"{name}: {what}" for name, what in NAMES.items())
    return StudyTable(
        "program",
        "What each difference of the paper's program from its words does to these timings, inference time",
        [*who_columns(), *named("difference"), *numbers(three, "as in its program", "mended")],
        rows,
        f"{note}. Of the first repeat of every trial, rounds that have all times and up to {most} samples, evenly chosen; recomputed "
        "percentile of all samples, and of metrics that are a mean over samples alone: of others, such as mAP, its check has no scores. "
        "That it does not synchronise a GPU cannot be tried here.",
    )


def _effects(data: TrialData, most: int) -> Iterator[tuple[str, float, float]]:
    """Yield name, figure of the program and figure without the difference; those that the trial is too short for are left out."""
    times = data.own_times(CLOCK)
    finite = np.asarray(np.isfinite(times).all(axis=1))
    some = times[finite][:, evenly_chosen(times.shape[1], most)]
    makers: dict[str, Callable[[], Effect[float]]] = {
        "run order": lambda: run_order_effect(some),
        "least rounds": lambda: _means(least_rounds_always_70(some)),
        "bandwidth floor": lambda: bandwidth_floor_effect(some),
        "recomputed percentile": lambda: _largest(data, finite),
        "divisor of train JSD": lambda: train_jsd_divisor_effect(some),
    }
    for name, make in makers.items():
        if name in SETTLING and not _window_fills(len(some)):
            continue
        try:
            effect = make()
        except InputError:
            continue
        yield name, effect.as_in_paper_program, effect.mended


def _window_fills(rounds: int) -> bool:
    """Return whether the program's settling compares any fit with a full window: of 61 to 89 rounds it never does."""
    train, settings = division(rounds)
    return train >= settings.initial + settings.step * (settings.window + 1)


def _means(effect: Effect[NDArray[np.int64]]) -> Effect[float]:
    return Effect(float(effect.as_in_paper_program.mean()), float(effect.mended.mean()))


def _largest(data: TrialData, finite: NDArray[np.bool_]) -> Effect[float]:
    """Return the largest difference of mean quality over percentiles."""
    judged = data.judged(data.metric)
    if not isinstance(judged, JudgedMean):
        raise InputError(f"{data.metric} is no mean over samples: the program's check has no scores")
    found = recomputed_percentile_effect(data.times[CLOCK][finite], judged.scores)
    return Effect(*(max(figures["mean"] for figures in side.values()) for side in found))


def _row(group: Group, data: TrialData, name: str, theirs: float, mended: float) -> list[Value]:
    return [*who(group, data), name, theirs, mended]
