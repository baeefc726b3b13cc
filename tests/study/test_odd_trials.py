"""Trials of every kind that can be stored: batches, metrics that are no mean, samples without times, nothing right, few rounds."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from built_trials import build_trial

from orchestrator.analysis.groups import grouped
from orchestrator.analysis.trial_data import TrialData
from orchestrator.configuration.analysis import AnalysisConfig, ToleranceConfig
from orchestrator.contracts import InputError
from orchestrator.storage.records import CampaignRecord, utc_now
from orchestrator.study.claims import read_criteria
from orchestrator.study.figures import draw
from orchestrator.study.material import Material
from orchestrator.study.study import Study, make_study, to_document, to_json
from orchestrator.subject.samples import batches_of_round

SAMPLES = 12
CASES: dict[str, dict[str, Any]] = {
    "no mean": {"metrics": ("f1_macro",)},
    "without times": {"lost": 0.05},
    "nothing has a time": {"lost": 1.0},
    "nothing right": {"right": 0},
    "batches": {"measurement": {"batch": 4}},
    "shuffled batches": {"measurement": {"batch": 4, "order": "shuffled"}},
}


def built(system: str, repeat: int, rounds: int, lost: float = 0.0, right: int = 9, **more: Any) -> TrialData:
    random = np.random.default_rng([repeat, len(system), rounds])
    times = random.lognormal(2, 0.2, (rounds, SAMPLES))
    times[random.random(times.shape) < lost] = np.inf
    trial = build_trial(system, times, right=right, repeat=repeat, **more).record.trial
    for number, row in enumerate(times):
        for batch in batches_of_round(trial, SAMPLES, number):
            row[batch] = row[batch[0]]
    return build_trial(system, times, right=right, repeat=repeat, started_at=utc_now(), **more)


def studied(**case: Any) -> Study:
    trials = [built(system, repeat, **case) for system in ("one", "other") for repeat in (0, 1)]
    analysis = AnalysisConfig(tolerance=ToleranceConfig(median_ms=8, sigma=0.5))
    records = tuple(data.record for data in trials)
    campaign = CampaignRecord(code_version="1", name="odd")
    return make_study(Material(campaign, records, grouped(trials, analysis), analysis, read_criteria()))


@pytest.mark.parametrize("rounds", [1, 24])
@pytest.mark.parametrize("case", CASES)
def test_a_study_is_made_of_whatever_is_stored(case: str, rounds: int) -> None:
    study = studied(rounds=rounds, **CASES[case])
    document = json.loads(to_json(study))
    assert len(document["tables"]["latency"]["rows"]) == 8
    assert {row["verdict"] for row in document["tables"]["claims"]["rows"]} <= {"holds", "fails", "not shown"}
    assert len(document["tables"]["tolerance"]["rows"]) == 2
    assert "nan" not in to_document(study).lower().split()
    assert all("NaN" not in draw(figure) for figure in study.figures)


def test_without_times_every_answer_is_late() -> None:
    study = studied(rounds=24, **CASES["nothing has a time"])
    rows: list[dict[str, Any]] = study.tables["tail"].to_json()["rows"]  # type: ignore[assignment]
    assert all(row["tail latency"] is None for row in rows)
    assert [row[-1] for row in study.tables["fluctuation"].rows] == [False] * 4


@pytest.mark.parametrize("text", ["a: 2026-99-99", "[" * 5000, "a: !!int ''", "- 1"])
def test_a_file_of_criteria_that_is_no_mapping_is_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "study.yaml").write_text(text)
    with pytest.raises(InputError, match=r"^[^\n]*study.yaml: [^\n]*$"):
        read_criteria(tmp_path / "study.yaml")


def test_a_pipe_in_place_of_criteria_keeps_nobody_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "study.yaml")
    with pytest.raises(InputError, match="is no regular file"):
        read_criteria(tmp_path / "study.yaml")
