"""The rate of arrivals up to which quality is kept: estimated from a pilot, certified by streams.

A *stream* of n answers begins with an empty queue and arrivals of its own. It keeps the quality if
it loses at most floor((1 - keep) n) of the answers that are right without a deadline. Rates are in
samples a second.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from orchestrator.stats.constants import (
    ADVISED_LOST,
    CERTIFIED_SHARES,
    CONFIDENCE,
    ENOUGH_NEAR,
    NEAR,
    PILOT_AROUND,
    PILOT_BEYOND,
    PILOT_MOST,
    PILOT_SHARES,
    PILOT_STREAMS,
    PILOT_STREAMS_AROUND,
    RAMP_DEADLINES,
    RAMP_OF_STREAM,
    ROUNDING,
    STREAMS_TO_KEEP,
)
from orchestrator.stats.interval import binomial_limits, korn_graubard
from orchestrator.stats.units import Floats, Units, means_of_units

DIGITS = 6  # of a rate: it stands in the ids of trials


class PilotRate(NamedTuple):
    """A rate of the pilot, and what each of its streams lost of ideal quality, [V]."""

    rate_per_s: float
    lost: Floats


class Estimate(NamedTuple):
    """The rate at which mean quality crosses what is asked, and its interval.

    0 lies below all rates of the pilot, infinity above them.
    """

    rate_per_s: float
    low: float
    high: float


def rounded_rate(rate_per_s: float) -> float:
    """Return a rate with as many digits as count."""
    return float(f"{rate_per_s:.{DIGITS}g}")


def answers_of_stream(keep: float, lost: float = ADVISED_LOST) -> int:
    """Return the length of a stream that may lose so many: 3/(1 - keep) at least, 10/ better.

    >>> answers_of_stream(0.99), answers_of_stream(0.99, 3), answers_of_stream(0.95)
    (1000, 300, 200)
    """
    return math.ceil(lost / (1 - keep) - ROUNDING * lost / (1 - keep) ** 2)


def ramp_of_stream(answers: int, deadline_s: float, throughput_per_s: float) -> int:
    """Return how many arrivals before its answers fill the queue of a stream, at most as many.

    >>> ramp_of_stream(300, 0.05, 200), ramp_of_stream(300, 0.001, 200), ramp_of_stream(300, 9, 200)
    (50, 15, 300)
    """
    by_deadline = RAMP_DEADLINES * deadline_s * throughput_per_s
    return math.ceil(min(answers, max(RAMP_OF_STREAM * answers, by_deadline)))


def whole_streams(values: ArrayLike, streams: Units, cut: ArrayLike = False) -> Floats:
    """Return the mean of the values of rounds, [R], over each whole stream, in order, [V].

    A stream with fewer rounds than the longest was cut short, and is left out; so is one with a
    round that ended before all its samples (``cut``, [R] or one for all).

    >>> whole_streams([1.0, 0.5, 0.0, 1.0, 1.0], np.array([0, 0, 1, 2, 2]))
    array([0.75, 1.  ])
    """
    rounds = np.stack(np.broadcast_arrays(np.asarray(values, dtype=np.float64), cut))
    if not rounds.size:
        return np.zeros(0)
    (means, broken), sizes = means_of_units(rounds, streams)
    return np.asarray(means[(sizes == sizes.max()) & (broken == 0)])


def streams_kept(lost: ArrayLike, keep: float) -> int:
    """Return how many streams keep a share of ideal quality, of what each lost, [V]."""
    return int((np.asarray(lost) <= 1 - keep + ROUNDING).sum())


def least_share(kept: int, streams: int) -> float:
    """Return the least share of streams that keep it, at 95 % (Clopper and Pearson, one-sided).

    >>> [round(least_share(kept, 30), 3) for kept in (30, 28, 27)]
    [0.905, 0.805, 0.761]
    """
    return float(binomial_limits(kept, streams, 1 - CONFIDENCE)[0]) if streams else 0.0


def is_certified(kept: int, streams: int) -> bool:
    """Return whether so many streams show that at least a share of 0.8 keeps the quality."""
    return least_share(kept, streams) >= STREAMS_TO_KEEP


def estimated(pilot: Sequence[PilotRate], keep: float, answers: float) -> Estimate:
    """Return where mean quality crosses a share of ideal quality; a stream can lose ``answers``.

    Lost shares rise with the rate (isotonic regression: Barlow, Bartholomew, Bremner, Brunk,
    *Statistical Inference under Order Restrictions*, 1972); between two rates their logits are
    linear in its logarithm. The interval is that of the rates at which as much is lost as Korn and
    Graubard's limits of the allowed share allow, by the streams of the two rates beside the
    crossing; how much streams differ is taken from all rates near it.

    >>> lost = {80: 0.0, 100: 0.005, 120: 0.02}
    >>> pilot = [PilotRate(rate, np.full(3, share)) for rate, share in lost.items()]
    >>> [round(rate) for rate in estimated(pilot, 0.99, 300)]
    [109, 98, 119]
    """
    ordered = sorted(pilot, key=lambda one: one.rate_per_s)
    rates, lost = np.array([one.rate_per_s for one in ordered]), [one.lost for one in ordered]
    streams, share = np.array([(each.size, np.clip(each.mean(), 0, 1)) for each in lost]).T
    number, allowed = streams * answers, 1 - keep
    smoothed, logit = (share * number + 0.5) / (number + 1), scipy.special.logit
    rising = scipy.optimize.isotonic_regression(smoothed, weights=streams).x

    def crossing(share: float) -> float:
        return float(np.exp(np.interp(logit(share), logit(rising), np.log(rates), -np.inf, np.inf)))

    rate = crossing(allowed)
    near, spare = _is_near(rates, rate), share * (1 - share) * (streams - 1) / answers
    spread = sum(each.var() * each.size for each, is_in in zip(lost, near, strict=True) if is_in)
    effect = max(1.0, spread / spare[near].sum()) if spare[near].any() else 1.0
    beside = float(number[max(0, int((rates < rate).sum()) - 1) :][:2].sum())
    degrees = max(1, int((streams[near] - 1).sum()))
    low, high, _ = korn_graubard([allowed], beside, [effect * allowed * keep / beside], degrees)
    # Where nothing is lost, rates do not tell how fast losses rise. So the interval reaches at
    # least as far down as up.
    most = crossing(float(high[0]))
    least = crossing(max(float(low[0]), float(rising[0]) * (1 + ROUNDING)))
    return Estimate(rate, min(least, rate**2 / most if 0 < rate < math.inf else rate), most)


def _is_near(rates: Floats, rate: float) -> NDArray[np.bool_]:
    return np.asarray((rates <= NEAR * rate) & (rate <= NEAR * rates))


def next_of_pilot(
    throughput_per_s: float, rates: Sequence[float], estimate: Estimate | None
) -> tuple[tuple[float, ...], int]:
    """Return which rates of the pilot come next, and in how many streams; none where it is over.

    ``throughput_per_s`` is that of the closed loop; ``estimate`` is what the rates so far lead to.

    >>> next_of_pilot(100, [], None)
    ((20.0, 42.5, 65.0, 87.5, 110.0), 2)
    >>> next_of_pilot(100, [20, 42.5, 65, 87.5, 110], Estimate(80, 70, 90))
    ((64.0, 72.0, 80.0, 88.0, 96.0), 4)
    """
    streams = PILOT_STREAMS
    if estimate is None:
        found = [share * throughput_per_s for share in PILOT_SHARES]
    elif estimate.rate_per_s == 0:
        found = [min(rates) / share for share in PILOT_BEYOND]
    elif math.isinf(estimate.rate_per_s):
        found = [max(rates) * share for share in PILOT_BEYOND]
    else:
        enough = _is_near(np.array(rates), estimate.rate_per_s).sum() >= ENOUGH_NEAR
        found = [] if enough else [share * estimate.rate_per_s for share in PILOT_AROUND]
        streams = PILOT_STREAMS_AROUND
    room = len(rates) + len(found) <= PILOT_MOST
    return tuple(map(rounded_rate, found)) if room else (), streams


def rates_to_certify(estimate: Estimate, highest: float) -> tuple[float, ...]:
    """Return which rates are tested, ascending, until one fails; the pilot went up to ``highest``.

    >>> rates_to_certify(Estimate(100, 90, 110), 120)
    (65.0, 72.0, 80.0, 88.0, 96.0)
    """
    rate = min(estimate.rate_per_s, highest)
    return tuple(rounded_rate(share * rate) for share in CERTIFIED_SHARES if rate > 0)
