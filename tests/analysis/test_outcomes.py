"""Each answer has the first outcome that holds of it, at any deadline."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from built_trials import build_trial, rows_made

from orchestrator.analysis.outcomes import FATES, counted, right_of
from orchestrator.analysis.trial_data import TrialData
from orchestrator.storage import schema

ANSWERS: tuple[Any, ...] = ([1, 2, 3, 4, 5], [9, 8, 7, 6, 5], None)
SAMPLES = 9


def trial(seed: int, **more: Any) -> TrialData:
    """Return a trial of whose answers all else is drawn; `ANSWERS` are right, wrong and none."""
    random = np.random.default_rng(seed)
    shape = int(random.integers(1, 5)), SAMPLES
    outcome = random.choice(np.array([schema.OK] * 6 + [schema.ERROR, schema.TIMEOUT, schema.LOST, schema.DROPPED], np.int8), shape)
    data = build_trial("a", np.where(outcome == schema.OK, random.integers(1, 6, shape), np.inf).astype(float), **more)
    said = random.integers(0, 3, shape)
    first = [next((ANSWERS[kind] for kind in of if kind < 2), None) for of in said.T]
    others = {
        row: {sample: ANSWERS[kind] for sample, kind in enumerate(of) if ANSWERS[kind] != first[sample]} for row, of in enumerate(said)
    }
    return replace(data, outcome=outcome, truncated=random.random(shape) < 0.3, predictions=first, others=others)


def fate(data: TrialData, row: int, sample: int, bound_ms: float) -> str:
    answer: Any = data.others.get(row, {}).get(sample, data.predictions[sample])
    holds = {
        "error": schema.OUTCOMES[data.outcome[row, sample]] in ("error", "timeout", "lost"),
        "late": data.times[data.clock][row, sample] > bound_ms * 1e6,
        "truncated": np.asarray(data.truncated)[row, sample],
        "unparsable": answer is None,
        "right": answer == ANSWERS[0],
        "wrong": True,
    }
    return next(name for name, of in holds.items() if of)


@pytest.mark.parametrize("seed", range(12))
def test_outcomes_are_those_counted_one_by_one(seed: int) -> None:
    data = trial(seed)
    bounds = [0.5, 1, 2, 3.5, 9]
    found = counted(data, data.clock, [int(bound * 1e6) for bound in bounds])
    places = list(np.ndindex(data.outcome.shape))
    for at, bound in enumerate(bounds):
        fates = [fate(data, *place, bound) for place in places]
        assert {name: of[at] for name, of in found.items()} == {name: fates.count(name) for name in FATES[:-1]}
    right = right_of(data)
    assert right is not None
    assert {place for place in places if right[place]} == {place for place in places if fate(data, *place, 9) == "right"}
    assert found["right"].tolist() == [(right & (data.times[data.clock] <= bound * 1e6)).sum() for bound in bounds]


@pytest.mark.parametrize(("scores", "right"), [({"on_time": 1.0}, None), ({"on_time": 1.0, "graded": 1.0}, 1), ({"graded": 0.5}, None)])
def test_what_nobody_has_graded_is_answered_and_never_right(scores: dict[str, float], right: int | None) -> None:
    given = {name: np.array([score] * SAMPLES) for name, score in scores.items()}
    data = replace(trial(0, origin="imported", metrics=tuple(scores)), scores=given, truncated=None)
    assert (right_of(data) is None) == (right is None)
    for row in rows_made("outcomes", [data]):
        counts = {name: row[name] for name in FATES if row[name] is not None}
        assert (sum(counts.values()), row["answers"], row["unparsable"]) == (data.outcome.size, data.outcome.size, 0)
        assert sum(row[f"{name}_share"] for name in counts) == pytest.approx(1, abs=1e-15)
        assert {"answered", "truncated"} & counts.keys() == ({"answered"} if right is None else set())
