"""The deadline that each trial can promise."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import product
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.groups import Group
from orchestrator.analysis.quality import JudgedMean
from orchestrator.analysis.table import (
    ANY_CLOCK,
    FLAGS,
    METRIC,
    PARAMETERS,
    Column,
    Context,
    Row,
    table,
)
from orchestrator.analysis.trial_data import TrialData
from orchestrator.configuration.analysis import DeadlineConfig
from orchestrator.stats.certificate import certify
from orchestrator.stats.latency import percentile_inverted_cdf
from orchestrator.stats.tail_quality import mean_deadlines, round_deadlines
from orchestrator.stats.times import Clock

NOTHING_TO_KEEP: Mapping[str, Any] = {
    "deadline_ns": None,
    "certified": False,
    "reason": "no answer is right, so there is no quality to keep",
    "observed_ns": None,
    "parameters": {},
    "later_rounds": 0,
    "later_breaks": None,
    "more_rounds": None,
}


@table(
    "deadline",
    (
        METRIC,
        ANY_CLOCK,
        Column(
            "reference",
            "str",
            "`own`: the trial's own ideal quality; `common`: one for all models",
        ),
        Column("reference_quality", "float", "ideal quality that the floor is a share of"),
        Column("quality_share", "float", "required share of `reference_quality`"),
        Column("floor", "float", "quality that a round must reach", "keep", "quality"),
        Column("late_share", "float", "share of rounds that may fall below the floor"),
        Column("confidence", "float", "confidence of the certificate"),
        Column(
            "deadline_ns",
            "int64?",
            "certified deadline: within it, a share of 1 - `late_share` of rounds reaches the "
            "floor; null unless `certified`",
            "deadline",
            "ms",
        ),
        Column("certified", "bool", "whether the deadline is certified"),
        Column("reason", "str?", "why it cannot be certified", "why not certified"),
        Column(
            "observed_ns",
            "int64?",
            "deadline that this share of these rounds kept: an observation, no certificate",
            "observed",
            "ms",
        ),
        Column("threshold_origin", "str", "`own`: the trial's own rounds choose it"),
        Column("method", "str", "method of the estimate"),
        PARAMETERS,
        Column(
            "rounds",
            "int32",
            "number of rounds of the certificate; all rounds, if they are too few",
            "rounds",
            "count",
        ),
        Column("later_rounds", "int32", "rounds after those of the certificate"),
        Column(
            "later_breaks",
            "int32?",
            "of these, rounds that missed the certified deadline; null without one, but for flags",
        ),
        Column(
            "more_rounds",
            "int32?",
            "rounds that are missing to the number fixed beforehand; null: none, or imported",
        ),
        FLAGS,
    ),
    per="trial",
    title="Deadlines of {task} ({metric}, {clock} time)",
    note="Certified: with the confidence of analysis.deadline, the required share of rounds to "
    "come keeps this quality. Observed: this share of the measured rounds kept it, which promises "
    "nothing. Where models differ in ideal quality, a second row is for the quality that all of "
    "them can keep.",
    where={"clock": "@clock"},
    section="Deadlines kept",
)
def deadline(context: Context, group: Group, data: TrialData) -> Iterator[Row]:
    """Yield one row per trial, clock and quality floor: the time that most rounds keep.

    The floor is ``quality_share`` x ``reference_quality``: its own ideal, or the common one.
    """
    judged, wanted = data.judged(data.metric), context.analysis.deadline
    if math.isnan(judged.ideal()):
        return
    ideals = (one.judged(one.metric).ideal() for one in group.trials)
    common = min((ideal for ideal in ideals if ideal > 0), default=0.0)
    qualities = {"own": judged.ideal(), "common": common}
    floors = {reference: wanted.quality * quality for reference, quality in qualities.items()}
    positive = sorted({floor for floor in floors.values() if floor > 0})
    by_clock: dict[Clock, dict[float, NDArray[np.float64]]] = {}  # of every round, [R], by floor
    for clock, times in data.times.items():
        if isinstance(judged, JudgedMean):
            found = list(mean_deadlines(judged.scores, times, positive))
        else:
            found = [round_deadlines(judged.curve, times, floor) for floor in positive]
        by_clock[clock] = dict(zip(positive, found, strict=True))
    flags = group.flags[data.trial_id]
    for reference, clock in product(qualities, data.times):
        of_rounds = by_clock[clock].get(floors[reference])
        yield {
            **data.record.labels(),
            "metric": data.metric,
            "clock": clock,
            "reference": reference,
            "reference_quality": judged.shown(qualities[reference]),
            "quality_share": wanted.quality,
            "floor": judged.shown(floors[reference]),
            "late_share": wanted.late_share,
            "confidence": wanted.confidence,
            "threshold_origin": "own",
            "method": "korn-graubard",
            "rounds": len(data.times[clock]),
            "flags": list(flags),
            **(NOTHING_TO_KEEP if of_rounds is None else _promise(data, of_rounds, flags, wanted)),
        }


def _promise(
    data: TrialData, found: NDArray[np.float64], flags: Sequence[str], wanted: DeadlineConfig
) -> Row:
    promise = certify(
        found,
        data.visits,
        rounds_of_certificate(data),
        late_share=wanted.late_share,
        confidence=wanted.confidence,
    )
    first, later = np.split(found, [promise.rounds])
    # In decimals: 100 * (1 - 0.41) is above 59, and its rank one too high
    observed = percentile_inverted_cdf(first, float(100 - 100 * Fraction(str(wanted.late_share))))
    reason = ", ".join(flags) or promise.reason or None
    certified = promise.ns is not None and reason is None
    return {
        "deadline_ns": math.ceil(promise.ns) if promise.ns is not None and certified else None,
        "certified": certified,
        "reason": reason,
        "observed_ns": math.ceil(observed) if math.isfinite(observed) else None,
        "parameters": {"breaks": float(promise.breaks), "n_eff": promise.effective},
        "rounds": promise.rounds,
        "later_rounds": later.size,
        "later_breaks": None if promise.ns is None else int((later > promise.ns).sum()),
        "more_rounds": None if data.record.imported else promise.more_rounds or None,
    }


def rounds_of_certificate(data: TrialData) -> int:
    """Return the number of rounds that a certificate rests on, fixed before measuring.

    ``certify_rounds``, or all under rule ``rounds`` where these are more.
    """
    measurement = data.record.trial.measurement
    complete = len(data.times[data.clock]) >= measurement.max_rounds
    everything = measurement.rule == "rounds" and complete
    return max(measurement.certify_rounds, measurement.max_rounds if everything else 0)


Deadlines: TypeAlias = tuple[float, float]
NEVER: Deadlines = (math.inf, math.inf)


def kept_from(rows: Iterable[Row], clock: str) -> dict[str, Deadlines]:
    """Return from which deadlines on each trial keeps its own quality: certified, observed, in ns.

    Of systems that keep exactly as much, the one with the shortest deadline stands first.
    """
    return {
        row["trial"]: (row["deadline_ns"] or math.inf, row["observed_ns"] or math.inf)
        for row in rows
        if (row["clock"], row["reference"]) == (clock, "own")
    }


def longest(of_processes: Iterable[Deadlines]) -> Deadlines:
    """Return from which deadlines on all processes of a system keep their quality."""
    certified, observed = zip(*of_processes, strict=True)
    return max(certified), max(observed)
