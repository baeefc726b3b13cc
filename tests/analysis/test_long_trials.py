"""Memory is linear in rounds and in thresholds, and a stranger's few megabytes ask for no more than that."""

import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from built_trials import build_trial, explained, rows_made

from benchmarks.report import write
from orchestrator.analysis import quality
from orchestrator.analysis.campaign_analysis import CampaignAnalysis, analyse
from orchestrator.analysis.evidence import EVIDENCE
from orchestrator.analysis.tables import comparison
from orchestrator.configuration.analysis import AnalysisConfig
from orchestrator.report.charts import figures
from orchestrator.stats.thresholds import Threshold
from orchestrator.storage.reader import open_campaign


def peak(work: Callable[[], object]) -> int:
    """Return the most bytes that Python and NumPy held at once while something was done."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.slow
def test_a_report_holds_no_table_of_all_rounds_and_thresholds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stored trial of 20,000 rounds of one sample, and 200 thresholds, in blocks of a twentieth of their size."""
    for module in (quality, comparison):
        monkeypatch.setattr(module, "MOST_VALUES", 2**22 // 20)
    write(tmp_path / "campaign", 1, 20_000, 1)
    campaign, results = open_campaign(tmp_path / "campaign"), list[CampaignAnalysis]()
    of_few = peak(lambda: results.append(analyse(campaign, AnalysisConfig())))
    many = AnalysisConfig(thresholds_ms=tuple(4 + place / 40 for place in range(200)))
    assert peak(lambda: analyse(campaign, many)) < of_few + 200 * 20_000 * 8
    drawn: dict[str, Any] = figures(results[0])
    columns = [
        value for _, chart in drawn.values() for row in chart.spec["data"]["values"] for value in row.values() if isinstance(value, list)
    ]
    assert 100 < max(map(len, columns)) <= 1000


@pytest.mark.parametrize("visits", [None, np.arange(6000) // 4], ids=["circular shifts", "visits exchanged"])
def test_what_slow_rounds_go_with_is_found_in_little_memory_a_round(visits: np.ndarray | None) -> None:
    """All evidence there can be is 16 numbers a round, and each way to move it against two harms makes 32: 384 bytes in all."""
    rounds = 6000
    random = np.random.default_rng(0)
    data = build_trial("long", random.lognormal(2, 0.3, (rounds, 1)))
    evidence = {"duration_ns": data.times[data.clock][:, 0]} | {one.column: random.lognormal(size=rounds) for one in EVIDENCE}
    trial = replace(data, evidence=evidence, visits=visits)
    limit = Threshold("9 ms", 9_000_000, "absolute")
    assert peak(lambda: list(explained(trial, limit))) < 900 * rounds


def test_figures_in_blocks_are_those_of_one_block(noise: Callable[..., np.ndarray], monkeypatch: pytest.MonkeyPatch) -> None:
    data = build_trial("one", noise(40, 20, 10.0), right=15)
    asked = AnalysisConfig(thresholds_ms=(9.0, 10.0, 11.0, 12.0))
    whole = rows_made("tail_quality", [data], asked, ())
    monkeypatch.setattr(quality, "MOST_VALUES", 80)  # two thresholds of 40 rounds
    parts = rows_made("tail_quality", [data], asked, ())
    for one, other in zip(whole, parts, strict=True):
        assert one.keys() == other.keys()
        for name, value in one.items():
            assert other[name] == (pytest.approx(value, rel=1e-12) if isinstance(value, float) else value)
