"""From stored files to trials as arrays, refused where they contradict each other; and copies."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

import orchestrator
from orchestrator.analysis.quality import MetricBroken
from orchestrator.analysis.threads import map_in_threads
from orchestrator.analysis.trial_data import Beside, TrialData, is_alike
from orchestrator.analysis.units import visits_apart, whole_streams
from orchestrator.contracts import InputError, by_key
from orchestrator.stats.times import PRIMARY_CLOCK
from orchestrator.storage import schema
from orchestrator.storage.load import MEASURE_AGAIN
from orchestrator.storage.matrix import RoundMatrix, round_matrix, token_gaps
from orchestrator.storage.reader import Campaign
from orchestrator.storage.records import TrialRecord
from orchestrator.storage.schema import STAGES
from orchestrator.subject.samples import first_of_batches

# What is read of answers where only their samples count.
ANSWERED = pa.schema([pa.field("sample", pa.int32(), nullable=False)])


def load_trials(campaign: Campaign, metrics: Sequence[str] = ()) -> list[TrialData]:
    """Return every trial of a campaign that has at least one round, in the order of the plan.

    ``metrics``, the primary one first, replace those it was measured by.
    """
    started = [record for record in campaign.trials() if record.started_at is not None]
    if metrics:
        started = [record.model_copy(update={"metrics": tuple(metrics)}) for record in started]
    loaded = map_in_threads(lambda record: _load(campaign, record), started)
    pa.default_memory_pool().release_unused()  # else Arrow keeps the memory of tables to itself
    trials = [data for data in loaded if data is not None]
    refuse_other_data((data.record, data.references) for data in trials)
    return trials


def judgeable(trials: Sequence[TrialData]) -> tuple[list[TrialData], dict[str, str]]:
    """Return trials with those of their metrics that can judge them, and why others cannot.

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
        if data.metric in known:
            record = data.record.model_copy(update={"metrics": tuple(known)})
            judged.append(data if record == data.record else replace(data, record=record))
    if why and not judged:
        raise next(iter(why.values()))
    return judged, {name: str(error).removeprefix(f"{name}: ") for name, error in why.items()}


def _load(campaign: Campaign, record: TrialRecord) -> TrialData | None:
    timings, rounds = campaign.both(record.trial_id)
    if not rounds.num_rows:
        return None
    matrix = round_matrix(timings, rounds, with_stages=False)
    samples = campaign.samples(record.trial_id)
    columns = {name: samples.column(name) for name in samples.column_names}
    if not np.array_equal(matrix.samples, columns["sample"].to_numpy()):
        raise InputError(
            f"{record.trial_id} has timings of {matrix.samples.size} samples and answers to "
            f"{samples.num_rows}, which are not the same: {MEASURE_AGAIN}",
            "damaged",
        )
    stored, evidence = columns["prediction"].to_pylist(), _numbers(rounds)
    predictions = stored
    if matrix.arrivals is None and not record.imported:
        refuse_short_rounds(record, matrix, rounds)
    different = int(np.nan_to_num(evidence["different_answers"]).sum())
    changed = 0
    if different:
        answered = campaign.other_answers(record.trial_id, rounds, ANSWERED)
        changed = len({sample for _, table in answered for sample in table["sample"].to_pylist()})
    unanswered = different > 0 and any(answer is None for answer in stored)
    is_asked = record.trial.server.is_asked
    others = _other_answers(campaign, record, matrix, rounds) if unanswered or is_asked else {}
    if unanswered:
        predictions, by_round, changed = known_answers(stored, others, len(matrix.rounds))
        different = int(by_round.sum())
        evidence["different_answers"] = by_round + 0 * evidence["different_answers"]
        for row, answered in enumerate(matrix.outcome == schema.OK if is_asked else ()):
            still = (at for at in np.flatnonzero(answered).tolist() if stored[at] is None)
            others[row] = dict.fromkeys(still) | others.get(row, {})
    first = None
    if record.trial.fixed_batch > 1:
        try:
            first = first_of_batches(
                record.trial, matrix.rounds, matrix.times[PRIMARY_CLOCK], matrix.incomplete
            )
        except InputError as error:
            raise InputError(
                f"{record.trial_id}: {error}", error.code, error.key, error.value
            ) from error
    inferences = {
        clock: times if first is None else np.take_along_axis(times, first, axis=1)
        for clock, times in matrix.times.items()
    }
    streams, visits = None, matrix.visits
    if matrix.arrivals is None:
        visits = visits_apart(record, rounds, matrix.visits, inferences[PRIMARY_CLOCK].shape[1])
    elif matrix.visits is not None:
        streams, visits = matrix.visits, whole_streams(matrix.visits, matrix.incomplete)
    scores = {
        name.removeprefix("score_"): column.to_numpy()
        for name, column in columns.items()
        if name.startswith("score_")
    }
    refuse_other_means(record, scores)
    same_version = campaign.record.code_version == orchestrator.__version__
    overloaded = rounds.column("overloaded").fill_null(False).to_numpy(zero_copy_only=False)
    return TrialData(
        record=record,
        times=matrix.times,
        inferences=inferences,
        references=columns["reference"].to_pylist(),
        predictions=predictions,
        slices={
            name.removeprefix("slice_"): column.to_pylist()
            for name, column in columns.items()
            if name.startswith("slice_")
        },
        scores=scores,
        judged_here=None if unanswered or record.imported else same_version,
        input_sizes=columns["input_size"].to_numpy(),
        names=columns["name"].to_pylist(),
        outcome=matrix.outcome,
        incomplete=matrix.incomplete,
        visits=visits,
        turns=matrix.visits if matrix.arrivals is None else None,
        streams=streams,
        different_answers=different,
        changed_samples=changed,
        truncated=matrix.truncated,
        evidence=evidence,
        token_gaps=token_gaps(timings),
        others=others if is_asked else {},
        arrivals=matrix.arrivals,
        overloaded=np.asarray(overloaded, dtype=np.bool_),
        beside=_beside(rounds, timings, matrix, first),
    )


def _beside(
    rounds: pa.Table, timings: pa.Table, matrix: RoundMatrix, first: NDArray[np.intp] | None
) -> Beside:
    """Return what stands beside the clocks, of one sample per inference: ``first``, [R, B]."""
    if first is not None:
        chosen = np.zeros(matrix.outcome.shape, dtype=bool)
        np.put_along_axis(chosen, first, True, axis=1)
        row = np.searchsorted(matrix.rounds, timings.column("round").to_numpy())
        column = np.searchsorted(matrix.samples, timings.column("sample").to_numpy())
        timings = timings.filter(pa.array(chosen[row, column]))
    gaps = timings.column("start_gap_ns").drop_null().to_numpy()
    means = {stage.removesuffix("_ns"): pc.mean(timings.column(stage)).as_py() for stage in STAGES}
    started = rounds.column("started_at").cast(pa.timestamp("ms", tz="UTC"), safe=False)
    median_and_p99 = (float(np.median(gaps)), float(np.quantile(gaps, 0.99))) if gaps.size else None
    return Beside(
        started_ms=started.cast(pa.int64()).to_numpy().astype(np.float64),
        stage_means_ns={stage: mean for stage, mean in means.items() if mean is not None},
        gap_ns=median_and_p99,
    )


def _other_answers(
    campaign: Campaign, record: TrialRecord, matrix: RoundMatrix, rounds: pa.Table
) -> dict[int, dict[int, Any]]:
    rows = {int(number): row for row, number in enumerate(matrix.rounds)}
    return {
        rows[number]: dict(
            zip(*(table.column(name).to_pylist() for name in ("sample", "prediction")), strict=True)
        )
        for number, table in campaign.other_answers(record.trial_id, rounds)
        if number in rows
    }


def known_answers(
    first: Sequence[Any], others: Mapping[int, Mapping[int, Any]], rounds: int
) -> tuple[list[Any], NDArray[np.float64], int]:
    """Return the first answer to each sample, be it of a later round, and what differs from it.

    That is how many answers of each round differ, [R], and how many samples they belong to. A model
    that raised has not answered yet: an answer that comes later is no other one. ``others`` are the
    answers that differ from the stored first ones, by row of a round, ascending, and sample.
    """
    answers, different, changed = list(first), np.zeros(rounds), set()
    for row, of_round in others.items():
        for sample, answer in of_round.items():
            if answers[sample] is None:
                answers[sample] = answer
            elif answer != answers[sample]:
                different[row] += 1
                changed.add(sample)
    return answers, different, len(changed)


def _numbers(rounds: pa.Table) -> dict[str, NDArray[np.float64]]:
    nothing = np.full(rounds.num_rows, np.nan)  # one array for all columns without a number
    return {
        name: nothing
        if column.null_count == len(column)
        else column.cast(pa.float64(), safe=False).to_numpy()
        for name, column in zip(rounds.column_names, rounds.columns, strict=True)
        if pa.types.is_integer(column.type) or pa.types.is_floating(column.type)
    }


def refuse_short_rounds(record: TrialRecord, matrix: RoundMatrix, rounds: pa.Table) -> None:
    """Raise InputError for a round that took less time than one of its own samples."""
    total = matrix.times[PRIMARY_CLOCK]
    longest = np.max(total, axis=1, initial=0, where=np.isfinite(total))
    took = rounds.column("duration_ns").to_numpy()
    if len(short := np.flatnonzero(took < longest)):
        raise InputError(
            f"trials/{record.trial_id}: round {short[0]} took {took[short[0]]} ns and a sample of "
            f"it {longest[short[0]]:.0f} ns: {MEASURE_AGAIN}",
            "damaged",
        )


def refuse_other_means(record: TrialRecord, scores: Mapping[str, NDArray[np.float64]]) -> None:
    """Raise InputError where stored scores, [S], have another mean than the record's ideal."""
    for metric, ideal in record.ideal.items():
        if metric in scores and not is_alike(mean := float(np.mean(scores[metric])), ideal).all():
            raise InputError(
                f"trials/{record.trial_id}: trial.json has ideal {metric}={ideal:.9g}, and the "
                f"mean of score_{metric} in predictions.parquet is {mean:.9g}: one must be the "
                f"other; {MEASURE_AGAIN}",
                "damaged",
            )


def refuse_other_data(trials: Iterable[tuple[TrialRecord, Sequence[Any]]]) -> None:
    """Raise InputError where repeats of one trial measured different data, by their references.

    Where a user has accepted changes they may, and the tables keep them apart.
    """
    firsts: dict[str, tuple[TrialRecord, Sequence[Any]]] = {}
    for record, references in trials:
        first, expected = firsts.setdefault(record.match_key, (record, references))
        if record is first or record.changes or first.changes:
            continue
        ours, theirs = (str(each.digests.get("data")) for each in (record, first))
        if ours != theirs:
            what = f"digests.data={ours:.12} in trial.json, and {first.trial_id} has {theirs:.12}"
        elif references != expected:
            pairs = enumerate(zip_longest(references, expected, fillvalue="no sample"))
            at, (one, other) = next(found for found in pairs if found[1][0] != found[1][1])
            what = (
                f"reference {str(one)[:40]} at sample {at} in predictions.parquet, and "
                f"{first.trial_id} has {str(other)[:40]}"
            )
        else:
            continue
        raise InputError(
            f"trials/{record.trial_id} has {what}: repeats of one trial have the same data; "
            f"{MEASURE_AGAIN}",
            "damaged",
        )


@dataclass(frozen=True)
class Copy:
    """A trial whose every round is one of another, with the places of their campaigns."""

    campaign: int
    trial_id: str
    of_campaign: int
    of_trial_id: str


def copies_among(campaigns: Sequence[Sequence[TrialData]]) -> list[Copy]:
    """Return the trials that show nothing that another does not, of the trials of each campaign.

    The times of all rounds of a copy are the other's first ones: two processes never take the same
    nanoseconds throughout. So one that was copied and then extended is found, too, and the longer
    one is kept; of equal ones the first. Trials without any answer all count.
    """
    placed = [
        (place, data)
        for place, trials in enumerate(campaigns)
        for data in trials
        if np.isfinite(data.times[data.clock]).any()
    ]
    placed.sort(key=lambda one: -len(one[1].times[one[1].clock]))
    kept: dict[tuple[str, bytes], list[tuple[int, TrialData]]] = {}
    found = []
    for place, data in placed:
        begins = kept.setdefault((data.record.match_key, data.times[data.clock][0].tobytes()), [])
        whole = next(
            (
                longer
                for longer in begins
                if data.times.keys() == longer[1].times.keys()
                and all(
                    np.array_equal(times, longer[1].times[clock][: len(times)])
                    for clock, times in data.times.items()
                )
            ),
            None,
        )
        if whole is None:
            begins.append((place, data))
        else:
            found.append(Copy(place, data.trial_id, whole[0], whole[1].trial_id))
    return found


def copies_in_words(copies: Sequence[Copy], names: Sequence[str] | None = None) -> Iterator[str]:
    """Yield one sentence per pair of campaigns that share what was measured.

    ``names`` are those of all campaigns; without them they are counted from 1, in the order given.
    """
    by_pair = by_key(copies, lambda copy: (copy.campaign, copy.of_campaign))
    for places, of_pair in sorted(by_pair.items()):
        campaign, original = (
            f"campaign {place + 1}" if names is None else names[place] for place in places
        )
        where = "" if campaign == original else f" of {original}"
        if len(of_pair) == 1:
            yield (
                f"{of_pair[0].trial_id} of {campaign} has the times of {of_pair[0].of_trial_id}"
                f"{where}: it is a copy and counts once"
            )
        else:
            others = f"trials{where}" if where else "others of it"
            yield (
                f"{len(of_pair)} trials of {campaign} have the times of {others}: they are copies "
                "and count once"
            )
