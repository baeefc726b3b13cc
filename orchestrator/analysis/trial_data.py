"""What analysis needs of one stored trial, as numpy arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

import orchestrator
from orchestrator.analysis.beside_the_clocks import Beside, beside_the_clocks
from orchestrator.analysis.contradictions import OTHERWISE, refuse_other_data, refuse_other_means, why_otherwise
from orchestrator.analysis.known_answers import known_answers
from orchestrator.analysis.quality import (
    AskedMetric,
    JudgedMean,
    JudgedOnScale,
    MetricBroken,
    NothingToKeep,
    answers_at_stake,
    judge,
    judge_parts,
    judged_mean,
)
from orchestrator.analysis.threads import map_in_threads
from orchestrator.analysis.units import Unit, flags_of_units, visits_apart, whole_streams
from orchestrator.contracts import InputError, first_line
from orchestrator.metrics import METRICS, Answers, Judged, Part, UnknownMetric, find_metric
from orchestrator.stats.times import PRIMARY_CLOCK, Clock, primary_of
from orchestrator.stats.units import Units, enough_units
from orchestrator.storage import schema
from orchestrator.storage.load import MEASURE_AGAIN
from orchestrator.storage.matrix import RoundMatrix, round_matrix
from orchestrator.storage.reader import Campaign
from orchestrator.storage.records import TrialRecord
from orchestrator.storage.token_gaps import TokenGaps, token_gaps
from orchestrator.subject.samples import batch_numbers, first_of_batches, order_of_round
from orchestrator.subject.slices import PICTURES, SIZE, groups_by_size, slices_offered

Times = Mapping[Clock, NDArray[np.float64]]


def times_per_inference(record: TrialRecord, matrix: RoundMatrix, times: Times) -> Times:
    """Return one time per inference and clock, [R, B], of the times of all samples, [R, S]: the same arrays where a batch is one sample.

    Raises InputError if samples of one batch have different times.
    """
    if record.trial.fixed_batch == 1:
        return times
    first = _first(record, matrix)
    return {clock: np.take_along_axis(of_samples, first, axis=1) for clock, of_samples in times.items()}


def rows_per_inference(record: TrialRecord, matrix: RoundMatrix, timings: pa.Table) -> pa.Table:
    """Return one row of stored timings per inference; errors are those of `times_per_inference`."""
    if record.trial.fixed_batch == 1:
        return timings
    chosen = np.zeros(matrix.outcome.shape, dtype=bool)
    np.put_along_axis(chosen, _first(record, matrix), True, axis=1)
    row = np.searchsorted(matrix.rounds, timings.column("round").to_numpy())
    column = np.searchsorted(matrix.samples, timings.column("sample").to_numpy())
    return timings.filter(pa.array(chosen[row, column]))


def _first(record: TrialRecord, matrix: RoundMatrix) -> NDArray[np.intp]:
    try:
        return first_of_batches(record.trial, matrix.rounds, matrix.times[PRIMARY_CLOCK], matrix.incomplete)
    except InputError as error:
        raise InputError(f"{record.trial_id}: {error}") from error


@dataclass(frozen=True)
class TrialData:
    """One trial with at least one complete round.

    times
        per clock, ns, float64 [R, S]; +inf where the outcome is not ``ok``. For what is judged sample by sample: quality, deadlines.
    inferences
        the same, one time per inference, [R, B], in the order they ran: for code that takes times as data. With one sample per inference
        the arrays of ``times``, in order of sample.
    references, predictions
        one per sample; an answer is the first that there is, of whichever round.
    names, outcome, incomplete
        of the samples; index into ``schema.OUTCOMES``, [R, S]; rounds that ended before all samples were measured, [R].
    visits
        units of intervals: number of the visit that each round belongs to, [R], ascending, not without gaps, where visits lie apart in time
        (`units.visits_apart`), or of its stream; else None.
    turns
        number of the visit of each round, [R], however long the pauses; None where there are none, and under load. Trials that were
        measured together on one machine had their visits of one number in one cycle.
    slices
        per name of a slice the group of each sample, None if it belongs to none.
    scores
        per metric that is a mean the stored score of each sample, [S].
    evidence
        per column of the rounds that holds numbers, what was counted, [R], NaN where nothing was.
    arrivals, streams, overloaded
        under load: when each sample arrived, ns from the start of its stream, [R, S]; the stream of each round, [R]; rounds of a stream
        that ended early because too many samples waited, [R]. None, None and empty in a closed loop.
    beside
        what stands beside the clocks; None where it was not read.
    different_answers, changed_samples
        answers of all rounds that differ from the first round's, and how many samples they belong to.
    token_gaps
        of streamed answers; None where there are none, or their gaps were not stored.
    others
        of a server's trial, by row of a round: answers by sample that differ from the first ones; each round's own are judged.
    judged_here
        whether this version of the program gave the answers their stored scores; None where it is not known, or answers came later.
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
    beside: Beside | None = field(default=None, repr=False)
    token_gaps: TokenGaps | None = None
    others: Mapping[int, Mapping[int, Any]] = field(default_factory=dict, repr=False)
    judged_here: bool | None = None
    _judged: dict[str, Judged] = field(default_factory=dict, repr=False)
    _otherwise: dict[str, str] = field(default_factory=dict, repr=False)
    _log_medians: dict[Clock, NDArray[np.float64]] = field(default_factory=dict, repr=False)

    @property
    def trial_id(self) -> str:
        """The trial's id."""
        return self.record.trial_id

    def units_from(self, first_round: int) -> Units | None:
        """Return the unit of each round from one on, [R], for `stats.units`; None where rounds form one stretch."""
        return None if self.visits is None else self.visits[first_round:]

    def unit_from(self, first_round: int) -> Unit:
        """Return what intervals over the rounds from one on take as independent of each other."""
        if not enough_units(self.units_from(first_round)):
            return "rounds"
        return "visits" if self.streams is None else "streams"

    @property
    def metric(self) -> str:
        """The primary metric, by which trials are compared."""
        return self.record.metrics[0]

    @property
    def cut_short(self) -> NDArray[np.bool_]:
        """Whether each round ended before all its samples, [R]; where that is not known, none did."""
        return self.incomplete if self.incomplete.size else np.zeros(len(self.times[self.clock]), dtype=np.bool_)

    def as_run(self, clock: Clock, row: int) -> NDArray[np.float64]:
        """Return the times of a round's inferences in ns, [B], in the order in which they ran."""
        if self.record.trial.fixed_batch > 1:
            return np.asarray(self.inferences[clock][row])
        number = self.evidence.get("round")
        order = order_of_round(self.record.trial, self.times[clock].shape[1], row if number is None else int(number[row]))
        return np.asarray(self.times[clock][row, order])

    def served(self, clock: Clock) -> NDArray[np.float64]:
        """Return the times of a clock without those of samples that were dropped, of which there was no inference; any shape."""
        dropped = self.outcome == schema.DROPPED
        return self.inferences[clock][~dropped] if self.arrivals is not None and dropped.any() else self.inferences[clock]

    def log_medians(self, clock: Clock) -> NDArray[np.float64]:
        """Return the logarithm of each round's median time in ns, [R], which is done once per clock; +inf where most have none."""
        if clock not in self._log_medians:
            self._log_medians[clock] = np.log(np.median(self.inferences[clock], axis=1))
        return self._log_medians[clock]

    def judged(self, metric: str) -> Judged:
        """Return the answers of all samples compared with the references, which is done once per metric."""
        if metric not in self._judged:
            self._judged[metric] = self.judged_of_some(metric, np.ones(len(self.references), dtype=bool))
        return self._judged[metric]

    def judged_of_some(self, metric: str, members: NDArray[np.bool_]) -> Judged:
        """Return the answers to the samples that are ``members``, [S], compared with their references.

        A metric unknown here is read from the stored scores, if there are any; so is every metric of an imported trial that came with
        scores. Raises InputError.
        """
        with self._named(metric):
            if self._scored(metric):
                return judged_mean(metric, self.scores[metric][members], self.record.late.get(metric))
            judged = judge(metric, self.answers(members))
            if members.all() and self.judged_here is not None and metric in METRICS:
                self._compare(metric, judged)
            return self._by_round(metric, members, judged) if self.others and isinstance(judged, JudgedMean) else judged

    def _compare(self, metric: str, judged: Judged) -> None:
        """Note where a metric of ours finds other scores than are stored. Raises InputError where it is the metric that found those."""
        if (why := why_otherwise(metric, judged, self.record, self.scores)) is None:
            return
        if self.judged_here:
            raise InputError(f"{why}: one must be the other; {MEASURE_AGAIN}")
        self._otherwise[metric] = why

    def try_metric(self, metric: str) -> None:
        """Judge all answers by a metric of the user's, at times of each clock too. Raises MetricBroken if it cannot."""
        with self._named(metric):
            if self._scored(metric) or AskedMetric(metric).is_ours:
                return
        with suppress(NothingToKeep):
            judged = self.judged(metric)
            if isinstance(judged, JudgedOnScale):
                with self._named(metric):
                    for times in self.times.values():
                        judged.curve(times, np.quantile(times, [0.0, 0.5, 0.9], method="inverted_cdf"))

    def parts(self, metric: str, name: str) -> dict[str, Part]:
        """Return the groups of a slice that a metric makes of parts of samples, none if it makes no such slice. Raises InputError."""
        with self._named(metric):
            return {} if self._scored(metric) else judge_parts(metric, name, self.answers(np.ones(len(self.references), dtype=bool)))

    def _scored(self, metric: str) -> bool:
        """Return whether the stored scores of a metric count, and not the answers."""
        if metric not in self.scores:
            return False
        if self.record.imported:
            return True
        try:
            find_metric(metric)
        except UnknownMetric:
            return True
        return False

    @contextmanager
    def _named(self, metric: str) -> Iterator[None]:
        """Name the trial in an error of judging, which a metric of the user may raise in any form."""
        try:
            yield
        except InputError as error:
            raise type(error)(f"{self.trial_id}: {error}") from error
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise InputError(
                f"{metric} cannot judge the stored answers of {self.trial_id} ({first_line(error)}): repair the metric, or name another"
            ) from error

    def _by_round(self, metric: str, members: NDArray[np.bool_], first: JudgedMean) -> JudgedMean:
        """Return a metric by the answers of each round; where some of them score worse than late ones, by the first answers alone."""
        asked = AskedMetric(metric)
        chosen = [int(index) for index in np.flatnonzero(members)]
        by_round = np.tile(first.raw, (len(self.incomplete), 1))
        found = self.answers(members)
        for row, others in self.others.items():
            own = [others.get(index, answer) for index, answer in zip(chosen, found.predictions, strict=True)]
            by_round[row] = asked.score(replace(found, predictions=own))
        if (first.scale.gained(by_round) < 0).any():
            return first
        return JudgedMean(by_round.mean(axis=0), first.scale, by_round)

    @property
    def slices_offered(self) -> set[str]:
        """Names of the slices that there are of this trial."""
        return slices_offered(self.slices, self.record.trial.task.kind, self.record.metrics)

    def groups_of(self, name: str) -> Sequence[str | None]:
        """Return the group of each sample in a slice, None where it is in none; empty where samples have no such slice."""
        if name not in self.slices and name == SIZE and self.record.trial.task.kind in PICTURES:
            return groups_by_size(self.input_sizes)
        return self.slices.get(name, ())

    def answers(self, members: NDArray[np.bool_]) -> Answers:
        """Return references and predictions of the samples that are ``members``, [S]."""
        chosen = [int(index) for index in np.flatnonzero(members)]
        return Answers(
            predictions=[self.predictions[index] for index in chosen],
            references=[self.references[index] for index in chosen],
            slices={name: [groups[index] for index in chosen] for name, groups in self.slices.items()},
        )

    @property
    def batch_of(self) -> NDArray[np.intp] | None:
        """The inference that each sample went through, [S]; None where every round puts other samples together."""
        trial = self.record.trial
        if trial.fixed_batch > 1 and trial.measurement.order == "shuffled":
            return None
        return np.arange(len(self.references)) if trial.fixed_batch == 1 else batch_numbers(self.record.trial, len(self.references))

    def own_times(self, clock: Clock) -> NDArray[np.float64]:
        """Return times in ns whose columns have one distribution each, [R, B].

        Columns are inferences, or samples where each round puts others together into a batch.
        """
        return self.times[clock] if self.batch_of is None else self.inferences[clock]

    def answers_at_stake(self, judged: Judged, members: NDArray[np.bool_] | None = None) -> float:
        """Return how many answers a round can lose of a metric over the samples that are ``members``, [S], by default all.

        Samples of a batch are late together. Where the order is shuffled, the batches of the first round stand for all.
        """
        some = np.ones(len(self.references), dtype=np.bool_) if members is None else members
        of = None if self.record.trial.fixed_batch == 1 else batch_numbers(self.record.trial, some.size)[some]
        return answers_at_stake(judged, int(some.sum()), of)

    def scores_per_inference(self) -> NDArray[np.float64] | None:
        """Return what each inference adds to quality times the number of inferences, [B], so that their mean is ideal quality.

        None for a metric that is no mean over samples, and where every round puts other samples together.
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
        """What trials must share to stand in one table: the task's name, the digest of its data, and whether samples arrive by a schedule.

        A time to answer that counts from an arrival is no time of a closed loop.
        """
        return self.record.trial.task.name, str(self.record.digests.get("data")), self.record.trial.load.is_open

    @property
    def clock(self) -> Clock:
        """The clock that counts first."""
        return primary_of(self.times.keys())

    @property
    def flags(self) -> tuple[str, ...]:
        """The flags of every figure of this trial."""
        found = list(self.record.flags_of_figures)
        if self.record.placement.get("pinned") is False:
            found.append("unpinned")
        if self.record.imported:
            found.append("imported")
        if self.record.state != "done":
            found.append(self.record.state)
        if unmeasured := int(self.incomplete.sum()):
            found.append(f"{unmeasured} incomplete {'round' if unmeasured == 1 else 'rounds'}")
        if self.record.changes:
            found.append("changes accepted")
        if self.different_answers:
            found.append("answers change")
        if self.judged_here is False and self.judged(self.metric) and self._otherwise:
            found.append(OTHERWISE)
        found += flags_of_units(self.visits, under_load=self.record.trial.load.is_open)
        return tuple(dict.fromkeys(found))


def load_trials(campaign: Campaign, metrics: Sequence[str] = ()) -> list[TrialData]:
    """Return every trial of a campaign that has at least one round, in the order of the plan.

    ``metrics``, the primary one first, replace those it was measured by.
    """
    records = (record.model_copy(update={"metrics": tuple(metrics)}) if metrics else record for record in campaign.trials())
    started = [record for record in records if record.started_at is not None]
    loaded = map_in_threads(lambda record: _load(campaign, record), started)
    pa.default_memory_pool().release_unused()  # the tables that arrays were made of: else Arrow keeps their memory to itself
    trials = [data for data in loaded if data is not None]
    refuse_other_data((data.record, data.references) for data in trials)
    return trials


def judgeable(trials: Sequence[TrialData]) -> tuple[list[TrialData], dict[str, str]]:
    """Return trials by those of their metrics that can judge them, at their own times too, and by trial id why others cannot.

    A trial whose primary metric cannot is left out. Raises MetricBroken where none is left.
    """
    judged, why = [], dict[str, MetricBroken]()
    for data in trials:
        known = []
        for metric in data.record.metrics:
            try:
                data.try_metric(metric)
                known.append(metric)
            except MetricBroken as error:
                why.setdefault(data.trial_id, error)
        if len(known) == len(data.record.metrics):
            judged.append(data)
        elif data.metric in known:
            judged.append(replace(data, record=data.record.model_copy(update={"metrics": tuple(known)})))
    if why and not judged:
        raise next(iter(why.values()))
    return judged, {trial_id: str(error).removeprefix(f"{trial_id}: ") for trial_id, error in why.items()}


def _load(campaign: Campaign, record: TrialRecord) -> TrialData | None:
    timings, rounds = campaign.both(record.trial_id)
    if not rounds.num_rows:
        return None
    matrix = round_matrix(timings, rounds, with_stages=False)
    samples = campaign.samples(record.trial_id)
    if not np.array_equal(matrix.samples, samples.column("sample").to_numpy()):
        message = (
            f"{record.trial_id} has timings of {matrix.samples.size} samples and answers to {samples.num_rows}, which are not the same"
        )
        raise InputError(f"{message}: {MEASURE_AGAIN}")
    times = matrix.times
    different = int(np.asarray(rounds.column("different_answers").fill_null(0)).sum())
    predictions, evidence = samples.column("prediction").to_pylist(), _numbers(rounds)
    changed = campaign.changed_samples(record.trial_id, rounds) if different else 0
    unanswered = different > 0 and any(answer is None for answer in predictions)
    others = _other_answers(campaign, record, matrix) if unanswered or record.trial.server.is_asked else {}
    if unanswered:
        known = known_answers(predictions, others, len(matrix.rounds))
        predictions, changed, different = known.answers, known.changed_samples, int(known.different.sum())
        evidence["different_answers"] = np.where(np.isnan(evidence["different_answers"]), np.nan, known.different)
    inferences = times_per_inference(record, matrix, times)
    streams = None if matrix.arrivals is None else matrix.visits
    each = next(iter(inferences.values())).shape[1]
    visits = visits_apart(record, rounds, matrix.visits, each) if streams is None else whole_streams(streams, matrix.incomplete)
    scores = {name.removeprefix("score_"): samples.column(name).to_numpy() for name in samples.column_names if name.startswith("score_")}
    refuse_other_means(record, scores)
    return TrialData(
        record=record,
        times=times,
        inferences=inferences,
        references=samples.column("reference").to_pylist(),
        predictions=predictions,
        slices={
            name.removeprefix("slice_"): samples.column(name).to_pylist() for name in samples.column_names if name.startswith("slice_")
        },
        scores=scores,
        judged_here=None if unanswered or record.imported else campaign.record.code_version == orchestrator.__version__,
        input_sizes=samples.column("input_size").to_numpy(),
        names=samples.column("name").to_pylist(),
        outcome=matrix.outcome,
        incomplete=matrix.incomplete,
        visits=visits,
        turns=matrix.visits if streams is None else None,
        streams=streams,
        different_answers=different,
        changed_samples=changed,
        evidence=evidence,
        token_gaps=token_gaps(timings),
        others=others if record.trial.server.is_asked else {},
        arrivals=matrix.arrivals,
        overloaded=np.asarray(rounds.column("overloaded").fill_null(False).to_numpy(zero_copy_only=False), dtype=np.bool_),
        beside=beside_the_clocks(rounds, rows_per_inference(record, matrix, timings)),
    )


def _other_answers(campaign: Campaign, record: TrialRecord, matrix: RoundMatrix) -> dict[int, dict[int, Any]]:
    """Return the answers of a trial's rounds that differ from the first ones, by row of the round and by sample."""
    rows = {int(number): row for row, number in enumerate(matrix.rounds)}
    return {
        rows[number]: dict(zip(table.column("sample").to_pylist(), table.column("prediction").to_pylist(), strict=True))
        for number, table in campaign.other_answers(record.trial_id)
        if number in rows
    }


def _numbers(rounds: pa.Table) -> dict[str, NDArray[np.float64]]:
    """Return the columns of integers and of floats. Those that hold nothing are one array."""
    numeric = [field.name for field in rounds.schema if pa.types.is_integer(field.type) or pa.types.is_floating(field.type)]
    nothing = np.full(rounds.num_rows, np.nan)
    return {
        name: nothing if column.null_count == len(column) else column.cast(pa.float64(), safe=False).to_numpy()
        for name, column in zip(numeric, rounds.select(numeric).columns, strict=True)
    }
