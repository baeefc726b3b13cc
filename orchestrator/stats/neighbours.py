"""The sum of products of neighbours under random order: its exact moments, and how rare so large a one is."""

from __future__ import annotations

from math import perm
from typing import TypeAlias

import numpy as np
import scipy
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]

SMALLEST_SKEWNESS = 1e-4
"""A law that is less skewed has scores by Cornish and Fisher's first term, exact to 1e-7: as a gamma law its shape would exceed 4e8."""
SMALLEST_VARIANCE = 1e-12
"""Below it, of a series whose largest deviation is 1, the sum is the same in every order: where a single round differs from the others."""
FEWEST_FOR_SKEWNESS = 6
"""Three products that share no value take so many."""


def moments_of_products(centred: Floats, neighbours: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Return mean and variance of the sum of products of neighbours, over all orders of each centred series of at least 3, [M].

    Expectations of products over distinct places follow from the power sums p2 and p4, p1 being 0: E[ab] = -p2/n(n-1),
    E[aabb] = (p2^2 - p4)/n(n-1), E[abbc] = (2 p4 - p2^2)/n(n-1)(n-2), E[abcd] = (3 p2^2 - 6 p4)/n(n-1)(n-2)(n-3). Of the k^2 pairs of
    k products k are equal, twice as many share a place as products follow one another, and the rest shares none. Takes series whose means
    are 0, [M, R], and whether the product of a round and the next one counts, [R]; the first round follows the last.
    """
    n, square = centred.shape[1], centred * centred
    p2, p4 = _products(centred, centred), _products(square, square)
    products = int(neighbours.sum())
    sharing = 2 * int((neighbours & np.roll(neighbours, -1)).sum())
    apart = products**2 - products - sharing
    mean = -products * p2 / (n * (n - 1))
    second = products * (p2**2 - p4) / (n * (n - 1)) + sharing * (2 * p4 - p2**2) / (n * (n - 1) * (n - 2))
    if n > 3:
        second = second + apart * (3 * p2**2 - 6 * p4) / (n * (n - 1) * (n - 2) * (n - 3))
    return mean, second - mean**2


def third_moment_of_products(centred: Floats, neighbours: NDArray[np.bool_]) -> Floats:
    """Return the mean cube of the sum of products of neighbours, over all orders of each centred series of at least 6, [M].

    As `moments_of_products`, with three products: all the same, two the same and the third beside them or apart, three in a row, two in
    a row and one apart, all apart. Sums over distinct places of a^i b^j ... follow from power sums, one exponent of 1 after the other, p1
    being 0.
    """
    n, after, second_after = centred.shape[1], np.roll(neighbours, -1), np.roll(neighbours, -2)
    square = centred * centred
    cube = square * centred
    p2, p3, p4, p6 = (_products(*halves) for halves in ((centred, centred), (square, centred), (square, square), (cube, cube)))
    of_33, of_321, of_222 = p3**2 - p6, 2 * p6 - p3**2 - p4 * p2, p2**3 - 3 * p4 * p2 + 2 * p6
    of_2211 = -2 * of_321 - of_222
    of_3111 = p4 * p2 - 2 * p6 - 2 * of_321
    of_21111 = -of_3111 - 3 * of_2211
    of_111111 = -5 * of_21111
    products, following = int(neighbours.sum()), int((neighbours & after).sum())
    in_a_row = int((neighbours & after & second_after).sum())
    one_apart = following * (products - 2) - 2 * in_a_row
    all_apart = products * (products - 1) * (products - 2) - 6 * in_a_row - 6 * one_apart
    found: Floats = (
        products * of_33 / perm(n, 2)
        + 6 * following * of_321 / perm(n, 3)
        + (3 * (products * (products - 1) - 2 * following) + 6 * in_a_row) * of_2211 / perm(n, 4)
        + 6 * one_apart * of_21111 / perm(n, 5)
        + all_apart * of_111111 / perm(n, 6)
    )
    return found


def scores_by_three_moments(
    products: Floats, centred: Floats, neighbours: NDArray[np.bool_], first_two: tuple[Floats, Floats] | None = None
) -> Floats:
    """Return the normal score of each sum of products, [M]: that of a standard normal value which is exceeded as often under random order.

    Takes sums as `long_run.depend` has them, the series, whose largest deviation is 1, and what `moments_of_products` gives where it is
    known already. -inf where every order has the same sum.
    Its law is taken as Pearson's type III, a gamma law with the three exact moments (Mielke and Berry, *Permutation Methods*, 2007). Losses
    that are few make it skewed: by the normal law one series in 25 of independent rounds with 1 % late exceeds what one in 50 should. Of
    fewer than 6 rounds it is taken as normal.
    """
    mean, variance = moments_of_products(centred, neighbours) if first_two is None else first_two
    varies = variance > SMALLEST_VARIANCE
    spread = np.where(varies, np.sqrt(np.maximum(variance, SMALLEST_VARIANCE)), np.inf)
    z = (products - mean) / spread
    skewness = np.zeros_like(z)
    if centred.shape[1] >= FEWEST_FOR_SKEWNESS:
        skewness = (third_moment_of_products(centred, neighbours) - 3 * mean * variance - mean**3) / spread**3
    size = np.maximum(np.abs(skewness), SMALLEST_SKEWNESS)
    shape, to_the_right = 4 / size**2, skewness >= 0
    at = np.maximum(shape + np.where(to_the_right, 2, -2) * z / size, 0)
    beyond = np.where(to_the_right, scipy.special.gammaincc(shape, at), scipy.special.gammainc(shape, at))
    score = np.where(np.abs(skewness) < SMALLEST_SKEWNESS, z - skewness * (z**2 - 1) / 6, -scipy.special.ndtri(beyond))
    found: Floats = np.where(varies, score, -np.inf)
    return found


def _products(a: Floats, b: Floats) -> Floats:
    """Return the sum of the products of two series, [M]. Of powers the halves: ``**`` above 2 takes twenty times as long."""
    found: Floats = np.einsum("mr,mr->m", a, b)
    return found
