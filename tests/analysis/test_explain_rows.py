from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from built_trials import build_trial, explained

from orchestrator.analysis.evidence import EVIDENCE
from orchestrator.analysis.table import tables
from orchestrator.analysis.tables.explain import TOO_FEW
from orchestrator.analysis.trial_data import TrialData
from orchestrator.analysis.units import spans_ns
from orchestrator.report.explained import sentences
from orchestrator.stats.slow_rounds import divide_lateness
from orchestrator.stats.thresholds import Threshold
from orchestrator.stats.times import Clock
from orchestrator.storage.stored_form import table_of

SLOW = np.random.default_rng(3).random(60) < 0.3
LIMIT = Threshold("25 ms", 25_000_000, "absolute")


@pytest.fixture
def disturbed(noise: Any) -> TrialData:
    """Sixty rounds of 20 samples, 40 % slower while another program takes 0.9 of a core; it also makes the process wait."""
    random = np.random.default_rng(4)
    data = build_trial("a", noise(60, 20, 20) * np.where(SLOW, 1.4, 1.0)[:, None], right=18)
    durations = data.times["total"].sum(axis=1)
    evidence = {
        "duration_ns": durations,
        "foreign_cpu_ns": durations * (0.9 * SLOW + 0.05 * random.random(60)),
        "program_cpu_ns": np.zeros(60),
        "run_delay_ns": durations * (0.3 * SLOW + 0.001 * random.random(60)),
        "minor_faults": random.poisson(30 * durations / durations.mean()).astype(float),
        "major_faults": np.zeros(60),
        "gpu_clock_mhz": np.full(60, np.nan),
    }
    return replace(data, evidence=evidence)


def test_under_load_evidence_of_a_stream_is_divided_by_the_time_of_the_stream(disturbed: TrialData) -> None:
    """Two streams of two rounds, each after a ramp of 1 s: 3 s of another program's time in a stream of 5 s are 0.6 of a core."""
    (foreign,) = (evidence for evidence in EVIDENCE if evidence.column == "foreign_cpu_ns")
    (switches,) = (evidence for evidence in EVIDENCE if evidence.column == "involuntary_switches")
    stored = {
        "stream": np.array([0.0, 0, 1, 1]),
        "stream_started_monotonic_ns": np.array([10.0, 10, 20, 20]) * 1e9,
        "started_monotonic_ns": np.array([11.0, 13, 21, 23]) * 1e9,
        "duration_ns": np.full(4, 2e9),
        "foreign_cpu_ns": np.array([3e9, np.nan, 0, np.nan]),
        "involuntary_switches": np.array([50, np.nan, 5, np.nan]),
    }
    assert foreign.figures(stored["foreign_cpu_ns"], spans_ns(stored)) == pytest.approx([0.6, np.nan, 0.0, np.nan], nan_ok=True)
    assert switches.figures(stored["involuntary_switches"], spans_ns(stored)) == pytest.approx([10.0, np.nan, 1.0, np.nan], nan_ok=True)


def test_the_co_runner_is_the_first_cause(disturbed: TrialData) -> None:
    found = list(explained(disturbed, LIMIT, ("a flag",)))
    assert table_of(found, tables()["explain"].schema).num_rows == len(found)
    assert [(row["column"], row["place"]) for row in found] == [
        ("foreign_cpu_ns", 1), ("run_delay_ns", 2), ("program_cpu_ns", None), ("major_faults", None), ("minor_faults", None),
    ]  # fmt: skip
    first = found[0]
    late = disturbed.times["total"] > LIMIT.ns
    assert (first["quiet_rounds"], first["disturbed_rounds"]) == ((~SLOW).sum(), SLOW.sum())
    assert (first["quiet_late"], first["disturbed_late"]) == (late[~SLOW].mean(), late[SLOW].mean())
    kept = (~late[:, :18]).sum(axis=1) / 20
    assert (first["quiet_mean"], first["disturbed_mean"]) == pytest.approx((kept[~SLOW].mean(), kept[SLOW].mean()))
    assert first["boundary"] == pytest.approx((disturbed.evidence["foreign_cpu_ns"] / disturbed.evidence["duration_ns"])[~SLOW].max())
    divided = divide_lateness(late)
    assert {name: first[name] for name in divided} == divided
    assert (first["late"], first["rounds"], first["flags"]) == (late.mean(), 60, ["a flag"])
    told = list(sentences([dict(row) for row in found], Clock.TOTAL))
    assert [line.partition(":")[0] for line in told if line.startswith(("Cause", "Sign"))] == ["Cause", "Sign"]


@pytest.mark.parametrize("column", ["throttled_ns", "program_cpu_ns"])
def test_a_quota_and_the_program_itself_are_causes_of_their_own(disturbed: TrialData, column: str) -> None:
    quiet = disturbed.evidence | {"foreign_cpu_ns": np.zeros(60), "run_delay_ns": np.zeros(60)}
    first, *others = explained(replace(disturbed, evidence=quiet | {column: disturbed.evidence["foreign_cpu_ns"]}), LIMIT, ())
    assert (first["column"], first["role"], first["place"]) == (column, "cause", 1)
    assert {row["place"] for row in others} == {None}


def test_a_sign_without_a_cause_stands_first(disturbed: TrialData) -> None:
    evidence = {**disturbed.evidence, "foreign_cpu_ns": disturbed.evidence["duration_ns"]}
    found = explained(replace(disturbed, evidence=evidence), LIMIT, ())
    assert [(row["column"], row["role"], row["place"]) for row in found[:2]] == [
        ("run_delay_ns", "sign", 1),
        ("foreign_cpu_ns", "cause", None),
    ]
    assert not any(line.startswith("Cause:") for line in sentences([dict(row) for row in found], Clock.TOTAL))


def test_nothing_is_named_in_few_rounds(disturbed: TrialData) -> None:
    few = replace(
        disturbed,
        times={clock: times[:19] for clock, times in disturbed.times.items()},
        inferences={clock: times[:19] for clock, times in disturbed.inferences.items()},
        evidence={name: values[:19] for name, values in disturbed.evidence.items()},
    )
    assert {(row["place"], *row["flags"]) for row in explained(few, LIMIT, ())} == {(None, TOO_FEW)}


def test_less_frequency_is_harm_and_an_idle_gpu_is_none(disturbed: TrialData) -> None:
    random = np.random.default_rng(5)
    mhz = 3000.0 - 500 * SLOW + random.random(60)
    rounds = disturbed.evidence["duration_ns"]
    slow = replace(disturbed, evidence={"duration_ns": rounds, "frequency_mhz": mhz, "gpu_throttle_reasons": np.where(SLOW, 1.0, 0.0)})
    first, other = explained(slow, LIMIT, ())
    assert (first["column"], first["place"], first["boundary"]) == ("frequency_mhz", 1, mhz[~SLOW].min())
    assert first["late_correlation"] > 0.5
    assert (other["place"], other["late_correlation"]) == (None, None)
    hot = replace(disturbed, evidence={"duration_ns": rounds, "gpu_throttle_reasons": np.where(SLOW, 1.0 + 0x40, 1.0)})
    assert [row["place"] for row in explained(hot, LIMIT, ())] == [1]


def test_answers_that_are_never_late_are_explained_by_time_alone(disturbed: TrialData) -> None:
    first, *_ = explained(disturbed, Threshold("9 s", 9 * 10**9, "absolute"), ())
    assert (first["place"], first["late_correlation"], first["late_p"]) == (1, None, 1.0)
    assert (first["late"], first["by_round"], first["by_neither"]) == (0.0, None, None)
