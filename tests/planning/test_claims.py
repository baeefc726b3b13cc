"""What claims take: the table of the documentation, and what a campaign is too short for."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from built_trials import build_trial

from orchestrator.analysis.claims import CLAIMS, lacking, rounds_of
from orchestrator.report.record_tables import claims_table, too_short_for

DOCUMENT = Path(__file__).parents[2] / "docs" / "requirements.md"


def test_the_documentation_has_the_table() -> None:
    rows = [f"| {one.what} | {one.visits} | {rounds_of(one, 2) or '-'} | {one.why} |" for one in CLAIMS]
    assert "\n".join(rows) in DOCUMENT.read_text("utf-8")


@pytest.mark.parametrize(("visits", "rounds", "missing"), [(60, 120, 0), (59, 120, 3), (60, 119, 3), (29, 60, 5), (1, 1000, 5)])
def test_what_is_lacking(visits: int, rounds: int, missing: int) -> None:
    assert len(lacking(visits, rounds)) == missing


def test_rows_have_the_time_of_all_trials() -> None:
    rows = claims_table([(0.5, 2, 1), (1.5, 1, 1)]).rows
    assert [row[-1] for row in rows] == ["1 min 30 s", "1 min 30 s", *["6 min 00 s"] * 3, "-"]
    assert [row[2] for row in rows] == ["60", "60", *["120"] * 3, "-"]
    assert [rounds_of(one, 14) for one in CLAIMS] == [420, 420, 840, 840, 840, 0]


@pytest.mark.parametrize(("pause", "took"), [(0, "1 min 00 s"), (1, "2 min 00 s"), (59, "1 h 00 min")])
def test_a_lone_trial_takes_its_pauses_too(pause: float, took: str) -> None:
    assert claims_table([(1.0, 2, pause)]).rows[0][-1] == took


def test_the_shortest_trial_says_what_the_campaign_is_too_short_for() -> None:
    def trial(system: str, rounds: int) -> object:
        made = build_trial(system, np.full((rounds, 5), 10.0), visits=np.arange(rounds, dtype=np.int32) // 2)
        return replace(made, evidence={"duration_ns": np.full(rounds, 1e9)})

    short, long = trial("one", 80), trial("two", 120)
    told = too_short_for([long, short])  # type: ignore[list-item]
    missing = ["a p99 with an upper limit", "a certified deadline", "a requirement met"]
    assert told == {
        "rounds": 80,
        "visits": 40,
        "missing": missing,
        "claims": 5,
        "settings": "measurement.min_rounds=120",
        "takes": "4 min 00 s",
    }
    assert too_short_for([long]) is None  # type: ignore[list-item]
