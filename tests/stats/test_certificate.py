"""Certified deadlines: against the definition value by value, and how often they are false."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from orchestrator.contracts import InputError
from orchestrator.stats.certificate import certify, few_units
from orchestrator.stats.guard import risk_of_mean
from orchestrator.stats.units import spread

VISITS = np.arange(120) // 2


def by_definition(deadlines: np.ndarray, units: np.ndarray, late_share: float, confidence: float) -> float | None:
    """Try every deadline from the longest down until one fails."""
    rounds, found = deadlines.size, None
    at_quantile = (deadlines > np.sort(deadlines)[int(np.ceil((1 - late_share) * rounds - 1e-9)) - 1]).astype(float)
    share = at_quantile.mean()
    variance = spread(at_quantile[None], units, 3).variance[0]
    deff = max(1.0, variance / (share * (1 - share) / rounds)) if 0 < share < 1 else 1.0
    worth = rounds / deff * (stats.t.ppf(confidence, rounds - 1) / stats.t.ppf(confidence, 3)) ** 2
    for candidate in np.sort(deadlines)[::-1]:
        broke = deadlines > candidate
        x = broke.mean() * worth
        kept = [float((~broke[units == one]).mean()) for one in np.unique(units)]
        if stats.beta.ppf(confidence, x + 1, worth - x) > late_share or risk_of_mean(kept, 1 - late_share) > 1 - confidence:
            break
        found = float(candidate)
    return found


@pytest.mark.parametrize(("late_share", "confidence"), [(0.1, 0.95), (0.2, 0.9), (0.3, 0.99)])
def test_it_is_what_the_definition_says(late_share: float, confidence: float) -> None:
    random = np.random.default_rng(0)
    for number in range(30):
        deadlines = np.round(random.lognormal(0, 0.3, 120), 2) + (np.arange(120) // 30 if number % 3 == 0 else 0)
        found = certify(deadlines, VISITS, 120, late_share=late_share, confidence=confidence)
        assert found.ns == by_definition(deadlines, VISITS, late_share, confidence)
        if found.ns is not None:
            assert (found.breaks, found.reason) == (int((deadlines > found.ns).sum()), "")


def test_only_the_rounds_that_were_fixed_count() -> None:
    deadlines = np.random.default_rng(1).permutation(120) + 1.0
    later = np.append(deadlines, np.full(40, 999.0))
    assert certify(later, np.arange(160) // 2, 120) == certify(deadlines, VISITS, 120)
    short = certify(deadlines[:100], VISITS[:100], 120)
    assert (short.ns, short.rounds, short.more_rounds, short.reason) == (None, 100, 20, "20 more rounds needed")


def test_one_stretch_and_few_visits_certify_nothing() -> None:
    deadlines = np.full(120, 5.0)
    for units in (None, np.arange(120) // 12, np.arange(120) // 7):
        found = certify(deadlines, units, 120)
        assert (found.ns, found.reason) == (None, few_units(units))
        assert found.reason
    assert certify(deadlines, np.arange(120) // 6, 120, late_share=0.2).ns == 5.0


def test_rounds_that_never_keep_the_quality_are_beyond_every_deadline() -> None:
    deadlines = np.random.default_rng(2).permutation(120) + 1.0
    deadlines[deadlines > 119] = np.inf
    found = certify(deadlines, VISITS, 120)
    assert found.ns is not None
    assert found.breaks == 120 - found.ns
    assert found.ns < 119
    never = certify(np.where(np.arange(120) % 4 == 0, np.inf, 5.0), VISITS, 120)
    assert (never.ns, never.reason) == (None, "30 of 120 rounds never keep the quality")
    assert certify(np.full(120, np.inf), VISITS, 120).ns is None


def test_slow_rounds_in_spells_count_as_fewer() -> None:
    spells = np.where(np.arange(120) // 12 == 4, 9.0, 1.0) + np.random.default_rng(3).random(120)
    found = certify(spells, VISITS, 120)
    assert found.ns is None
    assert found.reason == f"120 rounds count as {found.effective:.0f}: slow rounds come in spells"
    assert found.effective < 10


def test_false_certificates_are_rare() -> None:
    """Independent rounds, of which a tenth lies beyond the true deadline."""
    random = np.random.default_rng(4)
    found = [certify(random.random(120) + 1, VISITS, 120).ns for _ in range(300)]
    assert np.mean([one is not None and one < 1.9 for one in found]) <= 0.05
    assert np.mean([one is not None for one in found]) >= 0.9


@pytest.mark.parametrize(
    ("deadlines", "rounds", "late_share", "confidence"),
    [
        ([1.0], 0, 0.1, 0.95),
        ([[1.0]], 1, 0.1, 0.95),
        ([1.0], 1, 0.0, 0.95),
        ([1.0], 1, 0.1, 1.0),
        ([np.nan], 1, 0.1, 0.95),
        ([0.0], 1, 0.1, 0.95),
    ],
)
def test_what_cannot_be_certified_is_refused(deadlines: list[float], rounds: int, late_share: float, confidence: float) -> None:
    with pytest.raises(InputError):
        certify(deadlines, None, rounds, late_share=late_share, confidence=confidence)
