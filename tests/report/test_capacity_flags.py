"""Which flags stand at what a search has found."""

from __future__ import annotations

import pytest

from orchestrator.report.capacity import flags_of_search

KEPT, FEW = "schedule not kept", "few streams"


@pytest.mark.parametrize(
    ("certified", "rows", "told"),
    [
        (None, [(10, "undecided", [KEPT, FEW]), (20, "undecided", [])], [KEPT]),
        (10, [(10, "keeps", [FEW]), (20, "fails", [KEPT])], [FEW]),
        (10, [(10, "keeps", []), (15, "undecided", [KEPT]), (20, "fails", [])], [KEPT]),
        (10, [(10, "keeps", []), (15, "undecided", [FEW])], []),
    ],
)
def test_a_schedule_that_was_not_kept_says_why_rates_stay_undecided(
    certified: float | None, rows: list[tuple[float, str, list[str]]], told: list[str]
) -> None:
    found = [{"rate_per_s": rate, "certified_per_s": certified, "verdict": verdict, "flags": flags} for rate, verdict, flags in rows]
    assert flags_of_search(found) == {"flags": told}
