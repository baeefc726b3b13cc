"""What each system keeps at the primary threshold, the best first, and what ties with the best.

It is decided here and nowhere else.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal, NamedTuple, TypeAlias

from orchestrator.analysis.campaign_analysis import CampaignAnalysis, Row, rows_of
from orchestrator.analysis.capacity import is_probe
from orchestrator.analysis.flags import UNSTEADY
from orchestrator.analysis.groups import Group
from orchestrator.analysis.quality import Judgement
from orchestrator.analysis.tables.comparison import EXACTLY, FROM_BEST, FROM_BEST_FRESH
from orchestrator.analysis.tables.deadline import NEVER, Deadlines, kept_from, longest
from orchestrator.analysis.turns import on_samples
from orchestrator.contracts import by_key

# Of a system after the best: in the tie, shown worse, below one outside the tie though not shown
# worse, or not tested.
Tie: TypeAlias = Literal["tied", "worse", "behind", "not tested"]
WHO = ("model", "system", "runtime")
NAMES = (*WHO, "batch", "settings")  # Headings of names, in the order in which they are shown.
WIDE = 0.1  # Share of ideal quality above which an interval is called unsteady.
# Samples that come out otherwise with two models, from which on resamples tell them apart.
FEWEST_THAT_DIFFER = 10


def is_unsteady(low: float, high: float, ideal: float) -> bool:
    """Return whether an interval is wider than a tenth of ideal quality, that as a gain."""
    return abs(high - low) > WIDE * abs(ideal)


class Less(NamedTuple):
    """What one keeps less than another over the visits or repeats of both, with its limits.

    ``shown`` says whether that is shown. ``p``, adjusted for all pairs, is of the test of fresh
    processes: it goes step by step over the pairs (Holm's method) and so may find what the
    interval, which holds for all pairs at once, leaves open.
    """

    shown: bool
    difference: float
    low: float
    high: float
    p: float | None = None


@dataclass(frozen=True)
class Standing:
    """What one system keeps with one model: a trial, or its repeats together.

    names
        by heading of `NAMES`.
    mean, low, high
        tail quality with its 95 % interval, of rounds to come; of repeats over fresh processes.
    worst, ideal
        the worst round, and quality without a threshold.
    judged
        how its quality is counted.
    less
        what it keeps less, by the first trial of the best of its model, and for the best of a model
        of the best of all; missing where that is not tested.
    deadlines
        from which on all its processes keep their quality, see `kept_from`.
    goodput
        its row of that table.
    """

    names: Mapping[str, str]
    trials: tuple[str, ...]
    mean: float
    low: float
    high: float
    worst: float
    ideal: float
    judged: Judgement
    processes: int
    flags: tuple[str, ...]
    less: Mapping[str, Less] = field(default_factory=dict)
    deadlines: Deadlines = NEVER
    goodput: Row = field(default_factory=dict)

    @property
    def model(self) -> str:
        return self.names["model"]

    @property
    def marks(self) -> tuple[str, ...]:
        wide = is_unsteady(self.low, self.high, self.judged.gained(self.ideal))
        return (*self.flags, UNSTEADY) if wide else self.flags

    @property
    def level(self) -> tuple[float, float]:
        """What it keeps, as gains: systems of one level keep exactly as much."""
        mean, worst = self.judged.gained(self.mean), self.judged.gained(self.worst)
        return round(mean, EXACTLY), round(worst, EXACTLY)


@dataclass(frozen=True)
class Order:
    """The best of some systems, and what each of the others, the best first, is to it."""

    best: Standing
    others: tuple[tuple[Standing, Tie], ...]

    def those(self, *kinds: Tie) -> list[Standing]:
        return [one for one, kind in self.others if kind in kinds]


@dataclass(frozen=True)
class Ranking:
    """The systems of a group at its primary threshold, the best first; none without such a one.

    like_these
        models whose best system keeps less than the best of all also on samples like these; None
        where that is not tested, as for metrics that are no mean over samples.
    """

    group: Group
    found: tuple[Standing, ...]
    like_these: frozenset[str] | None = None

    @property
    def orders(self) -> list[Order]:
        return [order_of(systems) for systems in by_model(self.found)]

    @property
    def models(self) -> Order:
        """The best system of each model; none is tested where samples like these cannot be."""
        order = order_of([order.best for order in self.orders])
        if self.like_these is not None:
            return order
        return Order(order.best, tuple((other, "not tested") for other, _ in order.others))


def ties(shown_worse: Iterable[bool | None]) -> Iterator[Tie]:
    """Yield what each system after the best is, down the ranking, from whether it is shown worse.

    None is not tested. The tie is an interval of the ranking: it ends at the first system that is
    shown worse, or is not tested.

    Examples
    --------
    >>> list(ties([False, True, False, None]))
    ['tied', 'worse', 'behind', 'not tested']
    """
    in_tie = True
    for worse in shown_worse:
        in_tie = in_tie and worse is False
        yield (
            "tied" if in_tie else "not tested" if worse is None else "worse" if worse else "behind"
        )


def is_shown_worse(row: Row) -> bool | None:
    """Return whether a difference from the best shows that a system keeps less; None if untested.

    Of repeats their verdict shows it, else an interval without 0. Over common visits, a system may
    be better than the best of all rounds: that shows nothing worse.

    >>> row = {"method": "paired t", "verdict": None, "interval_low": -0.03, "interval_high": -0.01}
    >>> means = ({"mean": mean, "baseline_mean": 0.8} for mean in (0.79, 0.81))
    >>> [is_shown_worse(row | {"difference": -0.02} | each) for each in means]
    [True, False]
    """
    if row["method"] == "none":
        return None
    if row["verdict"] is not None:
        return bool(row["verdict"] == "worse")
    return bool(
        (row["interval_low"] > 0 or row["interval_high"] < 0)
        and row["difference"] * (row["mean"] - row["baseline_mean"]) > 0
    )


def order_of(systems: Sequence[Standing]) -> Order:
    """Return what some systems, the best first, are to the best; see `ties`."""
    best, *others = systems
    tested = (one.less.get(best.trials[0]) for one in others)
    kinds = ties(None if less is None else less.shown for less in tested)
    return Order(best, tuple(zip(others, kinds, strict=True)))


def by_model(found: Sequence[Standing]) -> Iterator[list[Standing]]:
    """Yield the systems of each model, that of the best first."""
    for model in dict.fromkeys(one.model for one in found):
        yield [one for one in found if one.model == model]


@lru_cache(maxsize=2)
def rankings(results: CampaignAnalysis) -> tuple[Ranking, ...]:
    """Return the ranking of every group, made once."""
    return tuple(ranking(results, group) for group in results.groups)


def unsearched(ranked: Iterable[Ranking]) -> list[Ranking]:
    """Return the rankings of trials that are no part of a search, whose rates rank nothing."""
    return [
        one for one in ranked if not any(is_probe(data.record.trial) for data in one.group.trials)
    ]


def ranking(results: CampaignAnalysis, group: Group) -> Ranking:
    """Return the ranking of one group; on samples the models' best systems are compared."""
    found, primary = standings(results, group), group.thresholds.primary
    if not found or primary is None:
        return Ranking(group, found, frozenset())
    system_of = {one.trial_id: repeats for repeats in group.systems().values() for one in repeats}
    best, *others = (systems[0] for systems in by_model(found))
    told = {
        other.model: on_samples(system_of[other.trials[0]], system_of[best.trials[0]], primary)
        for other in others
    }
    less = (
        model
        for model, one in told.items()
        if one and one.low > 0 and one.parameters["samples_that_differ"] >= FEWEST_THAT_DIFFER
    )
    return Ranking(group, found, frozenset(less) if all(told.values()) else None)


def standings(results: CampaignAnalysis, group: Group) -> tuple[Standing, ...]:
    """Return what the systems of a group keep at its deadline, the best first; nothing without one.

    A percentile is no deadline: one of the systems' own times makes that system look better the
    slower it is.
    """
    primary = group.thresholds.primary
    if primary is None or primary.origin != "absolute":
        return ()
    metric = group.trials[0].metric
    judged = group.trials[0].judged(metric)
    rows = {
        row["trial"]: row
        for row in rows_of(results, "tail_quality", group)
        if (row["clock"], row["metric"], row["slice"]) == (group.clock, metric, "all")
        and row["threshold_origin"] != "own"
        and row["threshold_ns"] == primary.ns
    }
    repeats = by_key(rows.values(), lambda row: str(row["match_key"]))
    fresh = {
        row["match_key"]: row
        for row in rows_of(results, "processes", group)
        if row["threshold_ns"] == primary.ns
    }
    useful = {
        row["match_key"]: row
        for row in rows_of(results, "goodput", group)
        if (row["clock"], row["threshold_ns"]) == (group.clock, primary.ns)
    }
    less = _less(results, group, primary.ns, repeats)
    deadlines = kept_from(rows_of(results, "deadline", group), group.clock)
    found = []
    for key, processes in repeats.items():
        first, mean_of = processes[0], fresh.get(key, processes[0])
        names = {**first, "settings": group.settings[first["trial"]]}
        found.append(
            Standing(
                names={name: str(names[name]) for name in NAMES},
                trials=tuple(row["trial"] for row in processes),
                mean=mean_of["mean"],
                low=mean_of["interval_low"],
                high=mean_of["interval_high"],
                worst=min((row["worst"] for row in processes), key=judged.gained),
                ideal=first["ideal"],
                judged=judged,
                processes=len(processes),
                flags=tuple(dict.fromkeys(flag for row in processes for flag in row["flags"])),
                less=less[key],
                deadlines=longest(deadlines.get(row["trial"], NEVER) for row in processes),
                goodput=useful.get(key, {}),
            )
        )
    return tuple(sorted(found, key=lambda one: (-one.level[0], -one.level[1], *one.deadlines)))


def _less(
    results: CampaignAnalysis, group: Group, ns: int, repeats: Mapping[str, Sequence[Row]]
) -> dict[str, dict[str, Less]]:
    """Return per system what it keeps less, by the first trial of the other.

    Of single processes that is the difference of these rounds, of repeats what fresh processes
    have shown.
    """
    system_of = {row["trial"]: key for key, rows in repeats.items() for row in rows}
    found: dict[str, dict[str, Less]] = {key: {} for key in repeats}
    for row in rows_of(results, "comparison", group):
        one, other = system_of.get(row["trial"]), system_of.get(row["baseline"])
        if row["scope"] not in FROM_BEST or row["threshold_ns"] != ns or not one or not other:
            continue
        shown, p = is_shown_worse(row), None
        if shown is None:
            continue
        low, high = -row["interval_high"], -row["interval_low"]
        if row["scope"] == FROM_BEST_FRESH and shown:
            p = dict(row["parameters"])["p_adjusted"]
        found[one][repeats[other][0]["trial"]] = Less(shown, -row["difference"], low, high, p)
    return found


def differing(found: Sequence[Standing]) -> list[str]:
    """Return the headings of the names that tell the systems apart; the first where none does."""
    return [name for name in NAMES if len({one.names[name] for one in found}) > 1] or [NAMES[0]]


def shared(found: Sequence[Standing]) -> list[str]:
    """Return the names that all systems have in common."""
    apart = differing(found)
    return [found[0].names[name] for name in WHO if name not in apart]
