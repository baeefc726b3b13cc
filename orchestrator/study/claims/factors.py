"""C6: system, framework and input each change how long inference takes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from orchestrator.stats.times import PRIMARY_CLOCK
from orchestrator.study.claims.claim import Claim, Verdict
from orchestrator.study.factors import Division
from orchestrator.study.material import Material
from orchestrator.study.tables import three
from orchestrator.study.variance import SAMPLE

CLAIMS = {"C6a": ("system", "system"), "C6b": ("runtime", "framework"), "C6c": (SAMPLE, "input"), "C6d": ("model", "model")}


def factor_claims(material: Material, found: Sequence[Division]) -> list[Claim]:
    """Return the verdict on each factor: it must matter in every task in which it has several levels."""
    wanted = material.criteria.claims.factors
    claims = []
    for name, (source, word) in CLAIMS.items():
        shares = [(one.group.task, one.shares[source]) for one in found if one.clock == PRIMARY_CLOCK and source in one.shares]
        lows = np.array([share.low for _, share in shares])
        highs = np.array([share.high for _, share in shares])
        verdict: Verdict = "not shown"
        if shares and bool((lows >= wanted.share).all()):
            verdict = "holds"
        elif shares and bool((highs < wanted.share).any()):
            verdict = "fails"
        figures = "; ".join(f"{task} {_figure(share.omega_squared, share.low, share.high)}" for task, share in shares)
        claims.append(
            Claim(
                name,
                f"The {word} changes inference time",
                f"omega2 of log total time at least {wanted.share:g} in every task, with {wanted.confidence:.0%} confidence",
                verdict,
                figures or "no balanced design in which it has several levels",
                {task: share.omega_squared for task, share in shares},
            )
        )
    return claims


def _figure(share: float, low: float, high: float) -> str:
    return three(share) if np.isnan(low) else f"{three(share)} [{three(low)}, {three(high)}]"
