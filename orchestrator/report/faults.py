"""What went wrong while trials were measured, and what that does to their figures."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from orchestrator.analysis.campaign_analysis import CampaignAnalysis
from orchestrator.analysis.groups import Group
from orchestrator.analysis.trial_data import TrialData
from orchestrator.report.table import Table
from orchestrator.report.text import milliseconds, quality
from orchestrator.storage import schema

MOST_SAMPLES = 20


def fault_tables(results: CampaignAnalysis) -> Iterator[Table]:
    """Yield the faults of all trials, accepted changes, the samples without an answer, and both readings of incomplete rounds."""
    faults = [(record, fault) for record in results.records for fault in record.faults]
    if faults:
        yield Table(
            title="Faults",
            columns=["trial", "fault", "process", "round in flight", "what happened"],
            rows=[
                [record.trial_id, fault.name, str(fault.process), "" if fault.round is None else str(fault.round), fault.message]
                for record, fault in faults
            ],
            note="After its first fault a trial goes on in a fresh process. A round in flight that the model's process left behind is "
            "stored as far as it came; one that the machine or the network took is measured again.",
        )
    changes = [[record.trial_id, change] for record in results.records for change in record.changes]
    if changes:
        yield Table(
            title="Changes accepted",
            columns=["trial", "what had changed before it went on"],
            rows=changes,
            note="Rounds of these trials were measured with different code, data or hosts: no deadline is certified from them.",
        )
    for group in results.groups:
        yield from _unanswered(group)
        yield from _two_readings(group)


FAILED = ("error", "timeout", "lost")
"""Outcomes that are faults. What a policy drops under load is none: the table of schedules counts it."""


def _unanswered(group: Group) -> Iterator[Table]:
    rows = [row for data in group.trials for row in _unanswered_rows(data)]
    if rows:
        yield Table(
            title=f"Samples of {group.task} without an answer",
            columns=["trial", "sample", *(f"rounds {name}" for name in FAILED)],
            rows=rows[:MOST_SAMPLES],
            note="They count as late at every threshold. `inspect` with their trial says why."
            + (f" {len(rows) - MOST_SAMPLES} more are not shown." if len(rows) > MOST_SAMPLES else ""),
            right=frozenset(f"rounds {name}" for name in FAILED),
        )


def _unanswered_rows(data: TrialData) -> list[list[str]]:
    """Return the samples without a time in some round; first those that hung or raised."""
    counts = np.stack([(data.outcome == schema.OUTCOMES.index(name)).sum(axis=0) for name in FAILED])
    affected = [int(sample) for sample in np.flatnonzero(counts.any(axis=0))]
    lost = FAILED.index("lost")
    order = sorted(affected, key=lambda sample: (-int(counts[:lost, sample].sum()), sample))
    return [[data.trial_id, data.names[sample], *(str(int(count)) for count in counts[:, sample])] for sample in order]


def _two_readings(group: Group) -> Iterator[Table]:
    interrupted = [data for data in group.trials if data.incomplete.any() and not data.incomplete.all()]
    if not interrupted:
        return
    primary = group.thresholds.primary
    # Where so much is missing that no percentile is a time, every answer that came at all is on time.
    bound_ns = primary.ns if primary is not None else max(float(data.times[data.clock][~data.incomplete].max()) for data in interrupted)
    label = primary.label if primary is not None else "the longest time measured"
    rows = []
    for data in interrupted:
        rounds = data.judged(data.metric).curve(data.times[data.clock], [bound_ns])[0]
        whole = rounds[~data.incomplete]
        rows.append(
            [data.trial_id, str(int(data.incomplete.sum())), *map(quality, (rounds.mean(), rounds.min(), whole.mean(), whole.min()))]
        )
    heads = ["mean, as late", "worst, as late", "mean, left out", "worst, left out"]
    yield Table(
        title=f"Incomplete rounds of {group.task} within {label} ({milliseconds(bound_ns)}): two readings",
        columns=["trial", "incomplete rounds", *heads],
        rows=rows,
        note="What was not measured counts as late, as in every other table, or its rounds are left out.",
        right=frozenset(["incomplete rounds", *heads]),
    )
