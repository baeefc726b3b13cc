"""Streaming quality: whenever a frame arrives, the newest answer there is counts for it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple

import numpy as np

from orchestrator.analysis.groups import Group
from orchestrator.analysis.quality import (
    Judgement,
    better_of_each,
    ideal_quality,
    in_blocks,
    over_processes,
)
from orchestrator.analysis.ranking import is_shown_worse
from orchestrator.analysis.replay_streams import can_play, services_of
from orchestrator.analysis.standing import Numbers, fresher, gains_of_sets
from orchestrator.analysis.table import FLAGS, METRIC, Column, Context, Row, table
from orchestrator.analysis.tables.comparison import (
    EXACTLY,
    Side,
    best_first,
    less_than_best,
    system_at,
)
from orchestrator.analysis.tables.tail_quality import figure_of
from orchestrator.analysis.threads import map_in_threads
from orchestrator.analysis.trial_data import TrialData
from orchestrator.configuration.analysis import AnalysisConfig
from orchestrator.contracts import by_key
from orchestrator.stats.interval import mean_intervals
from orchestrator.stats.queueing import NO_LIMIT, AnyPolicy, periodic, serve, standing
from orchestrator.stats.thresholds import Threshold
from orchestrator.stats.times import PRIMARY_CLOCK
from orchestrator.stats.units import Floats, ranks
from orchestrator.storage.stored_form import finite
from orchestrator.subject.samples import SEQUENCE, turns_of

# Rates in equal ratios from the lowest to the highest that is asked for: fewer where these many
# frames are played in all.
STEPS, FEWEST_STEPS, MOST_FRAMES = 40, 12, 2**22


@table(
    "streaming",
    (
        METRIC,
        Column("rate_per_s", "float", "frames a second", "frame rate", "per_s"),
        Column("asked", "bool", "whether `analysis.frame_rates` names this rate"),
        Column("policy", "str", "which frame is answered next: `analysis.frame_policy`"),
        Column("late", "str", "what stands where an answer is late: `analysis.late`"),
        Column(
            "fallback",
            "str?",
            "the trial whose answers stand where they belong to later frames",
            "fallback",
        ),
        Column("ideal", "float", "quality of each frame's own answer, without a deadline"),
        Column(
            "mean",
            "float",
            "streaming quality: a mean over rounds, of repeats over processes",
            "streaming",
            "quality [interval_low, interval_high]",
        ),
        Column("interval_low", "float", "lower limit of its 95 % interval"),
        Column("interval_high", "float", "upper limit"),
        Column("deadline_ns", "int64", "the time between two frames", form="ms"),
        Column(
            "tail_mean",
            "float",
            "tail quality within that time, on the total clock",
            "tail quality",
            "quality [tail_low, tail_high]",
        ),
        Column("tail_low", "float", "lower limit of its 95 % interval"),
        Column("tail_high", "float", "upper limit"),
        Column(
            "age",
            "float?",
            "mean number of frames since the one whose answer stands; null where none does",
            "age",
            "number .2f",
        ),
        Column("answered", "float", "share of frames that were answered", form="share"),
        Column("skipped", "float", "share of frames that were skipped", "skipped", "share"),
        Column("place", "int32", "by streaming quality; equal ones share the better place"),
        Column("tail_place", "int32", "the same by tail quality"),
        Column("best", "str", "the system of the highest streaming quality, by its first trial"),
        Column(
            "difference",
            "float?",
            "streaming quality minus the best's, over visits or repeats that alternate; null for "
            "the best",
            "minus the best",
            "signed [difference_low, difference_high]",
        ),
        Column(
            "difference_low",
            "float?",
            "lower limit, at 95 % for all pairs of one rate together; null where untested",
        ),
        Column("difference_high", "float?", "upper limit"),
        Column("worse", "bool?", "whether it is shown worse than the best; null where untested"),
        Column("interval_unit", "str", "`visits`, `rounds` or, of repeats, `processes`"),
        Column("processes", "int32", "number of repeats"),
        Column("sequences", "int32", "number of sequences"),
        Column("frames", "int32", "number of frames of all sequences"),
        Column("rounds", "int32", "rounds of all processes"),
        FLAGS,
    ),
    per="group",
    title="Streaming quality of {task} ({metric}): {policy}, {late}",
    note="Stored times played at frame rates. streaming: when a frame arrives, the newest answer "
    "there is counts for it. tail quality: late answers count as failed, within the time between "
    "two frames. age: of the answer that counts, in frames. With 95 % intervals.",
    section="Tail quality at every threshold",
    where={"asked": True},
)
def streaming(context: Context, group: Group) -> Iterator[Row]:
    """Yield one row per system and frame rate, for tasks whose samples name their ``sequence``.

    Rates between those that are asked for show where the ranking changes. Trials of a closed loop,
    one sample after another, are played; ``trial`` is the first of repeats. A limit draws single
    frames, whose times between them are unknown: such trials are left out.
    """
    analysis, wanted = context.analysis, context.analysis.fallback
    trials = [
        data
        for data in group.trials
        if SEQUENCE in data.slices and can_play(data) and figure_of(data, data.metric) is not None
        if not (data.others or data.record.imported or data.record.trial.task.limit)
    ]
    fallback = [data for data in trials if wanted in (data.trial_id, data.record.match_key)][:1]
    asked = sorted({*analysis.frame_rates}) if trials else []
    frames = sum(data.times[PRIMARY_CLOCK].size for data in trials)
    steps = max(FEWEST_STEPS, min(STEPS, MOST_FRAMES // max(1, frames)))
    between = np.geomspace(asked[0], asked[-1], steps)[1:-1].tolist() if trials else []
    rates = sorted({*asked, *(float(f"{rate:.4g}") for rate in between)})
    played = map_in_threads(partial(_play, rates, analysis, fallback), trials)
    systems = list(by_key(played, lambda one: one.data.record.match_key).values())
    sides = [[Side(one.data, (), one.gains, ()) for one in repeats] for repeats in systems]
    figures = [(_means(repeats, "gains"), _means(repeats, "tails")) for repeats in systems]
    videos = [len(turns_of(of[0].data.slices[SEQUENCE]) or ()) for of in systems]
    for at, rate in enumerate(rates):
        ordered = best_first((system_at(of, at) for of in sides), {})
        less = less_than_best(ordered, Threshold("", _period_ns(rate), "absolute"))
        than_best = {row["match_key"]: row for row in less}
        means = [[-round(of[at, 0], EXACTLY) for of in kind] for kind in zip(*figures, strict=True)]
        place, tail_place = ranks(means, "least").astype(int).tolist()
        for number, repeats in enumerate(systems):
            first, (streamed, tail) = repeats[0], figures[number]
            row = than_best.get(first.data.record.match_key, {})
            age, answered, skipped = np.mean([one.shares[at] for one in repeats], axis=0).tolist()
            yield {
                **first.data.record.labels(),
                "metric": first.data.metric,
                "rate_per_s": rate,
                "asked": rate in analysis.frame_rates,
                "policy": analysis.frame_policy,
                "late": analysis.late,
                "fallback": first.fallback,
                "ideal": ideal_quality(first.alone),
                **_shown(first.judged, streamed[at], ("mean", "interval_low", "interval_high")),
                "deadline_ns": _period_ns(rate),
                **_shown(first.alone, tail[at], ("tail_mean", "tail_low", "tail_high")),
                "age": finite(age),
                "answered": answered,
                "skipped": skipped,
                "place": place[number],
                "tail_place": tail_place[number],
                "best": ordered[0].repeats[0].data.trial_id,
                "difference": row.get("difference"),
                "difference_low": row.get("interval_low"),
                "difference_high": row.get("interval_high"),
                "worse": is_shown_worse(row) if row else None,
                "interval_unit": "processes" if repeats[1:] else first.data.unit_from(0),
                "processes": len(repeats),
                "sequences": videos[number],
                "frames": len(first.data.references),
                "rounds": sum(one.gains.shape[1] for one in repeats),
                "flags": group.flags_of(one.data for one in repeats),
            }


@dataclass(frozen=True)
class Played:
    """A trial at F frame rates: what each of R rounds gains as a stream, and within a deadline.

    Both are [F, R]. ``shares``, [F, 3], are the mean age of the answers that stand, NaN where none
    does, and the shares of frames that were answered and skipped. ``judged`` counts answers of the
    trial and its fallback, ``alone`` its own.
    """

    data: TrialData
    fallback: str | None
    judged: Judgement
    alone: Judgement
    gains: Floats
    tails: Floats
    shares: Floats


def _play(
    rates: Sequence[float], analysis: AnalysisConfig, named: Sequence[TrialData], data: TrialData
) -> Played:
    others = [one for one in named if one.record.match_key != data.record.match_key]
    alone, fallback, trials = data.judged(data.metric), None, [data, *others]
    judged = alone
    for other in others:
        judged, fallback = better_of_each(alone, other.judged(data.metric)), other.trial_id
    times, gains, shares = data.times[PRIMARY_CLOCK], [], []
    frames = np.arange(times.shape[1])
    for some in in_blocks(rates, times.size):
        sets = []
        for rate in some:
            streams = [
                stream_of(one, rate, analysis.frame_policy, analysis.late == "drop")
                for one in trials
            ]
            answers = streams[0].stands
            for beside in streams[1:]:
                answers = fresher(answers, np.resize(beside.stands, times.shape), frames.size)
            ages = (frames - answers % frames.size)[answers >= 0]
            age = float(ages.mean()) if ages.size else np.nan
            shares.append((age, streams[0].answered, streams[0].skipped))
            sets.append(answers)
        gains.append(gains_of_sets(trials, np.concatenate(sets)).reshape(len(some), -1))
    tails = alone.curve(times, [_period_ns(rate) for rate in rates])
    figures = np.concatenate(gains), tails, np.array(shares)
    return Played(data, fallback, judged, alone, *figures)


class Stream(NamedTuple):
    """At each frame, [R, S], the frame whose answer stands, -1: none; shares answered, skipped."""

    stands: Numbers
    answered: float
    skipped: float


def stream_of(
    data: TrialData, rate_per_s: float, policy: AnyPolicy = "newest", drops: bool = False
) -> Stream:
    """Return what stands for the frames of every round, each of which plays all sequences once.

    Frame i of a sequence arrives i/rate after its first, and takes the time that it took in the
    round. With ``drops`` an answer stands only for the frame after its own.
    """
    lengths = np.array(turns_of(data.slices[SEQUENCE]), dtype=np.intp)
    firsts, times = np.cumsum(lengths) - lengths, data.times[PRIMARY_CLOCK]
    first, frames = np.repeat(firsts, lengths), np.arange(times.shape[1])
    moments, services = periodic(int(lengths.max()), rate_per_s)[frames - first], services_of(data)
    # A sequence begins when all work on the one before has surely ended.
    lasts = np.add.reduceat(services, firsts, axis=1) + moments[firsts + lengths - 1] + 1
    begins = (np.cumsum(lasts) - lasts.ravel()).reshape(lasts.shape)
    arrivals = np.repeat(begins, lengths, axis=1) + moments
    waits = serve(arrivals.ravel(), services.ravel(), policy).reshape(times.shape)
    answered = (waits >= 0) & np.isfinite(times)
    ends = np.where(answered, arrivals + waits + services, NO_LIMIT)
    places = standing(arrivals.ravel(), ends.ravel()).reshape(times.shape)
    stands = places - frames.size * np.arange(len(times))[:, np.newaxis]
    known = stands >= np.maximum(first, frames - 1 if drops else 0)
    return Stream(np.where(known, stands, -1), float(answered.mean()), float((waits < 0).mean()))


def _period_ns(rate_per_s: float) -> int:
    return int(periodic(2, rate_per_s)[1])


def _means(repeats: Sequence[Played], of: Literal["gains", "tails"]) -> Floats:
    """Return the mean gain of a system at each rate with its limits, [F, 3].

    Units are those of rounds, of repeats the processes, as everywhere.
    """
    curves, first = [getattr(one, of) for one in repeats], repeats[0]
    judged, data = first.judged if of == "gains" else first.alone, first.data
    bounded = judged.is_bounded and min(curve.min() for curve in curves) >= 0
    if len(repeats) == 1:
        at_stake = data.answers_at_stake(judged)
        found = mean_intervals(curves[0], judged.ideal(), at_stake, data.visits, bounded=bounded)
        limits = [(one.low, one.high) for one in found]
        return np.column_stack([curves[0].mean(axis=1), limits])
    step = 1 / min(one.data.times[PRIMARY_CLOCK].size for one in repeats)
    means = np.stack([curve.mean(axis=1) for curve in curves], axis=1)
    return over_processes(judged, means, step, bounded)


def _shown(judged: Judgement, figures: Floats, names: Sequence[str]) -> dict[str, float]:
    mean, *limits = judged.shown(figures).tolist()
    return dict(zip(names, (mean, *sorted(limits)), strict=True))


class Change(NamedTuple):
    """From ``rate_per_s`` on the system ``after`` is ahead of the one that led ``before``.

    Both are first trials; between two rates, the means are taken as lines. Up to ``low`` the former
    leader is shown ahead, from ``high`` on the new one; None where nothing shows that.
    """

    before: str
    after: str
    rate_per_s: float
    low: float | None
    high: float | None


def changes(rows: Iterable[Row]) -> Iterator[Change]:
    """Yield where another system leads a group's rows from then on, by rising frame rate.

    As in ``envelope`` a leader stays until it is shown worse than the best, or that is not tested.
    """
    by_rate = by_key(rows, lambda row: float(row["rate_per_s"]))
    rates = sorted(by_rate)
    at = [{row["trial"]: row for row in by_rate[rate]} for rate in rates]
    best = [next(iter(systems.values()))["best"] for systems in at]
    leader = best[0]
    for number, after in enumerate(best):
        worse = at[number][leader]["worse"]
        if at[number][leader]["place"] == 1 or worse is False:
            continue
        before = at[:number]
        sure = [rates[i] for i, of in enumerate(before) if best[i] == leader and of[after]["worse"]]
        last = max(i for i, of in enumerate(before) if of[leader]["place"] <= of[after]["place"])
        ahead, behind = (of[leader]["mean"] - of[after]["mean"] for of in at[last : last + 2])
        crossing = rates[last] * (rates[last + 1] / rates[last]) ** (ahead / (ahead - behind))
        low, high = max(sure, default=None), rates[number] if worse else None
        yield Change(leader, after, crossing, low, high)
        leader = after
