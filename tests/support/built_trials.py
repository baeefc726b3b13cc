"""Measured trials for analysis, made from their times in memory."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.campaign_analysis import CampaignAnalysis
from orchestrator.analysis.groups import Group, grouped
from orchestrator.analysis.table import Context, Row, all_rows, tables
from orchestrator.analysis.trial_data import TrialData
from orchestrator.configuration.analysis import AnalysisConfig
from orchestrator.configuration.config import Trial, parse_trial
from orchestrator.stats.thresholds import Threshold
from orchestrator.storage import schema
from orchestrator.storage.records import PlannedTrial, Stopping, TrialRecord
from orchestrator.storage.stored_form import table_of
from orchestrator.subject.samples import batches_of_round


def per_inference(trial: Trial, times: Mapping[str, NDArray[np.float64]]) -> dict[str, NDArray[np.float64]]:
    rounds, samples = times["total"].shape
    batches = [batches_of_round(trial, samples, number) for number in range(rounds)]
    return {
        clock: np.array([[row[batch[0]] for batch in of] for row, of in zip(found, batches, strict=True)]) for clock, found in times.items()
    }


def build_trial(
    system: str,
    total_ms: NDArray[np.float64],
    *,
    right: int | None = None,
    repeat: int = 0,
    model: str = "net",
    metrics: tuple[str, ...] = ("top1",),
    slices: Mapping[str, list[str]] | None = None,
    measurement: Mapping[str, Any] | None = None,
    task: Mapping[str, Any] | None = None,
    stopped: str = "settled",
    visits: NDArray[np.int32] | None = None,
    blocks: Mapping[str, Mapping[str, Any]] | None = None,
    **record: Any,
) -> TrialData:
    rounds, samples = total_ms.shape
    document = {
        "model": {"name": model, "kind": "image_classification", "target": "x:X", "runtimes": ["torch"], "classes": 9},
        "task": {"name": "digits", "kind": "image_classification", "target": "x:Y", **(task or {})},
        "system": {"name": system, "cores": 1},
        "runtime": {"name": "torch"},
        "measurement": {"min_rounds": min(rounds, 30), **(measurement or {})},
    }
    changed = {name: document.get(name, {}) | given for name, given in (blocks or {}).items()}
    trial = parse_trial(document | changed).model_copy(update={"repeat": repeat})
    key = f"{model}-{system}"
    planned = PlannedTrial(trial_id=f"{key}-r{repeat}", match_key=key, trial=trial, state="done")
    rule = trial.measurement.rule
    made = TrialRecord.from_plan(planned).model_copy(
        update={"metrics": metrics, "digests": {"data": "d"}, "stopping": Stopping(rule=rule, reason=stopped), **record}
    )
    times = {"inference": total_ms * 5e5, "total": total_ms * 1e6}
    good = samples if right is None else right
    return TrialData(
        record=made,
        times=times,
        inferences=per_inference(trial, times),
        references=[1] * samples,
        predictions=[[1, 2, 3, 4, 5]] * good + [[9, 8, 7, 6, 5]] * (samples - good),
        slices=slices or {},
        input_sizes=np.ones(samples, dtype=np.int64),
        different_answers=0,
        outcome=np.where(np.isfinite(total_ms), schema.OK, schema.ERROR).astype(np.int8),
        incomplete=np.zeros(rounds, dtype=np.bool_),
        evidence={"duration_ns": np.where(np.isfinite(total_ms), total_ms, 0.0).sum(axis=1) * 1e6},
        visits=visits,
        turns=visits,
    )


def rows_made(
    name: str,
    trials: Sequence[TrialData] | Group,
    analysis: AnalysisConfig | None = None,
    flags: Sequence[str] | None = None,
) -> list[Row]:
    """Return the rows of a result table; ``flags`` are those of all trials, in place of their own."""
    settings = analysis or AnalysisConfig(seed=0)
    groups = (trials,) if isinstance(trials, Group) else grouped(trials, settings)
    if flags is not None:
        groups = tuple(replace(one, flags=dict.fromkeys(one.flags, tuple(flags))) for one in groups)
    records = tuple(data.record for group in groups for data in group.trials)
    context = Context(settings, cast(Any, None), records, groups)
    for before in {"comparison": ["deadline"], "envelope": ["deadline"], "goodput": ["load"]}.get(name, []):
        context.rows[before] = all_rows(tables()[before], context)
    return all_rows(tables()[name], context)


def results_of(trials: Sequence[TrialData], analysis: AnalysisConfig, *names: str) -> CampaignAnalysis:
    """Return results with the tables of these names; all others are empty."""
    made = {name: table_of(rows_made(name, trials, analysis) if name in names else [], one.schema) for name, one in tables().items()}
    return CampaignAnalysis(cast(Any, SimpleNamespace(config=None)), (), analysis, grouped(trials, analysis), made)


def explained(data: TrialData, primary: Threshold | None, flags: Sequence[str] = ()) -> list[Any]:
    """Return the rows of ``explain.parquet`` of one trial within a threshold."""
    group = SimpleNamespace(thresholds=SimpleNamespace(primary=primary), flags={data.trial_id: flags})
    return list(tables()["explain"].rows(None, group, data))


def in_turns(trials: Iterable[TrialData], rounds_per_visit: int = 2) -> list[TrialData]:
    """Return trials as if they had taken turns in visits on one machine, all those of one repeat before those of the next."""
    found = []
    for place, data in enumerate(trials):
        rounds = np.arange(len(data.times["total"]))
        visits = (rounds // rounds_per_visit).astype(np.int32)
        began_s = 1e6 * data.record.trial.repeat + 1e3 * visits + place + 1e-3 * rounds
        record = data.record.model_copy(update={"placement": {"boot_id": "one"}})
        evidence = data.evidence | {"started_monotonic_ns": 1e9 * began_s}
        found.append(replace(data, record=record, visits=visits, turns=visits, evidence=evidence))
    return found
