"""How long a campaign still takes, by the pace of its rounds so far."""

from collections.abc import Collection
from typing import NamedTuple

from orchestrator.configuration.config import MeasurementConfig
from orchestrator.report.text import seconds


class Pace(NamedTuple):
    """A trial's rounds: done, at least and at most to be done in all, done at this pace, and the seconds that each of these took."""

    done: int
    least: int
    most: int
    timed: int = 0
    round_s: float = 0.0


def bounds_of(measurement: MeasurementConfig) -> tuple[int, int]:
    """Return how many rounds a trial has at least and at most; one number where no rule decides."""
    fixed = measurement.rule == "rounds" and measurement.max_seconds is None
    return (measurement.max_rounds if fixed else measurement.min_rounds), measurement.max_rounds


def time_left(paces: Collection[Pace], passed_s: float) -> tuple[float, float] | None:
    """Return the seconds that are left at least and at most; None before the first round.

    Rounds, pauses and what else lies between rounds took ``passed_s`` together; what is to come takes as much for each second of rounds. A
    trial without a timed round is taken for an average one.

    Examples
    --------
    >>> time_left([Pace(5, 10, 10, 5, 1.0), Pace(0, 10, 20)], 10.0)
    (30.0, 50.0)
    """
    timed = [pace for pace in paces if pace.timed]
    if not timed:
        return None
    mean_s = sum(pace.round_s for pace in timed) / len(timed)
    share = passed_s / sum(pace.timed * pace.round_s for pace in timed)
    least, most = (
        share * sum(max(0, bound - pace.done) * (pace.round_s or mean_s) for pace, bound in zip(paces, bounds, strict=True))
        for bounds in ([pace.least for pace in paces], [pace.most for pace in paces])
    )
    return least, most


def left_in_words(left: tuple[float, float] | None, minutes_left_s: float | None = None) -> str:
    """Return what is left in a few words, empty where nothing is known or left; ``minutes=`` bounds it."""
    if left is None or not left[1]:
        return ""
    least, most = (min(bound, minutes_left_s) if minutes_left_s is not None else bound for bound in left)
    return f"about {seconds(most)} left" if most <= 1.1 * least else f"{seconds(least)} to {seconds(most)} left"
