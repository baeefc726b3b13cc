"""What each kind of claim takes, what a campaign cannot claim, and how long slow spells may be."""

import math
from dataclasses import dataclass

from orchestrator.stats.constants import (
    CERTIFY_ROUNDS,
    REACH_OF_CERTIFICATE,
    REACH_OF_INTERVAL,
    REACH_VISITS,
)

GUESSED_S = 0.01  # What an answer takes where nothing was measured before


@dataclass(frozen=True)
class Claim:
    """A claim, the visits and rounds it takes, and why; a search for a rate takes streams alone."""

    what: str
    visits: int
    rounds: int
    why: str


# In order of size.
CLAIMS = (
    Claim(
        "an interval of a mean",
        30,
        30,
        "below 20 visits it is flagged; from 30 on, within reach, it covers 97 % on average, and "
        "91 % in the worst simulated case, at a fixed number of rounds",
    ),
    Claim(
        "a system with 10 % longer times",
        30,
        30,
        "simulated, two or eight alternating trials, 80 % of answers on time: found in 86 % of "
        "sweeps on average, in 5 % under the worst noise",
    ),
    Claim(
        "a p99 with an upper limit",
        60,
        120,
        "fewer rounds often have none where slow rounds come in spells",
    ),
    Claim(
        "a certified deadline",
        60,
        CERTIFY_ROUNDS,
        "for 90 % of rounds: `measurement.certify_rounds`",
    ),
    Claim(
        "a requirement met",
        60,
        120,
        "95 % of ideal quality kept: 59 visits rule out that one in twenty is bad",
    ),
    Claim(
        "a rate certified by `capacity`",
        180,
        0,
        "streams: 30 of a pilot at 10 rates, then 5 rates of 30",
    ),
)


def lacking(visits: int, rounds: int) -> list[Claim]:
    """Return what so many visits and rounds of each trial cannot claim.

    Examples
    --------
    >>> [claim.what for claim in lacking(40, 80)]
    ['a p99 with an upper limit', 'a certified deadline', 'a requirement met']
    """
    return [
        claim
        for claim in CLAIMS
        if claim.rounds and (visits < claim.visits or rounds < claim.rounds)
    ]


def rounds_of(claim: Claim, per_visit: float) -> int:
    """Return the rounds that a claim takes in visits of so many rounds.

    Examples
    --------
    >>> [rounds_of(CLAIMS[0], per_visit) for per_visit in (1, 2, 14)]
    [30, 60, 420]
    """
    return max(claim.rounds, math.ceil(claim.visits * per_visit)) if claim.rounds else 0


def reach_words(cycle: float, unit: str) -> str:
    """Return how long slow spells may be for intervals and certificates to hold, in two sentences.

    Visits begin a cycle apart: 2 T rounds for T trials in visits of 2.

    Examples
    --------
    >>> print(reach_words(16, "rounds"))
    A cycle has 16 rounds. From 30 visits on, intervals hold for slow spells of up \
to 20 rounds, certificates for up to 40 (1.25 and 2.5 cycles).
    """
    return (
        f"A cycle has {cycle:.3g} {unit}. From {REACH_VISITS} visits on, intervals hold for slow "
        f"spells of up to {REACH_OF_INTERVAL * cycle:.3g} {unit}, certificates for up to "
        f"{REACH_OF_CERTIFICATE * cycle:.3g} "
        f"({REACH_OF_INTERVAL:g} and {REACH_OF_CERTIFICATE:g} cycles)."
    )
