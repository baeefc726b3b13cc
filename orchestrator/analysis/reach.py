"""How long slow spells may be for intervals and certificates to hold."""

from typing import NamedTuple

from orchestrator.stats.constants import REACH_OF_CERTIFICATE, REACH_OF_INTERVAL, REACH_VISITS


class Reach(NamedTuple):
    """The longest spells within reach, in the unit of the cycle."""

    interval: float
    certificate: float


def reach_of(cycle: float) -> Reach:
    """Return the reach of visits that begin a cycle apart: 2 T rounds for T trials in visits of 2.

    Examples
    --------
    >>> reach_of(16), reach_of(4)
    (Reach(interval=20.0, certificate=40.0), Reach(interval=5.0, certificate=10.0))
    """
    return Reach(REACH_OF_INTERVAL * cycle, REACH_OF_CERTIFICATE * cycle)


def reach_words(cycle: float, unit: str) -> str:
    """Return the reach in two sentences.

    Examples
    --------
    >>> print(reach_words(16, "rounds"))
    A cycle has 16 rounds. From 30 visits on intervals hold for slow spells of up \
to 20 rounds, certificates for up to 40 (1.25 and 2.5 cycles).
    """
    interval, certificate = reach_of(cycle)
    return (
        f"A cycle has {cycle:.3g} {unit}. From {REACH_VISITS} visits on intervals hold for slow "
        f"spells of up to {interval:.3g} {unit}, certificates for up to {certificate:.3g} "
        f"({REACH_OF_INTERVAL:g} and {REACH_OF_CERTIFICATE:g} cycles)."
    )
