"""Has a function become slower? Their visits alternate, so that the machine is the same: ``python compare_two_versions.py [ROUNDS]``."""

import sys

import tail_quality as tq


def old(number: int) -> bool:
    """Say whether a number is prime."""
    return number > 1 and all(number % factor for factor in range(2, number))


def new(number: int) -> bool:
    """Say the same, and stop at the root."""
    return number > 1 and all(number % factor for factor in range(2, int(number**0.5) + 1))


numbers = [9_973, 9_991, 10_007, 10_011]
primes = [True, False, True, False]
found = tq.compare({"old": old, "new": new}, numbers, primes, deadline="1 ms", rounds=int(sys.argv[1]) if sys.argv[1:] else 60)
print(found)
