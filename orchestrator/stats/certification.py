from __future__ import annotations

from fractions import Fraction

import scipy

from orchestrator.contracts import InputError

ROUNDING = 1e-12
MOST_SAMPLES = 10**15


def samples_to_certify(percentile: float, confidence: float, overruns: int) -> int:
    """Return how many samples show that a percentile lies within a bound despite some overruns.

    The smallest n with P(Bin(n, 1 - p) <= overruns) <= 1 - confidence: were the percentile beyond
    the bound, so few overruns among n independent samples would be this unlikely. MLPerf LoadGen's
    early stopping (``early_stopping.cc``); 459 samples for p99 at 99 % without an overrun. Of
    samples that are not independent only n / design effect count. InputError for a percentile in
    percent, a confidence or overruns out of range, and where more than 10^15 would be needed.

    Examples
    --------
    >>> samples_to_certify(99, 0.99, 0), samples_to_certify(99.9, 0.99, 1)
    (459, 6636)
    """
    if not 0 < percentile < 100:
        raise InputError(
            f"percentile {percentile}: must lie between 0 and 100; percentiles are given in percent"
        )
    if not 0 < confidence < 1:
        raise InputError(f"confidence {confidence}: must lie between 0 and 1, such as 0.99")
    if overruns < 0:
        raise InputError(
            f"overruns {overruns}: the number of samples beyond the bound cannot be negative"
        )
    share = float(1 - Fraction(str(percentile)) / 100)
    error = float(1 - Fraction(str(confidence))) * (1 + ROUNDING)
    too_few, enough = overruns, overruns + 1
    while _at_most(overruns, enough, share) > error:
        too_few, enough = enough, 2 * enough
        if enough > MOST_SAMPLES:
            raise InputError(
                f"percentile {percentile}: it takes more than {MOST_SAMPLES:.0e} samples; "
                "choose a lower one"
            )
    while enough - too_few > 1:
        middle = (too_few + enough) // 2
        if _at_most(overruns, middle, share) > error:
            too_few = middle
        else:
            enough = middle
    return enough


def _at_most(overruns: int, n: int, share: float) -> float:
    """Return P(Bin(n, share) <= overruns) for n above ``overruns``."""
    return float(scipy.special.betaincc(overruns + 1, n - overruns, share))
