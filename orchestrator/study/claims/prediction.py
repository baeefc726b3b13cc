"""C4: the first rounds predict the last ones, and one process predicts a fresh one."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.study.claims.claim import Claim, Verdict, counted, share_figures
from orchestrator.study.foretelling import Foretold
from orchestrator.study.material import Material

CLAIMS = {"C4a": ("last rounds", "The first rounds predict the last"), "C4b": ("fresh process", "One process predicts a fresh one")}


def prediction_claims(material: Material, found: Sequence[Foretold]) -> list[Claim]:
    """Return the verdicts: misses beyond the bar are counted, one prediction a trial or pair of processes."""
    wanted = material.criteria.claims.prediction
    claims = []
    for name, (against, says) in CLAIMS.items():
        mine = [one for one in found if one.against == against]
        misses = sum(one.missed(one.bar(wanted.least, wanted.deviations)) for one in mine)
        verdict: Verdict = "not shown" if not mine else "holds" if misses <= wanted.misses * len(mine) + 1e-9 else "fails"
        sizes = sorted({(one.fit.size, one.test.size) for one in mine})
        figures = share_figures(misses, len(mine))
        beyond = verdict == "holds" and figures["high"] > wanted.misses
        parts = ", ".join(f"{fit} and {test}" for fit, test in sizes[:3]) + (", ..." if len(sizes) > 3 else "")
        claims.append(
            Claim(
                name,
                f"{says}, at a threshold that the former set",
                f"at most {wanted.misses:.1%} miss the mean by more than max({wanted.least:g} of ideal quality, {wanted.deviations:g} "
                f"sd_round sqrt(1/n_fit + 1/n_test)), within p{wanted.percentile:g}",
                verdict,
                f"{counted(misses, len(mine))} miss"
                + (f"; rounds {parts}" if mine else "")
                + (f"; the limits reach beyond {wanted.misses:.1%}: not shown beyond these trials" if beyond else ""),
                {"predictions": len(mine), "misses": misses, **figures},
            )
        )
    return claims
