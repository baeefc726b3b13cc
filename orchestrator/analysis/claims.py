"""What each kind of claim takes, and what a campaign of some size cannot claim."""

import math
from dataclasses import dataclass

from orchestrator.stats.constants import CERTIFY_ROUNDS

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
        "below 20 visits it is flagged; from 30 on it covers 93 % within reach",
    ),
    Claim(
        "a difference of 10 %",
        30,
        30,
        "of two trials that take turns, found in 4 of 5 sweeps at a deadline that 80 % meet",
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
