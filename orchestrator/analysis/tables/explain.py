from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.evidence import EVIDENCE, FOREIGN, FOREIGN_OF_BEFORE, Evidence
from orchestrator.analysis.groups import Group
from orchestrator.analysis.table import FLAGS, METRIC, Column, Context, Row, View, table
from orchestrator.analysis.trial_data import TrialData
from orchestrator.analysis.units import spans_ns
from orchestrator.stats.slow_rounds import (
    FEWEST_ROUNDS,
    LEVEL,
    Association,
    association,
    disturbed,
    divide_lateness,
)
from orchestrator.stats.units import Floats, correlation_of_neighbours
from orchestrator.storage.stored_form import finite

TOO_FEW = f"fewer than {FEWEST_ROUNDS} rounds: nothing can be named"


@table(
    "explain",
    (
        Column("evidence", "str", "name of the evidence", "evidence"),
        Column("column", "str", "column of `rounds/`"),
        Column(
            "unit",
            "str",
            "unit of the evidence, such as *per second*, *cores* or *share of the round* (under "
            "load of the stream)",
        ),
        Column(
            "source",
            "str",
            "`I/O`, `runtime`, `hardware` or `system`, as in arXiv 2209.05487",
        ),
        Column(
            "role",
            "str",
            "`cause`, or `sign`: it shows that the process waited, not why",
            "role",
        ),
        Column(
            "place",
            "int32?",
            "rank among the named evidence, from 1, causes before signs; null if not named",
            "place",
            "count",
        ),
        Column(
            "late_correlation",
            "float?",
            "rank correlation with the share of late inferences; null if one of them is constant",
            "with late answers",
            "number .2f",
        ),
        Column(
            "late_p",
            "float",
            "one-sided p-value, adjusted for all tests of the trial",
            "p",
            "p",
        ),
        Column(
            "time_correlation",
            "float?",
            "rank correlation with the mean time of a round's inferences on the first clock",
            "with time",
            "number .2f",
        ),
        Column("time_p", "float", "p-value, adjusted likewise", "p of it", "p"),
        Column("method", "str", "`circular shifts` or `visits exchanged`"),
        Column(
            "boundary",
            "float?",
            "boundary between quiet and disturbed rounds, in `unit`; null if all rounds are alike",
        ),
        Column(
            "quiet_rounds",
            "int32",
            "number of quiet rounds (under load streams): those with little of the evidence",
        ),
        Column("quiet_late", "float?", "share of late inferences in these rounds"),
        Column(
            "quiet_mean",
            "float?",
            "tail quality in these rounds, a mean over rounds",
            "quiet",
            "quality",
        ),
        Column(
            "disturbed_rounds",
            "int32",
            "number of disturbed rounds: those with much of the evidence",
        ),
        Column("disturbed_late", "float?", "share of late inferences in these rounds"),
        Column("disturbed_mean", "float?", "tail quality in these rounds", "disturbed", "quality"),
        METRIC,
        Column(
            "threshold",
            "str",
            "label of the primary threshold, on the total clock, under load on `response`",
        ),
        Column("threshold_ns", "int64", "the time bound"),
        Column("threshold_origin", "str", "`absolute` or `reference`"),
        Column(
            "threshold_reference",
            "str?",
            "the trial whose percentile it is, where the origin is `reference`",
        ),
        Column("rounds", "int32", "number of rounds"),
        Column(
            "late",
            "float",
            "share of late inferences of the trial",
            "late",
            "share",
        ),
        Column(
            "by_sample",
            "float?",
            "share of the variance of lateness that goes with the sample; null if it cannot "
            "be estimated",
            "by sample",
            "share",
        ),
        Column(
            "by_round",
            "float?",
            "share of that variance that goes with the round",
            "by round",
            "share",
        ),
        Column(
            "by_neither",
            "float?",
            "share of that variance that goes with neither",
            "by neither",
            "share",
        ),
        Column(
            "correlation_of_neighbours",
            "float",
            "correlation of the logarithms of the median times of successive rounds: high in slow "
            "spells",
        ),
        FLAGS,
    ),
    "trial",
    views=(
        View(
            "lateness",
            "Late answers of {task} ({metric}, {clock} time) within {bound}, and what explains "
            "them",
            "Late: share of inferences beyond the threshold. By sample (the input), by round (the "
            "machine), by neither (the system varies from one inference to the next): shares of "
            "the variance of lateness.",
            where={"threshold": "@primary"},
            labels={
                "late": "late",
                "by_neither": "by neither",
                "by_round": "by round",
                "by_sample": "by sample",
            },
            section="Slow rounds",
        ),
        View(
            "slow_rounds",
            "What moves with slow rounds of {task}",
            "Stored evidence that moves with late answers or with the time of rounds. Rank "
            "correlations over rounds, without linear trends; one-sided p-values, adjusted for all "
            f"tests of the trial. Evidence is named if one of both is at most {LEVEL:g}; at most "
            "5 % of trials name evidence by chance. It concerns the part *by round* alone. A sign "
            "shows that the process waited, not for whom. Quiet, disturbed: mean tail quality in "
            "rounds with little and with much of it; no round is dropped.",
            where={"place": tuple(range(1, 1 + len(EVIDENCE)))},
            labels={
                "evidence": "evidence",
                "role": "role",
                "late_correlation": "with late answers",
                "late_p": "p",
                "time_correlation": "with time",
                "time_p": "p of it",
                "quiet_mean": "quiet",
                "disturbed_mean": "disturbed",
            },
            section="Slow rounds",
        ),
        View(
            "evidence",
            "Evidence of {trial}",
            "Rank correlations over rounds, without linear trends; one-sided p-values, adjusted "
            f"for all tests of the trial. Evidence is named if one of both is at most {LEVEL:g}. "
            "A dash: the evidence is constant, or differs from its median in fewer than 6 rounds.",
            section="One trial",
            split=("trial",),
            without=("model", "system", "runtime", "batch", "settings", "repeat"),
            labels={
                "place": "place",
                "evidence": "evidence",
                "role": "role",
                "late_correlation": "with late answers",
                "late_p": "p",
                "time_correlation": "with time",
                "time_p": "p of it",
            },
        ),
    ),
)
def explain(context: Context, group: Group, data: TrialData) -> Iterator[Row]:
    """Yield one row per trial and evidence of its rounds, the named evidence first.

    Columns from ``rounds`` on describe the trial as a whole and are equal in all its rows.
    """
    threshold, flags = group.thresholds.primary, group.flags[data.trial_id]
    present = [one for one in EVIDENCE if _is_known(data, one.column)]
    if not _is_known(data, "program_cpu_ns"):
        present = [FOREIGN_OF_BEFORE if one is FOREIGN else one for one in present]
    if threshold is None or not present:
        return
    spans, judged = spans_ns(data.evidence), data.judged(data.metric)
    signed = np.array([one.harm * one.figures(data.evidence[one.column], spans) for one in present])
    times, visits = data.inferences[data.clock], data.visits
    late: NDArray[Any] = times > threshold.ns
    of_rounds = late
    quality = judged.shown(judged.curve(data.times[data.clock], [threshold.ns])[0])
    if data.streams is not None:
        # Under load, evidence is that of a whole stream, and stands in its first round: so all
        # else is a mean over the rounds of a stream.
        first = np.unique(data.streams, return_index=True)[1]
        signed, visits = signed[:, first], None
        sizes = np.diff(np.append(first, len(late)))
        late, times, quality = (
            np.asarray((np.add.reduceat(values.astype(np.float64), first, axis=0).T / sizes).T)
            for values in (late, times, quality)
        )
    found = association([late.mean(axis=1), times.mean(axis=1)], signed, visits)
    medians = np.median(data.inferences[data.clock], axis=1)
    shared = {
        "metric": data.metric,
        **threshold.columns(),
        "rounds": len(of_rounds),
        "late": float(of_rounds.mean()),
        **_divided(of_rounds, data.batch_of is not None),
        "correlation_of_neighbours": float(correlation_of_neighbours(np.log(medians)[None])[0]),
        "flags": [*flags, TOO_FEW] if len(late) < FEWEST_ROUNDS else list(flags),
    }
    named = _named(present, found)
    for at in [*named, *(at for at in range(len(present)) if at not in named)]:
        evidence, much = present[at], disturbed(signed[at])
        yield {
            **data.record.labels(),
            "evidence": evidence.name,
            "column": evidence.column,
            "unit": evidence.unit,
            "source": evidence.source,
            "role": "cause" if evidence.origin else "sign",
            "place": named.index(at) + 1 if at in named else None,
            "late_correlation": finite(found.correlations[0, at]),
            "late_p": float(found.p_values[0, at]),
            "time_correlation": finite(found.correlations[1, at]),
            "time_p": float(found.p_values[1, at]),
            "method": found.method,
            "boundary": float(evidence.harm * np.nanmax(signed[at][~much])) if much.any() else None,
            **_side("quiet", ~much, late, quality),
            **_side("disturbed", much, late, quality),
            **shared,
        }


def _is_known(data: TrialData, column: str) -> bool:
    return bool(np.isfinite(data.evidence.get(column, np.empty(0))).any())


def _named(present: Sequence[Evidence], found: Association) -> list[int]:
    """Return the places of what stands out: causes first, then by p-value and by correlation."""
    p_values = found.p_values.min(axis=0)
    correlations = np.nan_to_num(found.correlations, nan=-1.0).max(axis=0)
    signs = [not one.origin for one in present]
    places = np.lexsort((-correlations, p_values, signs)).tolist()
    return [at for at in places if p_values[at] <= LEVEL]


def _side(
    name: str, chosen: NDArray[np.bool_], late: NDArray[Any], quality: Floats
) -> dict[str, object]:
    return {
        f"{name}_rounds": int(chosen.sum()),
        f"{name}_late": float(late[chosen].mean()) if chosen.any() else None,
        f"{name}_mean": finite(quality[chosen].mean()) if chosen.any() else None,
    }


def _divided(late: NDArray[np.bool_], same_samples: bool) -> dict[str, float | None]:
    """Return the division of lateness; the sample's part is neither's if batches change."""
    divided = divide_lateness(late)
    if divided is None:
        return dict.fromkeys(("by_sample", "by_round", "by_neither"))
    if not same_samples:
        of_round = divided["by_round"]
        return {"by_sample": None, "by_round": of_round, "by_neither": 1 - of_round}
    return {**divided}
