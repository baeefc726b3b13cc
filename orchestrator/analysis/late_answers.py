from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from orchestrator.contracts import InputError
from orchestrator.stats.times import primary_of
from orchestrator.storage import schema
from orchestrator.storage.matrix import RoundMatrix
from orchestrator.storage.reader import Campaign
from orchestrator.storage.stored_form import finite
from orchestrator.subject.samples import batches_that_ran

# The order in which outcomes are listed: those with a cause first.
RANK = tuple(schema.OUTCOMES.index(name) for name in ("error", "timeout", "lost", "dropped", "ok"))


@dataclass(frozen=True)
class Answer:
    """One inference: a sample, or all samples of a batch that share its outcome.

    Before and after it stand the total times of its neighbours in the round, None without one.
    """

    names: tuple[str, ...]
    round: int
    outcome: str
    total_ns: float | None
    preprocess_ns: float | None
    inference_ns: float | None
    postprocess_ns: float | None
    before_ns: float | None
    after_ns: float | None


def latest_answers(campaign: Campaign, trial_id: str, count: int) -> list[Answer]:
    """Return ``count`` answers: those not ``ok``, by outcome, round and sample, then the slowest.

    Raises InputError for a trial without a stored round.
    """
    record, matrix = campaign.trial(trial_id), campaign.matrix(trial_id)
    if not matrix.outcome.size:
        raise InputError(
            f"{trial_id} has no stored round (it is {record.state}): choose another trial",
            "no_data",
            value=trial_id,
        )
    samples = campaign.samples(trial_id).select(["sample", "name"]).to_pydict()
    names = dict(zip(samples["sample"], samples["name"], strict=True))
    if unknown := set(matrix.samples.tolist()) - names.keys():
        raise InputError(
            f"{trial_id} has timings of sample {min(unknown)}, which its predictions.parquet "
            "lacks: restore it from a copy",
            "damaged",
        )
    total = matrix.times[primary_of(matrix.times.keys())]
    order = np.lexsort((-total.ravel(), np.argsort(RANK)[matrix.outcome].ravel()))
    found: dict[tuple[int, int, int], Answer] = {}
    batches: dict[int, list[list[int]]] = {}
    for row, column in (divmod(int(place), total.shape[1]) for place in order):
        if row not in batches:
            times = np.full(len(names), np.inf)
            times[matrix.samples] = total[row]
            number, cut_short = int(matrix.rounds[row]), bool(matrix.incomplete[row])
            batches[row] = batches_that_ran(record.trial, number, times, cut_short)
        sample, of_round = int(matrix.samples[column]), batches[row]
        place = next(at for at, batch in enumerate(of_round) if sample in batch)
        key = row, place, int(matrix.outcome[row, column])
        if key not in found:
            found[key] = _answer(matrix, row, column, of_round, place, names)
        if len(found) == count:
            break
    return list(found.values())


def _answer(
    matrix: RoundMatrix,
    row: int,
    column: int,
    batches: Sequence[Sequence[int]],
    place: int,
    names: Mapping[int, str],
) -> Answer:
    columns = {int(sample): at for at, sample in enumerate(matrix.samples)}
    outcomes, total = matrix.outcome[row], matrix.times[primary_of(matrix.times.keys())][row]

    def of_batch(at: int) -> list[int]:
        return [one for one in batches[at] if one in columns] if 0 <= at < len(batches) else []

    alike = [one for one in of_batch(place) if outcomes[columns[one]] == outcomes[column]]
    before, after = (
        next((finite(total[columns[one]]) for one in of_batch(at)), None)
        for at in (place - 1, place + 1)
    )
    return Answer(
        tuple(names[one] for one in alike),
        int(matrix.rounds[row]),
        schema.OUTCOMES[outcomes[column]],
        finite(total[column]),
        finite(matrix.stages["preprocess_ns"][row, column]),
        finite(matrix.stages["inference_ns"][row, column]),
        finite(matrix.stages["postprocess_ns"][row, column]),
        before,
        after,
    )
