"""The deadline a system can promise: by SciPy's Beta candidate by candidate, and as seldom false as it says."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from orchestrator.contracts import InputError
from orchestrator.stats.certificate import certify, risk_of_mean
from orchestrator.stats.units import spread

VISITS = np.arange(120) // 2


def by_hand(deadlines: np.ndarray, units: np.ndarray, late_share: float) -> float | None:
    """Candidates from the largest down until the first whose upper limit exceeds the share, or that the guard refuses."""
    rounds, ordered = deadlines.size, np.sort(deadlines)
    bound = ordered[math.ceil((1 - late_share) * rounds - 1e-9) - 1]
    beyond = deadlines > bound
    p, variance = beyond.mean(), spread(beyond[None].astype(float), units, 3).variance[0]
    independent = p * (1 - p) / rounds
    deff = max(1, variance / independent) if independent > 0 else 1
    effective = rounds / deff * (stats.t.ppf(0.95, rounds - 1) / stats.t.ppf(0.95, 3)) ** 2
    found = None
    for candidate in ordered[::-1]:
        share = (ordered > candidate).mean()
        upper = stats.beta.ppf(0.95, share * effective + 1, (1 - share) * effective)
        kept = [(deadlines[units == number] <= candidate).mean() for number in np.unique(units)]
        if upper > late_share or risk_of_mean(kept, 1 - late_share) > 0.05:
            break
        found = float(candidate)
    return found


@given(seed=st.integers(0, 2**32 - 1), spells=st.sampled_from([1, 5, 20]), late_share=st.sampled_from([0.05, 0.1, 0.3]))
def test_it_is_the_shortest_candidate_that_holds(seed: int, spells: int, late_share: float) -> None:
    random = np.random.default_rng(seed)
    deadlines = random.lognormal(3, 0.1, 120) * np.resize(np.repeat(random.lognormal(0, 0.2, 24), spells), 120)
    found = certify(deadlines, VISITS, 120, late_share=late_share)
    assert found.ns == by_hand(deadlines, VISITS, late_share)
    if found.ns is not None:
        assert (found.breaks, found.reason, found.more_rounds) == (int((deadlines > found.ns).sum()), "", 0)


def test_rounds_after_the_number_fixed_beforehand_do_not_count() -> None:
    random = np.random.default_rng(0)
    deadlines = random.lognormal(3, 0.1, 200)
    later = np.append(deadlines[:120], np.full(80, 1e9))
    units = np.arange(200) // 2
    assert certify(deadlines, units, 120) == certify(later, units, 120) == certify(deadlines[:120], VISITS, 120)


def test_too_few_rounds_are_told_how_many_more() -> None:
    found = certify(np.arange(1.0, 61.0), np.arange(60) // 2, 120)
    assert (found.ns, found.rounds, found.more_rounds, found.reason) == (None, 60, 60, "60 more rounds needed")


@pytest.mark.parametrize("units", [None, np.zeros(120, dtype=np.int64)])
def test_one_stretch_certifies_nothing(units: np.ndarray | None) -> None:
    found = certify(np.random.default_rng(0).permutation(120) + 1.0, units, 120)
    assert (found.ns, found.reason) == (None, "measured in one stretch, which says nothing about later rounds")


def test_few_long_visits_do_not_rule_out_bad_ones() -> None:
    found = certify(np.full(120, 5.0), np.arange(120) // 6, 120)
    assert (found.ns, found.reason) == (None, "20 visits do not rule out bad ones that are rare")
    assert certify(np.full(120, 5.0), VISITS, 120).ns == 5.0


def test_spells_make_rounds_count_as_few() -> None:
    slow = np.where((np.arange(120) >= 40) & (np.arange(120) < 60), 9.0, 1.0) + np.arange(120) / 1000
    found = certify(slow, VISITS, 120)
    assert found.ns is None
    assert found.reason == f"120 rounds count as {found.effective:.0f}: slow rounds come in spells"


def test_rounds_that_never_keep_the_quality() -> None:
    deadlines = np.random.default_rng(0).permutation(120) + 1.0
    deadlines[::9] = math.inf
    found = certify(deadlines, VISITS, 120)
    assert (found.ns, found.breaks, found.reason) == (None, 14, "14 of 120 rounds never keep the quality")
    deadlines = np.random.default_rng(0).permutation(120) + 1.0
    deadlines[[5, 77]] = math.inf
    kept = certify(deadlines, VISITS, 120, late_share=0.3)
    assert kept.ns is not None
    assert kept.breaks >= 2
    assert certify(np.full(120, math.inf), VISITS, 120).reason == "120 of 120 rounds never keep the quality"


def test_false_certificates_are_rare() -> None:
    """Spells of 10 rounds, a sixth of all, between 8 trials that take turns: visits of 2 rounds, 16 from start to start."""
    random, false, issued = np.random.default_rng(4), 0, 0
    for _ in range(400):
        slow = np.empty(60 * 16, dtype=bool)
        state = random.random() < 1 / 6
        for place in range(slow.size):
            state = random.random() < (9 / 10 if state else 1 / 50)
            slow[place] = state
        seen = slow.reshape(60, 16)[:, :2].ravel()
        deadlines = np.where(seen, 2.0, 1.0) * random.lognormal(0, 0.05, 120)
        found = certify(deadlines, VISITS, 120, late_share=0.2)
        if found.ns is not None:
            issued += 1
            beyond = [stats.norm.sf(math.log(found.ns / level) / 0.05) for level in (1.0, 2.0)]
            false += 5 / 6 * beyond[0] + 1 / 6 * beyond[1] > 0.2
    assert issued > 0.5 * 400
    assert false <= 0.07 * 400


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"deadlines_ns": [1.0, math.nan]}, "positive"),
    ],
)
def test_parameters_out_of_range(arguments: dict[str, object], says: str) -> None:
    with pytest.raises(InputError, match=says):
        certify(**({"deadlines_ns": np.ones(120), "units": VISITS, "rounds": 120} | arguments))  # type: ignore[arg-type]


def test_fewer_than_twenty_visits_certify_nothing() -> None:
    deadlines = np.full(120, 5.0)
    few = certify(deadlines, np.arange(120) // 7, 120)
    assert (few.ns, few.reason) == (None, "18 visits, fewer than 20, say too little about later rounds")
    assert certify(deadlines, np.arange(120) // 6, 120, late_share=0.2).ns == 5.0
