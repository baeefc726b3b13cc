"""Draw a subset of a task that keeps the shares of its strata, the same on every machine for one seed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from orchestrator.contracts import Sample


def draw_subset(samples: Sequence[Sample], limit: int | None, seed: int) -> list[Sample]:
    """Return ``limit`` samples in their original order, each stratum with its share.

    Samples are ranked within their stratum by a hash of seed and name, so the choice depends on neither the order of files nor
    the version of any library.

    Parameters
    ----------
    samples
        all samples of a task, names unique.
    limit
        number of samples wanted; None, or as many as there are, takes all.
    seed
        another seed draws another subset.
    """
    if limit is None or limit >= len(samples):
        return list(samples)
    strata: dict[str, list[Sample]] = {}
    for sample in samples:
        strata.setdefault(sample.stratum, []).append(sample)
    quotas = share_out(limit, {stratum: len(members) for stratum, members in strata.items()}, seed)
    chosen = {
        sample.name
        for stratum, members in strata.items()
        for sample in sorted(members, key=lambda member: _rank(seed, "sample", member.name))[: quotas[stratum]]
    }
    return [sample for sample in samples if sample.name in chosen]


def share_out(limit: int, sizes: Mapping[str, int], seed: int) -> dict[str, int]:
    """Return how many samples each stratum gives: its exact share rounded down, the rest by largest remainder.

    Equal remainders are decided by a hash of seed and stratum, so no label is preferred for its name. The quotas sum to
    ``min(limit, sum of sizes)`` and none exceeds its stratum.
    """
    total = sum(sizes.values())
    limit = min(limit, total)
    shares = {stratum: divmod(limit * size, total) for stratum, size in sizes.items()}
    quotas = {stratum: whole for stratum, (whole, _) in shares.items()}
    left = limit - sum(quotas.values())
    by_remainder = sorted(shares, key=lambda stratum: (-shares[stratum][1], _rank(seed, "stratum", stratum)))
    for stratum in by_remainder[:left]:
        quotas[stratum] += 1
    return quotas


def _rank(seed: int, kind: str, name: str) -> bytes:
    return hashlib.sha256(f"{seed}\0{kind}\0{name}".encode()).digest()
