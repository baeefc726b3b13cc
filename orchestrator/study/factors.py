"""What time depends on: shares of the variance of log time, and whether systems put samples in one order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.groups import Group
from orchestrator.analysis.trial_data import TrialData
from orchestrator.stats.latency import percentiles_inverted_cdf
from orchestrator.stats.times import PRIMARY_CLOCK, SHOWN_SERVICE_CLOCKS, Clock
from orchestrator.stats.units import evenly_chosen
from orchestrator.study.concordance import concordance, spearman_of_pairs
from orchestrator.study.material import Material
from orchestrator.study.tables import Column, StudyTable, Value, known, named, numbers, p_value, significant, three, whole
from orchestrator.study.variance import Share, balanced, divide_variance

Floats = NDArray[np.float64]
MOST_SAMPLES, MOST_ROUNDS = 120, 120
FACTORS = ("model", "runtime", "system")
LATE = 90.0
"""Late is what lies beyond this percentile of a system's own times: the same share on every system."""


@dataclass(frozen=True)
class Division:
    """The shares of one task and clock, and the design they are of."""

    group: Group
    clock: Clock
    levels: Mapping[str, tuple[str, ...]]
    processes: int
    rounds: int
    visits: int | None
    samples: int
    shares: Mapping[str, Share]


def divisions(material: Material) -> list[Division]:
    """Return the shares of every task and clock with a balanced design of two systems' worth of trials or more."""
    return [
        found for group in material.groups for clock in SHOWN_SERVICE_CLOCKS if (found := _division(material, group, clock)) is not None
    ]


def _division(material: Material, group: Group, clock: Clock) -> Division | None:
    cells: dict[tuple[str, ...], list[TrialData]] = {}
    for repeats in group.systems().values():
        trial = repeats[0].record.trial
        cells.setdefault((trial.model.name, trial.runtime.name, trial.system.name), list(repeats))
    levels = balanced(list(cells))
    kept = {cell: repeats for cell, repeats in cells.items() if all(name in of for name, of in zip(cell, levels, strict=True))}
    finite = {cell: [one for one in (_complete(data, clock) for data in repeats) if len(one) > 1] for cell, repeats in kept.items()}
    if len(kept) < 2 or not all(finite.values()):
        return None
    processes = min(len(repeats) for repeats in finite.values())
    rounds = min(min(len(one) for one in repeats) for repeats in finite.values())
    samples = min(one.shape[1] for repeats in finite.values() for one in repeats)
    visits, rounds = _visits([data for repeats in kept.values() for data in repeats], min(rounds, MOST_ROUNDS))
    if samples < 2 or rounds < 2:
        return None
    some = evenly_chosen(samples, MOST_SAMPLES)
    table = np.log(np.stack([np.stack([one[:rounds, some] for one in finite[cell][:processes]]) for cell in sorted(finite)]))
    sizes = {name: len(of) for name, of in zip(FACTORS, levels, strict=True)}
    random = material.random("factors", group.task, clock)
    confidence = material.criteria.claims.factors.confidence
    shares = divide_variance(table.reshape(*sizes.values(), *table.shape[1:]), sizes, random, visits=visits, confidence=confidence)
    return Division(group, clock, dict(zip(FACTORS, levels, strict=True)), processes, rounds, visits, some.size, shares)


def _complete(data: TrialData, clock: Clock) -> Floats:
    """Return the rounds in which every inference has a time."""
    times = data.own_times(clock)
    return np.asarray(times[np.isfinite(times).all(axis=1)])


def _visits(trials: list[TrialData], rounds: int) -> tuple[int | None, int]:
    """Return into how many visits of equal size the first rounds of all trials fall, and how many rounds these are."""
    sizes = set()
    for data in trials:
        if data.turns is None or bool(data.incomplete.any()):
            return None, rounds
        sizes.add(tuple(np.unique(np.unique(data.turns[:rounds], return_counts=True)[1][:-1]).tolist()))
    if len(sizes) != 1 or len(next(iter(sizes))) != 1:
        return None, rounds
    [[of_visit]] = sizes
    whole_visits = rounds // of_visit
    return (whole_visits, whole_visits * of_visit) if whole_visits > 1 and of_visit > 1 else (None, rounds)


def factor_table(found: list[Division]) -> StudyTable:
    """Return omega^2 of every source, per task and clock."""
    rows: list[list[Value]] = [
        [one.group.task, one.clock, source, known(share.variance), known(share.omega_squared), known(share.low), known(share.high)]
        for one in found
        for source, share in one.shares.items()
    ]
    designs = "; ".join(
        f"{one.group.task}: {' x '.join(str(len(one.levels[name])) for name in FACTORS)} levels, {one.processes} processes each, "
        f"{one.rounds} rounds {_visits_in_words(one)}, {one.samples} samples"
        for one in found
        if one.clock == PRIMARY_CLOCK
    )
    return StudyTable(
        "factors",
        "What log time depends on: share of its variance",
        [*named("task", "clock", "source"), *numbers(significant, "variance"), *numbers(three, "omega2", "low", "high")],
        rows,
        "Model, runtime and system are fixed; samples, processes, visits and rounds are random. omega2: the row's variance over the sum of "
        "all rows' variances of its task and clock, each with its sign. A negative variance of rounds says that answers of one round are "
        "less alike than answers of different rounds. Intervals: a two-way bootstrap over processes and samples; single inferences are "
        "never drawn, nor are visits and rounds, whose rows have none. No interval at all: one process a system, so that what is the "
        "system's and what the process's cannot be "
        f"told. Design (models x runtimes x systems): {designs or 'none is balanced'}.",
    )


def _visits_in_words(one: Division) -> str:
    return "without visits" if one.visits is None else f"in {one.visits} visits"


def agreement_table(material: Material) -> StudyTable:
    """Return, per task, model and runtime, whether the same samples are slow and late on every system."""
    rows: list[list[Value]] = []
    for group in material.groups:
        of: dict[tuple[str, str], list[TrialData]] = {}
        for repeats in group.systems().values():
            trial = repeats[0].record.trial
            of.setdefault((trial.model.name, trial.runtime.name), []).append(repeats[0])
        for (model, runtime), trials in of.items():
            times = [data.own_times(PRIMARY_CLOCK) for data in trials]
            if len(times) < 2 or len({one.shape[1] for one in times}) > 1 or times[0].shape[1] < 3:
                continue
            medians = spearman_of_pairs(np.array([np.median(one, axis=0) for one in times]))
            late = np.array([(one > percentiles_inverted_cdf(one, [LATE])[0]).mean(axis=0) for one in times])
            agreed = concordance(late, material.random("concordance", group.task, model, runtime))
            defined = medians[np.isfinite(medians)]
            spearman = [float(defined.mean()), float(defined.min())] if defined.size else [None, None]
            rows.append([group.task, model, runtime, len(times), times[0].shape[1], *spearman, known(agreed.w), known(agreed.p_value)])
    return StudyTable(
        "agreement",
        "Whether the same samples are slow on every system, total time",
        [
            *named("task", "model", "runtime"),
            *numbers(whole, "systems", "samples"),
            *numbers(three, "Spearman mean", "Spearman least", "Kendall W of lateness"),
            Column("p", p_value),
        ],
        rows,
        "Spearman: rank correlation of samples' median times between two systems, over all pairs. Kendall's W: whether systems agree on "
        f"which samples are late, beyond p{LATE:g} of each system's own times; p by 1,999 permutations of samples within systems.",
    )
