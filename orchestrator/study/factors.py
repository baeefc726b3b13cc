"""C6: what time depends on, and whether systems put samples in one order."""

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from orchestrator.analysis.trial_data import TrialData
from orchestrator.stats.density import Floats
from orchestrator.stats.latency import percentiles_inverted_cdf
from orchestrator.stats.times import PRIMARY_CLOCK, SHOWN_SERVICE_CLOCKS, Clock
from orchestrator.stats.units import evenly_chosen, ranks
from orchestrator.study.material import Material, repeats_first
from orchestrator.study.tables import Claim, Row, Verdict, table, three
from orchestrator.study.variance import SAMPLE, Share, balanced, divide_variance

MOST_SAMPLES, MOST_ROUNDS = 120, 120
FACTORS = ("model", "runtime", "system")
# Late is what lies beyond this percentile of a system's own times: one share everywhere.
LATE = 90.0
CLAIMS = {
    "C6a": ("system", "system"),
    "C6b": ("runtime", "framework"),
    "C6c": (SAMPLE, "input"),
    "C6d": ("model", "model"),
}


class Division(NamedTuple):
    """The shares of one task and clock, and the design they are of, in words."""

    task: str
    clock: Clock
    design: str
    shares: Mapping[str, Share]


@lru_cache(maxsize=1)
def divisions(material: Material) -> list[Division]:
    """Return the shares of every task and clock with a balanced design of two trials or more."""
    found: list[Division] = []
    for group in material.groups:
        cells: dict[tuple[str, ...], Sequence[TrialData]] = {}
        for repeats in group.systems().values():
            trial = repeats[0].record.trial
            cells[trial.model.name, trial.runtime.name, trial.system.name] = repeats
        levels = balanced(list(cells))
        kept = [
            cells[cell]
            for cell in sorted(cells)
            if all(name in of for name, of in zip(cell, levels, strict=True))
        ]
        for clock in SHOWN_SERVICE_CLOCKS if len(kept) > 1 else ():
            found += _division(material, group.task, clock, kept, levels)
    return found


def _division(
    material: Material,
    task: str,
    clock: Clock,
    kept: Sequence[Sequence[TrialData]],
    levels: Sequence[Sequence[str]],
) -> Iterator[Division]:
    # Rounds in which every inference has a time.
    complete = [
        [times[np.isfinite(times).all(axis=1)] for times in (data.own_times(clock) for data in of)]
        for of in kept
    ]
    complete = [[times for times in repeats if len(times) > 1] for repeats in complete]
    shapes = [times.shape for repeats in complete for times in repeats]
    samples = min((columns for _, columns in shapes), default=0)
    if not all(complete) or samples < 2:
        return
    processes, least_rounds = min(map(len, complete)), min(rounds for rounds, _ in shapes)
    trials = [data for repeats in kept for data in repeats]
    visits, rounds = _visits(trials, min(least_rounds, MOST_ROUNDS))
    some = evenly_chosen(samples, MOST_SAMPLES)
    table = np.log([[times[:rounds, some] for times in of[:processes]] for of in complete])
    sizes = {name: len(of) for name, of in zip(FACTORS, levels, strict=True)}
    shares = divide_variance(
        table.reshape(*sizes.values(), *table.shape[1:]),
        sizes,
        material.random("factors", task, clock),
        visits=visits,
        confidence=material.criteria.claims.factors.confidence,
    )
    design = (
        f"{task}: {' x '.join(map(str, sizes.values()))} levels, {processes} processes each, "
        f"{rounds} rounds {'without' if visits is None else f'in {visits}'} visits, "
        f"{some.size} samples"
    )
    yield Division(task, clock, design, shares)


# Into how many equal visits the first rounds of all trials fall, and the rounds.
def _visits(trials: Sequence[TrialData], rounds: int) -> tuple[int | None, int]:
    of_visits = [
        []
        if data.turns is None or data.incomplete.any()
        else np.unique(data.turns[:rounds], return_counts=True)[1][:-1].tolist()
        for data in trials
    ]
    sizes = {size for of_trial in of_visits for size in of_trial or [0]}
    size = max(sizes)
    if len(sizes) > 1 or size < 2 or rounds < 2 * size:
        return None, rounds
    return rounds // size, rounds // size * size


def _factors_note(material: Material) -> str:
    designs = (one.design for one in divisions(material) if one.clock == PRIMARY_CLOCK)
    return (
        "Model, runtime and system are fixed; samples, processes, visits and rounds are random. "
        "omega2: the row's variance over the sum of all rows' variances of its task and clock, "
        "each with its sign. A negative variance of rounds means that answers of one round are "
        "less alike than answers of different rounds. Intervals: a two-way bootstrap over "
        "processes and samples. Single inferences, visits and rounds are never drawn, so rows of "
        "visits and rounds have no interval. With one process per system, no row has an interval: "
        "system and process cannot be distinguished. Design (models x runtimes x systems): "
        f"{'; '.join(designs) or 'none is balanced'}."
    )


@table(
    "factors",
    "What log time depends on: share of its variance",
    [
        *(("name", "task", "clock", "source"), ("significant", "variance")),
        ("three", "omega2", "low", "high"),
    ],
    _factors_note,
)
def _factors(material: Material) -> Iterator[Row]:
    for one in divisions(material):
        for source, share in one.shares.items():
            yield [one.task, one.clock, source, *share]


def factor_claims(material: Material, found: Sequence[Division]) -> Iterator[Claim]:
    """Yield the verdict on each factor: it must matter in every task in which it has levels."""
    wanted = material.criteria.claims.factors
    for name, (source, word) in CLAIMS.items():
        total = [one for one in found if one.clock == PRIMARY_CLOCK and source in one.shares]
        shares = {one.task: one.shares[source] for one in total}
        verdict: Verdict = "not shown"
        if shares and all(share.low >= wanted.share for share in shares.values()):
            verdict = "holds"
        elif any(share.high < wanted.share for share in shares.values()):
            verdict = "fails"
        figures = "; ".join(
            f"{task} {three(share.omega_squared)}"
            + ("" if math.isnan(share.low) else f" [{three(share.low)}, {three(share.high)}]")
            for task, share in shares.items()
        )
        yield Claim(
            name,
            f"The {word} changes inference time",
            f"omega2 of log total time at least {wanted.share:g} in every task, with "
            f"{wanted.confidence:.0%} confidence",
            verdict,
            figures or "no balanced design in which it has several levels",
            {task: share.omega_squared for task, share in shares.items()},
        )


@table(
    "agreement",
    "Whether the same samples are slow on every system, total time",
    [
        *(("name", "task", "model", "runtime"), ("whole", "systems", "samples")),
        *(("three", "Spearman mean", "Spearman least", "Kendall W of lateness"), ("p", "p")),
    ],
    "Spearman: rank correlation of samples' median times between two systems, over all pairs. "
    "Kendall's W: whether systems agree on which samples are late, beyond "
    f"p{LATE:g} of each system's own times; p by 1,999 permutations of samples within systems.",
)
def _agreement(material: Material) -> Iterator[Row]:
    for group in material.groups:
        of: dict[tuple[str, ...], list[Floats]] = {}
        for first in repeats_first(group):
            trial, times = first.record.trial, first.own_times(PRIMARY_CLOCK)
            of.setdefault((group.task, trial.model.name, trial.runtime.name), []).append(times)
        for names, systems in of.items():
            samples = systems[0].shape[1]
            if len(systems) < 2 or len({times.shape[1] for times in systems}) > 1 or samples < 3:
                continue
            medians = spearman_of_pairs([np.median(times, axis=0) for times in systems])
            defined = medians[np.isfinite(medians)]
            spearman = [float(defined.mean()), float(defined.min())] if defined.size else [None] * 2
            beyond = [times > percentiles_inverted_cdf(times, [LATE])[0] for times in systems]
            late = [times.mean(axis=0) for times in beyond]
            agreed = concordance(late, material.random("concordance", *names))
            yield [*names, len(systems), samples, *spearman, *agreed]


def concordance(
    values: ArrayLike, random: np.random.Generator, permutations: int = 1999
) -> tuple[float, float]:
    """Return Kendall's W of what k judges give to n items, [k, n], and p of a permutation test.

    Both are NaN where nobody tells apart. W, 0 to 1, is 12 S / (k^2 (n^3 - n) - k T), with S the
    squared deviations of the items' rank sums and T the sum over judges and groups of ties of
    (t^3 - t) (Kendall and Babington Smith, *Annals of Mathematical Statistics* 10, 1939; Siegel and
    Castellan, section 9.7).

    Examples
    --------
    >>> concordance([[1, 2, 3], [3, 2, 1]], np.random.default_rng(0))[0]
    0.0
    """
    of_judges = ranks(np.asarray(values, dtype=np.float64))
    judges, items = of_judges.shape
    counts = [np.unique(row, return_counts=True)[1].astype(np.float64) for row in of_judges]
    ties = sum(float((count**3 - count).sum()) for count in counts)
    full: float = judges * (judges * (items**3 - items) - ties) / 12
    if full <= 0:
        return math.nan, math.nan
    middle = judges * (items + 1) / 2

    def w(ranked: Floats) -> float:
        return float(((ranked.sum(axis=0) - middle) ** 2).sum() / full)

    observed = w(of_judges)
    drawn = (w(random.permuted(of_judges, axis=1)) for _ in range(permutations))
    as_large = sum(one >= observed - 1e-12 for one in drawn)
    return observed, (1 + as_large) / (1 + permutations)


def spearman_of_pairs(values: ArrayLike) -> Floats:
    """Return Spearman's correlation of every two rows of [k, n]: (0, 1), (0, 2)...

    It is NaN of a constant row.

    Examples
    --------
    >>> spearman_of_pairs([[1, 2, 3], [2, 4, 9], [3, 2, 1]]).round(3).tolist()
    [1.0, -1.0, -1.0]
    """
    centred = ranks(np.asarray(values, dtype=np.float64))
    centred = centred - centred.mean(axis=1, keepdims=True)
    lengths = np.sqrt((centred**2).sum(axis=1))
    products = np.outer(lengths, lengths)
    unknown = np.full_like(products, np.nan)
    correlations = np.divide(centred @ centred.T, products, out=unknown, where=products > 0)
    return np.asarray(correlations[np.triu_indices(len(centred), 1)])
