"""What each system keeps at the primary threshold, the best first, and what ties with the best: decided here and nowhere else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol, TypeAlias, TypeVar

from orchestrator.analysis.campaign_analysis import CampaignAnalysis, Row, rows_of
from orchestrator.analysis.flags import UNSTEADY
from orchestrator.analysis.groups import Group
from orchestrator.analysis.quality import scale_of
from orchestrator.analysis.tables.comparison import EXACTLY, FROM_BEST, FROM_BEST_FRESH
from orchestrator.analysis.tables.deadline import NEVER, Deadlines, kept_from, longest
from orchestrator.analysis.turns import on_samples
from orchestrator.metrics.interface import Scale
from orchestrator.stats.thresholds import Threshold

Tie: TypeAlias = Literal["tied", "worse", "behind", "not tested"]
"""Of a system after the best: in the tie, shown worse, below one outside the tie though not shown worse, or not tested."""
WHO = ("model", "system", "runtime")


WIDE = 0.1
"""Share of ideal quality above which an interval is called unsteady."""
FEWEST_THAT_DIFFER = 10
"""Samples that come out otherwise with two models, from which on resamples of samples are trusted to tell the models apart."""


def is_unsteady(low: float, high: float, ideal: float) -> bool:
    """Return whether an interval is wider than a tenth of ideal quality, that as a gain over quality where all is late."""
    return abs(high - low) > WIDE * abs(ideal)


@dataclass(frozen=True)
class Less:
    """What one keeps less than another over the visits or repeats of both, with its limits.

    ``test`` is what the verdict rests on where it is no interval.
    """

    difference: float
    low: float
    high: float
    test: str = ""


@dataclass(frozen=True)
class Standing:
    """What one system keeps with one model: a trial, or its repeats together.

    names
        what it is called, by heading: model, system, runtime, batch, settings.
    mean, low, high
        tail quality with its 95 % interval, of rounds to come; over fresh processes where there are repeats.
    worst
        the worst of its rounds.
    ideal
        quality without a threshold.
    kept
        share of ideal quality.
    processes
        how many repeats there are.
    tested
        whether a stored difference shows that it keeps less than the best of its model, and of the models' best ones than the best of all,
        by the first trial of that one; missing where that was not tested.
    less
        what it keeps less than such a best one, by the first trial of that one.
    deadlines
        from which on all its processes keep their quality, see `kept_from`.
    """

    names: Mapping[str, str]
    trials: tuple[str, ...]
    mean: float
    low: float
    high: float
    worst: float
    ideal: float
    scale: Scale
    processes: int
    flags: tuple[str, ...]
    tested: Mapping[str, bool] = field(default_factory=dict)
    less: Mapping[str, Less] = field(default_factory=dict)
    deadlines: Deadlines = NEVER

    @property
    def model(self) -> str:
        """The name of its model."""
        return self.names["model"]

    @property
    def marks(self) -> tuple[str, ...]:
        """The flags, and that the interval is wide."""
        wide = is_unsteady(self.low, self.high, self.scale.gained(self.ideal))
        return (*self.flags, UNSTEADY) if wide else self.flags

    @property
    def level(self) -> tuple[float, float]:
        """What it keeps, as gains: systems of one level keep exactly as much."""
        return round(self.scale.gained(self.mean), EXACTLY), round(self.scale.gained(self.worst), EXACTLY)

    @property
    def keeps_all(self) -> bool:
        """Whether it keeps all there is: its mean is ideal quality."""
        return round(self.scale.gained(self.ideal) - self.scale.gained(self.mean), EXACTLY) <= 0

    @property
    def kept(self) -> float:
        """The share of ideal quality that the mean keeps."""
        return self.scale.kept(self.mean, self.ideal) if self.ideal != self.scale.late else 1.0


@dataclass(frozen=True)
class Ranking:
    """The systems of a group at its primary threshold, the best first; none where it has no such threshold.

    like_these
        models whose best system keeps less than the best of all also on samples like these; None if that was not tested, as for metrics
        that are no mean over samples.
    """

    group: Group
    found: tuple[Standing, ...]
    like_these: frozenset[str] | None = None

    @property
    def heads(self) -> list[Standing]:
        """The best system of each model, the best first."""
        return [systems[0] for systems in by_model(self.found)]

    @property
    def models(self) -> Order:
        """What the models' best systems are to the best of all."""
        return order_of(self.heads)

    @property
    def tests_models(self) -> bool:
        """Whether the models' best systems were tested against the best of all, here and on samples like these."""
        return self.like_these is not None and not self.models.untested

    @property
    def here_alone(self) -> list[Standing]:
        """The models' best systems that keep less on the samples of the task, and are not shown to on others like them."""
        return [one for one in self.models.worse if one.model not in (self.like_these or ())]

    @property
    def models_apart(self) -> bool:
        """Whether the best model is told from all others, also on samples like these."""
        return len(self.models.worse) == len(self.heads) - 1 and not self.here_alone

    @property
    def nothing_shown(self) -> bool:
        """Whether nothing is told from the best of its model, nor the best of any model from that of another."""
        return not any(order.worse for order in (self.models, *map(order_of, by_model(self.found))))

    @property
    def best_keep_all(self) -> bool:
        """Whether the best system of every model keeps all there is."""
        return all(one.keeps_all for one in self.heads)


@dataclass(frozen=True)
class Order:
    """The best of some systems, what ties with it, what follows the tie, what of that is shown worse, and what was not tested."""

    best: Standing
    tied: tuple[Standing, ...]
    behind: tuple[Standing, ...]
    worse: tuple[Standing, ...]
    untested: tuple[Standing, ...]


def ties(shown_worse: Iterable[bool | None]) -> Iterator[Tie]:
    """Yield what each system after the best is, down the ranking, from whether it is shown worse; None where that is not tested.

    The tie is an interval of the ranking: it ends at the first system that is shown worse, or is not tested.

    Examples
    --------
    >>> list(ties([False, True, False, None]))
    ['tied', 'worse', 'behind', 'not tested']
    """
    in_tie = True
    for worse in shown_worse:
        in_tie = in_tie and worse is False
        yield "tied" if in_tie else "not tested" if worse is None else "worse" if worse else "behind"


def order_of(systems: Sequence[Standing]) -> Order:
    """Return what some systems, the best first, are to the best; see `ties`."""
    best, *others = systems
    found = list(zip(others, ties(one.tested.get(best.trials[0]) for one in others), strict=True))

    def those(*kinds: Tie) -> tuple[Standing, ...]:
        return tuple(one for one, kind in found if kind in kinds)

    return Order(best, those("tied"), those("worse", "behind"), those("worse"), those("not tested"))


def ranking(results: CampaignAnalysis, group: Group) -> Ranking:
    """Return the ranking of one group."""
    found = tuple(standings(results, group))
    return Ranking(group, found, _less_on_samples(found, group))


def _less_on_samples(found: Sequence[Standing], group: Group) -> frozenset[str] | None:
    """Return the models whose best system keeps less than the best of all on samples like these: the first process of each is compared."""
    primary = group.thresholds.primary
    if primary is None:
        return frozenset()
    heads = [systems[0] for systems in by_model(found)]
    told = {other.model: less_on_samples(group, other.trials[0], heads[0].trials[0], primary) for other in heads[1:]}
    return None if None in told.values() else frozenset(model for model, less in told.items() if less)


def less_on_samples(group: Group, trial: str, best: str, threshold: Threshold) -> bool | None:
    """Return whether a system keeps less than that of another model on samples like these; None where that cannot be tested."""
    system_of = {one.trial_id: repeats for repeats in group.systems().values() for one in repeats}
    found = on_samples(system_of[trial], system_of[best], threshold)
    return None if found is None else bool(found.low > 0 and found.parameters["samples_that_differ"] >= FEWEST_THAT_DIFFER)


def rankings(results: CampaignAnalysis) -> tuple[Ranking, ...]:
    """Return the ranking of every group, which a report works out once for the terminal, report.md, its picture and the page."""
    return tuple(ranking(results, group) for group in results.groups)


def standings(results: CampaignAnalysis, group: Group) -> list[Standing]:
    """Return what the systems of a group keep at its deadline, the best first; nothing where it has none in ms.

    A percentile is one of the systems' own times, which makes that system look better the slower it is.
    """
    primary = group.thresholds.primary
    if primary is None or primary.origin != "absolute":
        return []
    metric = group.trials[0].metric
    scale = scale_of(group.trials[0].judged(metric))
    rows = {
        row["trial"]: row
        for row in rows_of(results, "tail_quality", group)
        if (row["clock"], row["metric"], row["slice"]) == (group.clock, metric, "all")
        and row["threshold_origin"] != "own"
        and row["threshold_ns"] == primary.ns
    }
    repeats: dict[str, list[Row]] = {}
    for row in rows.values():
        repeats.setdefault(row["match_key"], []).append(row)
    fresh = {row["match_key"]: row for row in rows_of(results, "processes", group) if row["threshold_ns"] == primary.ns}
    compared = _compared(results, group, primary.ns, repeats)
    deadlines = kept_from(rows_of(results, "deadline", group), group.clock)
    found = [
        replace(
            _standing(members, fresh.get(key), scale, group),
            **compared.get(key, {}),
            deadlines=longest(deadlines.get(row["trial"], NEVER) for row in members),
        )
        for key, members in repeats.items()
    ]
    return sorted(found, key=lambda one: (-one.level[0], -one.level[1], *one.deadlines))


def _compared(results: CampaignAnalysis, group: Group, ns: int, repeats: Mapping[str, Sequence[Row]]) -> dict[str, dict[str, Any]]:
    """Return per system what its stored differences say, by the first trial of the other: whether it keeps less, and how much.

    Of single processes that is the difference of these rounds, of repeats what fresh processes have shown.
    """
    first = {key: rows[0]["trial"] for key, rows in repeats.items()}
    system_of = {row["trial"]: key for key, rows in repeats.items() for row in rows}
    found: dict[str, dict[str, Any]] = {key: {"tested": {}, "less": {}} for key in repeats}
    for row in rows_of(results, "comparison", group):
        apart = apart_by(row) if row["threshold_ns"] == ns and row["scope"] in FROM_BEST else None
        one, other = system_of.get(row["trial"]), system_of.get(row["baseline"])
        if apart is not None and one is not None and other is not None:
            found[one]["tested"][first[other]] = apart
            found[one]["less"][first[other]] = Less(-row["difference"], -row["interval_high"], -row["interval_low"], rests_on(row))
    return found


def apart_by(row: Row) -> bool | None:
    """Return whether a stored difference from the best shows that one worse; None where that was not tested."""
    if row["method"] == "none":
        return None
    if row["scope"] == FROM_BEST_FRESH:
        return bool(row["verdict"] == "worse")
    return bool(row["interval_low"] > 0 or row["interval_high"] < 0)


def rests_on(row: Row) -> str:
    """Write what a verdict of fresh processes rests on, if it shows a difference: a test.

    It goes step by step over the pairs (Holm's method) and so may find what the interval, which holds for all pairs at once, leaves open.
    """
    if row["scope"] != FROM_BEST_FRESH or row["verdict"] not in ("worse", "better"):
        return ""
    return f"p {dict(row['parameters'])['p_adjusted']:.2g} with all pairs counted"


def _standing(repeats: Sequence[Row], fresh: Row | None, scale: Scale, group: Group) -> Standing:
    first = repeats[0]
    mean_of = fresh or first
    names = {key: str(value) for key, value in ({**first, "settings": group.settings[first["trial"]]}).items() if key in NAMES}
    return Standing(
        names={key: names[key] for key in NAMES},
        trials=tuple(row["trial"] for row in repeats),
        mean=mean_of["mean"],
        low=mean_of["interval_low"],
        high=mean_of["interval_high"],
        worst=min((row["worst"] for row in repeats), key=scale.gained),
        ideal=first["ideal"],
        scale=scale,
        processes=len(repeats),
        flags=tuple(dict.fromkeys(flag for row in repeats for flag in row["flags"])),
    )


NAMES = (*WHO, "batch", "settings")
"""Headings of names, in the order in which they are shown."""


def differing(found: Sequence[Standing]) -> list[str]:
    """Return the headings of the names that tell the systems apart; that of the first name where none does."""
    return [name for name in NAMES if len({one.names[name] for one in found}) > 1] or [NAMES[0]]


def shared(found: Sequence[Standing]) -> list[str]:
    """Return the names that all systems have in common."""
    apart = differing(found)
    return [found[0].names[name] for name in WHO if name not in apart]


class OfModel(Protocol):
    """A system, or what stands for it in a figure."""

    @property
    def model(self) -> str:
        """The name of its model."""
        ...


System = TypeVar("System", bound=OfModel)


def by_model(found: Sequence[System]) -> Iterator[list[System]]:
    """Yield the systems of each model, that of the best first."""
    for model in dict.fromkeys(one.model for one in found):
        yield [one for one in found if one.model == model]
