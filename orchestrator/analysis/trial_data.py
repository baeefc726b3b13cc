"""What analysis needs of one stored trial, as numpy arrays."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from orchestrator.analysis.flags import CACHE_UNKNOWN, CACHED
from orchestrator.analysis.quality import (
    AskedMetric,
    JudgedMean,
    JudgedWhole,
    Judgement,
    NothingToKeep,
    answers_at_stake,
    ideal_quality,
    judge,
    judge_parts,
    judged_mean,
)
from orchestrator.analysis.units import Unit, flags_of_units
from orchestrator.contracts import InputError, doubling_range, first_line
from orchestrator.metrics import METRICS, Answers, UnknownMetric, find_metric
from orchestrator.stats.times import Clock, primary_of
from orchestrator.stats.units import Units, enough_units, number_of_units
from orchestrator.storage import schema
from orchestrator.storage.load import MEASURE_AGAIN
from orchestrator.storage.matrix import TokenGaps
from orchestrator.storage.records import TrialRecord
from orchestrator.subject.samples import (
    PICTURES,
    SIZE,
    batch_numbers,
    order_of_round,
    slices_offered,
)

# Flag: another version of this program measured it, whose metrics gave other scores.
OTHERWISE = "judged otherwise than when measured"
# Shares of prompt tokens: above that of the warm-up by so much, or so high, prompts came from a
# cache that knew them whole. A first part that all prompts share is cached in the warm-up, too.
MORE_CACHED, MOST_CACHED = 0.05, 0.9


def is_alike(found: ArrayLike, stored: ArrayLike) -> NDArray[np.bool_]:
    """Return where figures are those that are stored, but for rounding."""
    rounding = 1e-9 * np.maximum(1.0, np.abs(stored))
    return np.asarray(np.abs(np.subtract(found, stored)) <= rounding)


@dataclass(frozen=True)
class Beside:
    """What is stored beside the clocks of a trial.

    started_ms
        when each round began, ms since 1970, [R].
    stage_means_ns
        mean time per stage, of the inferences that have a time.
    gap_ns
        median and p99 of our own loop between two inferences. None if a round has only one.
    """

    started_ms: NDArray[np.float64]
    stage_means_ns: Mapping[str, float]
    gap_ns: tuple[float, float] | None


@dataclass(frozen=True)
class TrialData:
    """One trial with at least one complete round.

    times
        per clock, ns, [R, S]; +inf where the outcome is not ``ok``. For what is judged by sample.
    inferences
        the same, one time per inference, [R, B], in the order they ran: for code that takes times
        as data. With one sample per inference the arrays of ``times``, in order of sample.
    references, predictions
        one per sample; an answer is the first that there is, of whichever round.
    names, outcome, incomplete
        of the samples; index into ``schema.OUTCOMES``, [R, S]; rounds that ended early, [R].
    visits
        units of intervals: number of the visit of each round, [R], rising, where visits lie apart
        in time (`units.visits_apart`), or of its stream; else None.
    turns
        number of the visit of each round, [R], however long the pauses; None under load. Trials
        that were measured together had their visits of one number in one cycle.
    slices
        per name of a slice the group of each sample, None if it belongs to none.
    scores
        per metric that is a mean the stored score of each sample, [S].
    evidence
        per column of the rounds that holds numbers, what was counted, [R], NaN where nothing was.
    arrivals, streams, overloaded
        under load: when each sample arrived, ns from the start of its stream, [R, S]; the stream of
        each round, [R]; rounds of a stream that ended early as too many samples waited, [R].
    truncated
        answers that ended at their limit of tokens, [R, S]; None where nothing says so.
    beside
        what stands beside the clocks; None where it was not read.
    different_answers, changed_samples
        answers of all rounds that differ from the first warm-up round's, and of how many samples.
    token_gaps
        of streamed answers; None where there are none, or their gaps were not stored.
    others
        of a server's trial, by row of a round: answers by sample that differ from the first ones.
    judged_here
        whether this version of the program gave the answers their stored scores; None: not known.
    """

    record: TrialRecord
    times: Mapping[Clock, NDArray[np.float64]]
    inferences: Mapping[Clock, NDArray[np.float64]]
    references: Sequence[Any]
    predictions: Sequence[Any]
    slices: Mapping[str, Sequence[str | None]]
    input_sizes: NDArray[np.int64]
    different_answers: int
    names: Sequence[str] = ()
    outcome: NDArray[np.int8] = field(default_factory=lambda: np.zeros((0, 0), dtype=np.int8))
    incomplete: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, dtype=np.bool_))
    scores: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    visits: NDArray[np.int32] | None = None
    turns: NDArray[np.int32] | None = None
    evidence: Mapping[str, NDArray[np.float64]] = field(default_factory=dict, repr=False)
    arrivals: NDArray[np.float64] | None = None
    streams: NDArray[np.int32] | None = None
    overloaded: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, dtype=np.bool_))
    changed_samples: int = 0
    truncated: NDArray[np.bool_] | None = None
    beside: Beside | None = field(default=None, repr=False)
    token_gaps: TokenGaps | None = None
    others: Mapping[int, Mapping[int, Any]] = field(default_factory=dict, repr=False)
    judged_here: bool | None = None
    _judged: dict[str, Judgement] = field(default_factory=dict, repr=False)
    _otherwise: dict[str, str] = field(default_factory=dict, repr=False)

    @property
    def trial_id(self) -> str:
        return self.record.trial_id

    @property
    def visit_count(self) -> int:
        """How many visits lie apart in time, or streams; 1 where rounds are one stretch."""
        return max(1, number_of_units(self.visits))

    def units_from(self, first_round: int) -> Units | None:
        """Return the unit of each round from one on, [R]; None where rounds form one stretch."""
        return None if self.visits is None else self.visits[first_round:]

    def unit_from(self, first_round: int) -> Unit:
        """Return what intervals over the rounds from one on take as independent of each other."""
        if not enough_units(self.units_from(first_round)):
            return "rounds"
        return "visits" if self.streams is None else "streams"

    @property
    def metric(self) -> str:
        return self.record.metrics[0]

    def as_run(self, clock: Clock, row: int) -> NDArray[np.float64]:
        """Return the times of a round's inferences in ns, [B], in the order in which they ran."""
        if self.record.trial.fixed_batch > 1:
            return np.asarray(self.inferences[clock][row])
        times, numbers = self.times[clock], self.evidence.get("round")
        number = row if numbers is None else int(numbers[row])
        return np.asarray(times[row, order_of_round(self.record.trial, times.shape[1], number)])

    def served(self, clock: Clock) -> NDArray[np.float64]:
        """Return the times of a clock, any shape, without samples that were dropped."""
        times, dropped = self.inferences[clock], self.outcome == schema.DROPPED
        return times[~dropped] if self.arrivals is not None and dropped.any() else times

    def judged(self, metric: str) -> Judgement:
        """Return the answers of all samples compared with the references, once per metric."""
        if metric not in self._judged:
            self._judged[metric] = self.judged_of_some(metric, self.everything)
        return self._judged[metric]

    @property
    def everything(self) -> NDArray[np.bool_]:
        return np.ones(len(self.references), dtype=np.bool_)

    def judged_of_some(self, metric: str, members: NDArray[np.bool_]) -> Judgement:
        """Return the answers to the samples that are ``members``, [S], compared with references.

        A metric unknown here is read from the stored scores, if there are any; so is every metric
        of an imported trial that came with scores. Raises InputError.
        """
        with self._named(metric):
            if self._scored(metric):
                return judged_mean(
                    metric, self.scores[metric][members], self.record.late.get(metric)
                )
            judged = judge(metric, self.answers(members))
            if members.all() and self.judged_here is not None and metric in METRICS:
                self._compare(metric, judged)
            return (
                self._by_round(metric, members, judged)
                if self.others and isinstance(judged, JudgedMean)
                else judged
            )

    def _compare(self, metric: str, judged: Judgement) -> None:
        """Note where a metric of ours finds other scores than are stored.

        Raises InputError where it is the metric that found those.
        """
        ideal, known = ideal_quality(judged), self.record.ideal.get(metric, math.nan)
        stored, why = self.scores.get(metric), ""
        if math.isfinite(known) and not is_alike(ideal, known):
            why = (
                f"the answers in predictions.parquet give {metric}={ideal:.9g}, and trial.json has "
                f"ideal {metric}={known:.9g}"
            )
        elif (
            stored is not None
            and judged.is_mean
            and not (alike := is_alike(judged.raw, stored)).all()
        ):
            row = int(np.argmin(alike))
            why = (
                f"predictions.parquet has score_{metric}={stored[row]:.9g} at sample {row}, whose "
                f"answer gives {judged.raw[row]:.9g}"
            )
        if why and self.judged_here:
            raise InputError(f"{why}: one must be the other; {MEASURE_AGAIN}", "damaged")
        if why:
            self._otherwise[metric] = why

    def try_metric(self, metric: str) -> None:
        """Judge all answers, at times of each clock too. Raises MetricBroken if a metric cannot."""
        with suppress(NothingToKeep):
            judged = self.judged(metric)
            if isinstance(judged, JudgedWhole) and not judged.asked.is_ours:
                with self._named(metric):
                    for times in self.times.values():
                        judged.curve(
                            times, np.quantile(times, [0.0, 0.5, 0.9], method="inverted_cdf")
                        )

    def parts(self, metric: str, name: str) -> dict[str, tuple[Judgement, int]]:
        """Return the groups of a slice that a metric makes of parts of samples, if it does."""
        with self._named(metric):
            if self._scored(metric):
                return {}
            return judge_parts(metric, name, self.answers(self.everything))

    def _scored(self, metric: str) -> bool:
        """Return whether the stored scores of a metric count, and not the answers."""
        if metric in self.scores and not self.record.imported:
            with suppress(UnknownMetric):
                find_metric(metric)
                return False
        return metric in self.scores

    @contextmanager
    def _named(self, metric: str) -> Iterator[None]:
        try:
            yield
        except InputError as error:
            raise type(error)(
                f"{self.trial_id}: {error}", error.code, error.key, error.value
            ) from error
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise InputError(
                f"{metric} cannot judge the stored answers of {self.trial_id} "
                f"({first_line(error)}): repair the metric, or name another",
                value=metric,
            ) from error

    def _by_round(self, metric: str, members: NDArray[np.bool_], first: JudgedMean) -> JudgedMean:
        """Return a metric by the answers of each round; by the first where some lose quality."""
        asked, found = AskedMetric(metric), self.answers(members)
        by_round = np.tile(first.raw, (len(self.incomplete), 1))
        for row, others in self.others.items():
            pairs = zip(np.flatnonzero(members).tolist(), found.predictions, strict=True)
            own = [others.get(index, answer) for index, answer in pairs]
            by_round[row] = asked.score(replace(found, predictions=own))
        if (first.gained(by_round) < 0).any():
            return first
        return JudgedMean(by_round.mean(axis=0), first.late, by_round)

    @property
    def slices_offered(self) -> set[str]:
        return slices_offered(self.slices, self.record.trial.task.kind, self.record.metrics)

    def groups_of(self, name: str) -> Sequence[str | None]:
        """Return the group of each sample in a slice, None: in none; empty where there is none."""
        if name not in self.slices and name == SIZE and self.record.trial.task.kind in PICTURES:
            return [
                doubling_range(math.sqrt(max(pixels, 0))) for pixels in self.input_sizes.tolist()
            ]  # the side of as large a square
        return self.slices.get(name, ())

    def answers(self, members: NDArray[np.bool_]) -> Answers:
        """Return what was answered to the samples that are ``members``, [S]."""
        chosen = [int(index) for index in np.flatnonzero(members)]
        return Answers(
            predictions=[self.predictions[index] for index in chosen],
            references=[self.references[index] for index in chosen],
            slices={
                name: [groups[index] for index in chosen] for name, groups in self.slices.items()
            },
        )

    @property
    def batch_of(self) -> NDArray[np.intp] | None:
        """The inference of each sample, [S]; None where every round puts others together."""
        trial, samples = self.record.trial, len(self.references)
        if trial.fixed_batch == 1:
            return np.arange(samples)
        return None if trial.measurement.order == "shuffled" else batch_numbers(trial, samples)

    def own_times(self, clock: Clock) -> NDArray[np.float64]:
        """Return times in ns whose columns have one distribution each, [R, B].

        Columns are inferences, or samples where each round puts others together into a batch.
        """
        return self.times[clock] if self.batch_of is None else self.inferences[clock]

    def answers_at_stake(
        self, judged: Judgement, members: NDArray[np.bool_] | None = None
    ) -> float:
        """Return how many answers a round can lose over the ``members``, [S], by default all.

        Samples of a batch are late together; of a shuffled order the first round's batches count.
        """
        some, trial = self.everything if members is None else members, self.record.trial
        of = None if trial.fixed_batch == 1 else batch_numbers(trial, some.size)[some]
        return answers_at_stake(judged, int(some.sum()), of)

    def scores_per_inference(self) -> NDArray[np.float64] | None:
        """Return what each inference adds to quality, [B], so that their mean is ideal quality.

        None for a metric that is no mean, and where every round puts other samples together.
        """
        judged, batch_of = self.judged(self.metric), self.batch_of
        if not isinstance(judged, JudgedMean) or batch_of is None:
            return None
        if self.record.trial.fixed_batch == 1:
            return judged.scores
        sums = np.bincount(batch_of, weights=judged.scores)
        return np.asarray(sums * (sums.size / judged.scores.size))

    @property
    def group(self) -> tuple[str, str, bool]:
        """What trials of one table share: task, digest of its data, under load or not."""
        trial = self.record.trial
        return trial.task.name, str(self.record.digests.get("data")), trial.load.is_open

    @property
    def clock(self) -> Clock:
        return primary_of(self.times.keys())

    @property
    def cached_share(self) -> float | None:
        """The share of prompt tokens in the server's cache, of all rounds; None if nothing says."""
        asked, held = (
            float(np.nansum(self.evidence.get(name, np.nan)))
            for name in ("prompt_tokens", "cached_tokens")
        )
        return held / asked if asked else None

    @property
    def _flag_of_cache(self) -> str:
        facts, share = self.record.facts, self.cached_share
        if share is None:
            unknown = facts.get("cache") == "as_is" and not self.record.trial.server.is_started
            return CACHE_UNKNOWN if unknown else ""
        before = facts.get("cached_of_warmup")
        common = before if isinstance(before, float) else 0.0
        is_cached = share > min(common + MORE_CACHED, MOST_CACHED)
        return f"{CACHED} ({100 * share:.1f} %)" if is_cached else ""

    @property
    def flags(self) -> tuple[str, ...]:
        unmeasured, record = int(self.incomplete.sum()), self.record
        otherwise = self.judged_here is False and self.judged(self.metric) and self._otherwise
        told = (
            (record.placement.get("pinned") is False, "unpinned"),
            (record.imported, "imported"),
            (record.state != "done", record.state),
            (unmeasured, f"{unmeasured} incomplete {'round' if unmeasured == 1 else 'rounds'}"),
            (record.changes, "changes accepted"),
            (self.different_answers, "answers change"),
            (otherwise, OTHERWISE),
            (cache := self._flag_of_cache, cache),
        )
        of_units = flags_of_units(self.visits, under_load=record.trial.load.is_open)
        own = (flag for holds, flag in told if holds)
        return tuple(dict.fromkeys([*record.flags_of_figures, *own, *of_units]))
