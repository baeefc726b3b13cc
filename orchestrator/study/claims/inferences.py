"""C5: fewer inferences than MLPerf asks for, at an equal guarantee."""

from __future__ import annotations

import math

import numpy as np
import scipy
from numpy.typing import NDArray

from orchestrator.stats.certification import samples_to_certify
from orchestrator.stats.latency import percentiles_inverted_cdf, times_beyond
from orchestrator.stats.times import PRIMARY_CLOCK
from orchestrator.stats.units import Units, spread, units_of
from orchestrator.study.claims.claim import Claim, by_share, counted, share_figures
from orchestrator.study.criteria import Queries
from orchestrator.study.material import Material, who, who_columns
from orchestrator.study.settling import Paths, settled_on_both
from orchestrator.study.tables import StudyTable, Value, known, named, numbers, significant, whole


def half_width(percentile: float, inferences: float, confidence: float) -> float:
    """Return how well so many independent inferences fix the share on time at a percentile: z sqrt(p (1 - p) / n), as MLPerf derives it.

    Examples
    --------
    >>> round(half_width(99, 262_742, 0.99), 6)
    0.0005
    """
    share = percentile / 100
    return float(scipy.special.ndtri((1 + confidence) / 2)) * math.sqrt(share * (1 - share) / inferences)


def design_effect(times: NDArray[np.float64], value: float, units: Units | None) -> float:
    """Return by how much the share of times beyond one, [R, S], varies more than that of independent times; at least 1."""
    beyond = times_beyond(times, value).mean(axis=1)
    independent = beyond.mean() * (1 - beyond.mean()) / times.size
    return max(1.0, float(spread(beyond[None], units_of(len(times), units)).variance[0] / independent)) if independent > 0 else 1.0


def inferences_table(material: Material, paths: Paths) -> StudyTable:
    """Return, per trial and scenario, how many inferences there were when rJSD settled, and how many an equal guarantee takes."""
    wanted = material.criteria.claims.inferences
    scenarios = {"single stream": wanted.single_stream, "server": wanted.server}
    rows: list[list[Value]] = []
    for group, data in material.trials():
        until = settled_on_both(paths[data.trial_id], material.criteria.claims.enough.rjsd)
        if until is None:
            continue
        times = data.inferences[PRIMARY_CLOCK]
        percentiles = [scenario.percentile for scenario in scenarios.values()]
        for (name, scenario), value in zip(scenarios.items(), percentiles_inverted_cdf(times, percentiles), strict=True):
            effect = design_effect(times, value, data.visits)
            used = until * times.shape[1]
            needed = math.ceil(scenario.queries * effect)
            widths = [half_width(scenario.percentile, of, wanted.confidence) for of in (used / effect, scenario.queries)]
            stopped = math.ceil(samples_to_certify(scenario.percentile, wanted.confidence, 0) * effect)
            rows.append([*who(group, data), name, used, scenario.queries, known(effect), needed, stopped, *widths])
    return StudyTable(
        "inferences",
        "Inferences until rJSD settled, against MLPerf's counts",
        [
            *who_columns(),
            *named("scenario"),
            *numbers(whole, "used", "MLPerf asks"),
            *numbers(significant, "design effect"),
            *numbers(whole, "equal guarantee takes", "early stopping takes"),
            *numbers(significant, "half-width", "MLPerf's half-width"),
        ],
        rows,
        "Half-width: of the share of answers within the percentile, at the confidence of the criteria, of as many independent inferences "
        "as those used are worth (used / design effect). Equal guarantee: MLPerf's count times the design effect, since inferences of one "
        "round depend on each other. Early stopping: inferences that bound the percentile if none overruns, LoadGen's rule, likewise.",
    )


def inferences_claims(material: Material, table: StudyTable) -> list[Claim]:
    """Return the verdict per scenario: fewer inferences, and as narrow a half-width as MLPerf's."""
    wanted = material.criteria.claims.inferences
    return [_claim(name, scenario, of, wanted.trials, table) for name, scenario, of in _scenarios(material)]


def _scenarios(material: Material) -> list[tuple[str, str, Queries]]:
    wanted = material.criteria.claims.inferences
    return [("C5a", "single stream", wanted.single_stream), ("C5b", "server", wanted.server)]


def _claim(name: str, scenario: str, of: Queries, share: float, table: StudyTable) -> Claim:
    places = {column.name: place for place, column in enumerate(table.columns)}
    mine = [row for row in table.rows if row[places["scenario"]] == scenario]
    fewer = [row for row in mine if _number(row[places["used"]]) < of.queries]
    equal = [row for row in fewer if _number(row[places["half-width"]]) <= _number(row[places["MLPerf's half-width"]])]
    enough = [row for row in fewer if _number(row[places["used"]]) >= _number(row[places["early stopping takes"]])]
    return Claim(
        name,
        f"Fewer inferences than MLPerf's {of.queries:,} ({scenario}) suffice",
        f"fewer until rJSD settles, and p{of.percentile:g} known as narrowly, in {share:.0%} of trials",
        by_share(len(equal), len(mine), share),
        f"fewer in {len(fewer)} of {len(mine)} trials that settled; of these {len(fewer)}, as narrowly in {len(equal)} and enough by early "
        f"stopping in {len(enough)}; both fewer and as narrowly in {counted(len(equal), len(mine))}",
        {
            "settled": len(mine),
            "fewer": len(fewer),
            "as narrowly": len(equal),
            "enough by early stopping": len(enough),
            **share_figures(len(equal), len(mine)),
        },
    )


def _number(value: Value) -> float:
    assert isinstance(value, int | float)
    return float(value)
