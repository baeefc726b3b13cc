"""Conversations: how long a user waits in one, over all its turns and at the slowest."""

import math
from collections.abc import Iterator

import numpy as np

from orchestrator.analysis.groups import Group
from orchestrator.analysis.table import ANY_CLOCK, FLAGS, Column, Context, Row, table
from orchestrator.analysis.trial_data import TrialData
from orchestrator.stats.latency import percentile_inverted_cdf
from orchestrator.stats.times import Clock
from orchestrator.subject.samples import CONVERSATION, turns_of

OF = {"mean": "mean time of its turns", "slowest": "time of its slowest turn"}
FIGURES = [(figure, percent) for figure in OF for percent in (50, 99)]


@table(
    "conversations",
    (
        Column("conversation", "str", "its name; `all`: of all conversations"),
        ANY_CLOCK,
        Column("turns", "float", "number of its turns; of all, their mean", "turns", "number .3g"),
        Column("held", "int64", "how often it was held: once a round", "held", "count"),
        *(
            Column(
                f"{figure}_p{percent}_ns",
                "int64?",
                f"{percent}th percentile of the {OF[figure]}; null if it falls on one without a "
                "time",
                f"{figure} p{percent}",
                "ms",
            )
            for figure, percent in FIGURES
        ),
        FLAGS,
    ),
    "trial",
    title="Turns of {task}",
    note="Of each conversation, the mean time of its turns and that of its slowest turn; "
    "percentiles over all conversations that were held. conversations.parquet has each by its "
    "name. Prompts hold the recorded answers to earlier turns, not the system's own.",
    section="Latency",
    where={"conversation": "all"},
)
def conversations(context: Context, group: Group, data: TrialData) -> Iterator[Row]:
    """Yield one row per trial, clock and conversation, and one for all of them.

    Clocks are that of the whole answer and, of streams, that to the first token.
    """
    names = data.slices.get(CONVERSATION, ())
    turns = np.array(turns_of(names) or (), dtype=np.intp)
    firsts = np.cumsum(turns) - turns
    for clock in [
        one for one in (data.clock, Clock.FIRST_TOKEN) if turns.size and one in data.times
    ]:
        times = data.times[clock]
        found = {
            "mean": np.add.reduceat(times, firsts, axis=1) / turns,
            "slowest": np.maximum.reduceat(times, firsts, axis=1),
        }
        for place in (None, *range(turns.size)):
            at = slice(None) if place is None else slice(place, place + 1)
            values = {figure: of[:, at].ravel() for figure, of in found.items()}
            yield {
                **data.record.labels(),
                "conversation": "all" if place is None else names[firsts[place]] or "none",
                "clock": clock,
                "turns": float(turns[at].mean()),
                "held": values["mean"].size,
                **{
                    f"{figure}_p{percent}_ns": int(ns) if math.isfinite(ns) else None
                    for figure, percent in FIGURES
                    for ns in [percentile_inverted_cdf(values[figure], percent)]
                },
                "flags": list(group.flags[data.trial_id]),
            }
