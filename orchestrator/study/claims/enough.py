"""C3: rJSD below its bound means that enough was measured."""

from __future__ import annotations

from orchestrator.stats.latency import percentiles_inverted_cdf
from orchestrator.stats.times import PRIMARY_CLOCK
from orchestrator.study.claims.claim import Claim, Verdict, counted, share_figures
from orchestrator.study.material import Material, who, who_columns
from orchestrator.study.settling import Paths, settled_on_both
from orchestrator.study.tables import Column, StudyTable, Value, numbers, three, whole

FEWEST_LEFT = 10
PERCENTILE = 95.0


def enough_table(material: Material, paths: Paths) -> StudyTable:
    """Return what the rounds until rJSD settled say of the rest, of every trial with enough rounds left."""
    wanted = material.criteria.claims.enough
    rows: list[list[Value]] = []
    for group, data in material.trials():
        until = settled_on_both(paths[data.trial_id], wanted.rjsd)
        times = data.times[PRIMARY_CLOCK]
        if until is None or len(times) - until < FEWEST_LEFT:
            continue
        bound = percentiles_inverted_cdf(data.inferences[PRIMARY_CLOCK][:until], [PERCENTILE])[0]
        judged = data.judged(data.metric)
        quality = judged.curve(times, [bound])[0]
        difference = abs(float(quality[:until].mean() - quality[until:].mean()))
        within = wanted.within * abs(judged.ideal())
        rows.append([*who(group, data), until, len(times) - until, difference, within, difference <= within])
    return StudyTable(
        "enough",
        f"Rounds until rJSD was at most {wanted.rjsd:g} on both clocks, against the rest: p{PERCENTILE:g} of the former, total time",
        [*who_columns(), *numbers(whole, "until then", "rest"), *numbers(three, "difference", "allowed"), Column("enough")],
        rows,
        f"Of trials in which at least {FEWEST_LEFT} rounds are left. rJSD sees the density of all times together and nothing of its tail.",
    )


def enough_claim(material: Material, table: StudyTable) -> Claim:
    """Return the claim's verdict: it fails where even the upper 95 % limit of the share lies below what is wanted."""
    wanted = material.criteria.claims.enough
    shown = [bool(row[-1]) for row in table.rows]
    figures = share_figures(sum(shown), len(shown))
    verdict: Verdict = "not shown"
    if figures and figures["share"] >= wanted.trials:
        verdict = "holds"
    elif figures and figures["high"] < wanted.trials:
        verdict = "fails"
    return Claim(
        "C3",
        f"An rJSD of at most {wanted.rjsd:g} means that enough was measured",
        f"the rounds until then are within {wanted.within:g} of ideal quality of the rest, in {wanted.trials:.0%} of trials",
        verdict,
        f"{counted(sum(shown), len(shown))} trials that settled",
        {"settled": len(shown), "enough": sum(shown), **figures},
    )
