"""Where the paper's program differs from its words: each difference switched on alone, on these timings."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from orchestrator.analysis.quality import JudgedMean
from orchestrator.analysis.threads import map_in_threads
from orchestrator.analysis.trial_data import TrialData
from orchestrator.contracts import InputError
from orchestrator.stats.times import Clock
from orchestrator.stats.units import evenly_chosen
from orchestrator.study.material import Material, repeats_first, who, who_columns
from orchestrator.study.program.faults import Effect, Faults
from orchestrator.study.tables import StudyTable, Value, named, numbers, three

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


def quirk_table(material: Material) -> StudyTable:
    """Return the effect of each difference on the first repeat of every system whose rounds all have times."""
    pairs = [(group, data) for group in material.groups for data in repeats_first(group.trials)]
    most = max(FEWEST, min(MOST_SAMPLES, MOST_IN_ALL // max(len(pairs), 1)))
    found = map_in_threads(lambda pair: list(_effects(pair[1], most)), pairs)
    rows: list[list[Value]] = [
        [*who(group, data), name, *effect] for (group, data), effects in zip(pairs, found, strict=True) for name, effect in effects
    ]
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


def _effects(data: TrialData, most: int) -> Iterator[tuple[str, Effect]]:
    """Yield each difference and its effect; none of a trial that is too short."""
    times = data.own_times(CLOCK)
    finite = np.asarray(np.isfinite(times).all(axis=1))
    judged = data.judged(data.metric)
    try:
        of = Faults(times[finite][:, evenly_chosen(times.shape[1], most)])
    except InputError:
        return
    yield "run order", of.run_order()
    if of.window_fills():
        yield "least rounds", Effect(*(float(np.mean(rounds)) for rounds in of.least_rounds()))
    yield "bandwidth floor", of.bandwidth_floor()
    if isinstance(judged, JudgedMean):
        found = Faults(data.times[CLOCK][finite]).recomputed_percentile(judged.scores)
        yield "recomputed percentile", Effect(*(max(figures["mean"] for figures in side.values()) for side in found))
    if of.window_fills():
        yield "divisor of train JSD", of.train_divisor()
