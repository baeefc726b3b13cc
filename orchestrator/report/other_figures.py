"""Tables of what is not the headline: the other metrics, slices, and the paper's rule per sample."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import inf

import numpy as np

from orchestrator.analysis.groups import Group
from orchestrator.analysis.results import Results
from orchestrator.report.rows import Row, bound, flag_note, mark, read_at, rows_of, who, who_columns
from orchestrator.report.table import Table
from orchestrator.report.text import quality, quality_within
from orchestrator.stats.per_sample import SHARES, rounds_each_sample_needs, rounds_needed_by_share
from orchestrator.stats.thresholds import Threshold

FEWEST_ROUNDS, MOST_ROUNDS = 55, 200
MOST_SAMPLES, FEWEST_SAMPLES, MOST_IN_ALL = 100, 10, 1000
"""The rule fits a density per sample and step: it is applied to so many samples of a trial, spread over all, fewer of many trials."""


def other_figure_tables(results: Results, everywhere: bool = False) -> Iterator[Table]:
    """Yield per task the other metrics, and all metrics by slice, on the total clock: at the primary threshold, or at all common ones."""
    for group in results.groups:
        found = rows_of(results, "tail_quality", group)
        for threshold in read_at(group, everywhere):
            rows = [
                row
                for row in found
                if (row["clock"], row["threshold"], row["threshold_ns"]) == ("total", threshold.label, threshold.ns)
                and row["threshold_origin"] == threshold.origin
                and (row["metric"], row["slice"]) != (group.trials[0].metric, "all")
            ]
            if rows:
                yield _others_within(threshold, rows, group)


def _others_within(threshold: Threshold, rows: Sequence[Row], group: Group) -> Table:
    return Table(
        title=f"Other metrics and slices of {group.task} (total time) within {bound(threshold)}",
        columns=[*who_columns(group), "metric", "slice", "samples", "ideal", "mean [95 % interval]", "worst"],
        rows=[
            [
                *who(row, group),
                row["metric"],
                row["slice"],
                str(row["samples"]),
                quality(row["ideal"]),
                f"{quality(row['mean'])} {quality_within(row['interval_low'], row['interval_high'])}{mark(row['flags'])}",
                quality(row["worst"]),
            ]
            for row in rows
        ],
        note=flag_note(rows).strip(),
        right=frozenset(["samples", "ideal", "mean [95 % interval]", "worst"]),
        within_ns=threshold.ns,
    )


def rounds_needed_tables(results: Results) -> Iterator[Table]:
    """Yield per task the rounds after which samples have settled one by one, for trials long enough to tell.

    Samples that share a batch in every round have one density between them and count once; where every round puts others together,
    each sample has its own.
    """
    most = max(FEWEST_SAMPLES, min(MOST_SAMPLES, MOST_IN_ALL // max(1, len(results.records))))
    for group in results.groups:
        cells = []
        for data in group.trials:
            times = data.times["total"] if data.batch_of is None else data.inferences["total"]
            if len(times) < FEWEST_ROUNDS:
                continue
            some = np.unique(np.linspace(0, times.shape[1] - 1, min(times.shape[1], most)).astype(np.int64))
            needed = rounds_needed_by_share(rounds_each_sample_needs(times[:MOST_ROUNDS, some]))
            told = [f"{needed[share]:.0f}" if needed[share] < inf else "-" for share in SHARES]
            cells.append([*who(dict(data.record.labels()), group), *told])
        if cells:
            heads = [f"{share:g} % of samples" for share in SHARES]
            yield Table(
                title=f"Rounds that samples of {group.task} need (the paper's rule, total time)",
                columns=[*who_columns(group), *heads],
                rows=cells,
                note="After so many rounds a sample's own density moved by a distance of at most 0.2 over five fits; of up to "
                f"{most} samples, a batch of the same ones counting once. A dash: more rounds than were measured, or than {MOST_ROUNDS}.",
                right=frozenset(heads),
            )
