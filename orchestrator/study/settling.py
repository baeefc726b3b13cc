"""C3: an rJSD below its bound says that enough was measured; C5: fewer inferences than MLPerf's."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import scipy
from numpy.typing import NDArray

from orchestrator.analysis.groups import Group
from orchestrator.analysis.threads import map_in_threads
from orchestrator.analysis.trial_data import TrialData
from orchestrator.stats.certificate import samples_to_certify
from orchestrator.stats.convergence import (
    DensityConvergence,
    divergences,
    fit_times,
    rounds_each_sample_needs,
)
from orchestrator.stats.density import Floats
from orchestrator.stats.latency import percentiles_inverted_cdf, times_beyond
from orchestrator.stats.times import PRIMARY_CLOCK, SHOWN_SERVICE_CLOCKS, Clock
from orchestrator.stats.units import Units, evenly_chosen, spread, units_of
from orchestrator.study.material import WHO_COLUMNS, Material, who
from orchestrator.study.tables import (
    Claim,
    Row,
    StudyTable,
    Value,
    by_share,
    counted,
    table,
)

MOST_FITS = 50  # of a trial's density
MOST_SAMPLES_IN_ALL, FEWEST_SAMPLES = 720, 10
LEAST_ROUNDS, MOST_ROUNDS = 55, 200
SHARES = (80.0, 85.0, 90.0, 95.0)  # of samples, in percent, that have settled
# Rounds of the test, of all, and times of a sample in either part, for a density.
TEST_ROUNDS, FEWEST_TO_TEST, FEWEST_TIMES = 30, 60, 5
PERCENTILE, FEWEST_LEFT = 95.0, 10


class Path(NamedTuple):
    """rJSD of one trial and clock: after how many rounds, and its values."""

    rounds: NDArray[np.int64]
    rjsd: Floats

    def settled(self, bound: float) -> int | None:
        """Return after how many rounds it was first at most ``bound``, or None."""
        within = self.rounds[self.rjsd <= bound]
        return int(within[0]) if within.size else None


@lru_cache(maxsize=1)
def paths_of(material: Material) -> Mapping[str, Mapping[Clock, Path]]:
    """Return rJSD over fits of every trial, by its id."""
    window = material.criteria.claims.enough.window

    def path(times: Floats) -> Path:
        convergence = DensityConvergence(window, fit_every=-(-len(times) // MOST_FITS))
        checks = map(convergence.update, times)
        found = [(check.rounds, check.rjsd) for check in checks if check.rjsd is not None]
        rounds, rjsd = np.array(found, dtype=np.float64).reshape(-1, 2).T
        return Path(rounds.astype(np.int64), rjsd)

    def paths(data: TrialData) -> dict[Clock, Path]:
        return {clock: path(data.inferences[clock]) for clock in SHOWN_SERVICE_CLOCKS}

    trials = [data for _, data in material.trials()]
    return dict(zip((data.trial_id for data in trials), map_in_threads(paths, trials), strict=True))


def settled_on_both(paths: Mapping[Clock, Path], bound: float) -> int | None:
    """Return after how many rounds both clocks were at most ``bound`` at once, or None."""
    both = np.maximum(*(paths[clock].rjsd for clock in SHOWN_SERVICE_CLOCKS))
    return Path(paths[PRIMARY_CLOCK].rounds, both).settled(bound)


@table(
    "rjsd",
    "rJSD over fits, and the first round at which it was at most {c.enough.rjsd:g}",
    [
        WHO_COLUMNS,
        ("whole", *(f"settled {clock}" for clock in SHOWN_SERVICE_CLOCKS), "settled both"),
        *(("three", *(f"last {clock}" for clock in SHOWN_SERVICE_CLOCKS)), ("whole", "rounds")),
    ],
    "rJSD: root of the mean Jensen-Shannon divergence (natural logarithm) between the density "
    "of all log times so far and its earlier fits, as the paper's equation (5) defines it; its "
    "program takes a different root. A dash: not reached.",
)
def _rjsd(material: Material) -> Iterator[Row]:
    bound = material.criteria.claims.enough.rjsd
    for group, data in material.trials():
        of_trial = [paths_of(material)[data.trial_id][clock] for clock in SHOWN_SERVICE_CLOCKS]
        settled = [path.settled(bound) for path in of_trial]
        settled.append(settled_on_both(paths_of(material)[data.trial_id], bound))
        last = [float(path.rjsd[-1]) if path.rjsd.size else None for path in of_trial]
        yield [*who(group, data), *settled, *last, len(data.times[PRIMARY_CLOCK])]


# A row of every trial that has cells, from the times of some of its samples.
def _rows(material: Material, cells: Callable[[Floats], Sequence[Value]]) -> list[Row]:
    pairs = material.trials()
    fair = MOST_SAMPLES_IN_ALL // max(len(pairs), 1)
    most = max(FEWEST_SAMPLES, min(material.criteria.most_samples, fair))

    def of(pair: tuple[Group, TrialData]) -> Sequence[Value]:
        times = pair[1].own_times(PRIMARY_CLOCK)
        return cells(times[:, evenly_chosen(times.shape[1], most)])

    found = map_in_threads(of, pairs)
    return [[*who(*pair), *row] for pair, row in zip(pairs, found, strict=True) if row]


@table(
    "least_rounds",
    "Least rounds, total time",
    [WHO_COLUMNS, ("whole", "samples", *(f"{share:g} %" for share in SHARES))],
    "Rounds after which the densities of a share of samples moved by a distance of at most 0.2 "
    f"over five fits, in trials of {LEAST_ROUNDS} rounds or more. A dash: more rounds than there "
    f"are, or than {MOST_ROUNDS}.",
)
def _least_rounds(material: Material) -> Iterable[Row]:
    def needed(times: Floats) -> Sequence[Value]:
        if len(times) < LEAST_ROUNDS:
            return ()
        settled = rounds_each_sample_needs(times[:MOST_ROUNDS])
        return times.shape[1], *percentiles_inverted_cdf(settled, SHARES)

    return _rows(material, needed)


@table(
    "train_test",
    "Distance between the densities of each sample's first and last rounds, total time",
    [
        *(WHO_COLUMNS, ("whole", "first rounds", "last rounds", "samples")),
        ("three", "mean", "median", "largest"),
    ],
    "Jensen-Shannon distance, in the true order of rounds. Densities of few times differ by "
    "chance alone: of 70 and 30 times drawn from one law the distance is about 0.1 to 0.2.",
)
def _train_test(material: Material) -> Iterable[Row]:
    def distances(times: Floats) -> Sequence[Value]:
        parts = times[:-TEST_ROUNDS].T, times[-TEST_ROUNDS:].T
        found = [
            math.sqrt(divergences(fit_times(first), [fit_times(last)])[0])
            for first, last in zip(*parts, strict=True)
            if len(times) >= FEWEST_TO_TEST
            and min(np.isfinite(part).sum() for part in (first, last)) >= FEWEST_TIMES
        ]
        if not found:
            return ()
        figures = (float(np.mean(found)), float(np.median(found)), max(found))
        return len(times) - TEST_ROUNDS, TEST_ROUNDS, len(found), *figures

    return _rows(material, distances)


@table(
    "enough",
    "Rounds until rJSD was at most {c.enough.rjsd:g} on both clocks, against the rest: "
    f"total time, within the p{PERCENTILE:g} of the former",
    [
        *(WHO_COLUMNS, ("whole", "until then", "rest")),
        *(("three", "difference", "allowed"), ("words", "enough")),
    ],
    f"Trials in which at least {FEWEST_LEFT} rounds are left. rJSD compares the density of all "
    "times together and shows nothing about its tail.",
)
def _enough(material: Material) -> Iterator[Row]:
    wanted = material.criteria.claims.enough
    for group, data in material.trials():
        until = settled_on_both(paths_of(material)[data.trial_id], wanted.rjsd)
        times = data.times[PRIMARY_CLOCK]
        if until is None or len(times) - until < FEWEST_LEFT:
            continue
        bound = percentiles_inverted_cdf(data.inferences[PRIMARY_CLOCK][:until], [PERCENTILE])
        judged = data.judged(data.metric)
        quality, within = judged.curve(times, bound)[0], wanted.within * abs(judged.ideal())
        difference = abs(float(quality[:until].mean() - quality[until:].mean()))
        rest = len(times) - until
        yield [*who(group, data), until, rest, difference, within, difference <= within]


def enough_claim(material: Material, table: StudyTable) -> Claim:
    """Return the verdict on C3: it fails where even the upper limit of the share is too low."""
    wanted, settled = material.criteria.claims.enough, len(table.rows)
    enough = sum(bool(row[-1]) for row in table.rows)
    said, figures = counted(enough, settled)
    verdict = by_share(enough, settled, wanted.trials)
    if verdict == "fails" and figures["high"] >= wanted.trials:
        verdict = "not shown"
    return Claim(
        "C3",
        f"An rJSD of at most {wanted.rjsd:g} means that enough was measured",
        f"the mean until then differs from that of the rest by at most {wanted.within:g} of ideal "
        f"quality, in {wanted.trials:.0%} of trials",
        verdict,
        f"{said} trials that settled",
        {"settled": settled, "enough": enough, **figures},
    )


def half_width(percentile: float, inferences: float, confidence: float) -> float:
    """Return how well inferences fix the share on time, as MLPerf: z sqrt(p (1 - p) / n).

    Examples
    --------
    >>> round(half_width(99, 262_742, 0.99), 6)
    0.0005
    """
    share, z = percentile / 100, float(scipy.special.ndtri((1 + confidence) / 2))
    return z * math.sqrt(share * (1 - share) / inferences)


def design_effect(times: Floats, value: float, units: Units | None) -> float:
    """Return how much more the share beyond a time varies than if independent; at least 1."""
    beyond = times_beyond(times, value).mean(axis=1)
    independent = beyond.mean() * (1 - beyond.mean()) / times.size
    [variance] = spread(beyond[None], units_of(len(times), units)).variance
    return max(1.0, float(variance / independent)) if independent > 0 else 1.0


@table(
    "inferences",
    "Inferences until rJSD settled, against MLPerf's counts",
    [
        *(WHO_COLUMNS, ("name", "scenario"), ("whole", "used", "MLPerf asks")),
        ("significant", "design effect"),
        ("whole", "equal guarantee takes", "early stopping takes"),
        ("significant", "half-width", "MLPerf's half-width"),
    ],
    "Half-width: that of the share of answers within the percentile, at the confidence of the "
    "criteria; it counts 'used' divided by 'design effect' inferences. Equal guarantee: "
    "MLPerf's count times the design effect, since inferences of one round depend on each other. "
    "Early stopping: the number of inferences with which LoadGen bounds the percentile if none "
    "overruns, times the design effect.",
)
def _inferences(material: Material) -> Iterator[Row]:
    wanted, bound = material.criteria.claims.inferences, material.criteria.claims.enough.rjsd
    for group, data in material.trials():
        until = settled_on_both(paths_of(material)[data.trial_id], bound)
        if until is None:
            continue
        times = data.inferences[PRIMARY_CLOCK]
        used = until * times.shape[1]
        for name, of in (("single stream", wanted.single_stream), ("server", wanted.server)):
            [value] = percentiles_inverted_cdf(times, [of.percentile])
            effect = design_effect(times, value, data.visits)
            early = samples_to_certify(of.percentile, wanted.confidence, 0)
            needed = (math.ceil(count * effect) for count in (of.queries, early))
            counts = (used / effect, of.queries)
            widths = (half_width(of.percentile, each, wanted.confidence) for each in counts)
            yield [*who(group, data), name, used, of.queries, effect, *needed, *widths]


def inferences_claims(material: Material, table: StudyTable) -> Iterator[Claim]:
    """Yield the verdict on C5 per scenario: fewer inferences, and as narrow a half-width."""
    wanted = material.criteria.claims.inferences
    rows = [dict(zip(table.heads, row, strict=True)) for row in table.rows]
    for name, scenario, of in (
        ("C5a", "single stream", wanted.single_stream),
        ("C5b", "server", wanted.server),
    ):
        mine: list[dict[str, Any]] = [row for row in rows if row["scenario"] == scenario]
        fewer = [row for row in mine if row["used"] < of.queries]
        equal = sum(row["half-width"] <= row["MLPerf's half-width"] for row in fewer)
        enough = sum(row["used"] >= row["early stopping takes"] for row in fewer)
        said, figures = counted(equal, len(mine))
        numbers = {"settled": len(mine), "fewer": len(fewer), "as narrowly": equal}
        yield Claim(
            name,
            f"Fewer inferences than MLPerf's {of.queries:,} ({scenario}) suffice",
            f"rJSD settles after fewer, and the half-width of p{of.percentile:g} is then at most "
            f"MLPerf's, in {wanted.trials:.0%} of trials",
            by_share(equal, len(mine), wanted.trials),
            f"{len(fewer)} of {len(mine)} settled trials used fewer; of these, {equal} reach "
            f"MLPerf's half-width and {enough} have enough for early stopping; fewer and as "
            f"narrow: {said}",
            numbers | {"enough by early stopping": enough} | figures,
        )
