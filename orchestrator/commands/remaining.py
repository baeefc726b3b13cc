"""How long a campaign still takes, by the pace of its rounds so far."""

import math
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from orchestrator.configuration.config import MeasurementConfig
from orchestrator.report.text import seconds
from orchestrator.storage.records import TrialRecord
from orchestrator.storage.schema import UNFINISHED


class Pace(NamedTuple):
    """A trial's rounds: at least and at most to be done in all, done, and done at this pace, each of which took ``round_s``.

    ``extra_s`` is how many seconds the rounds beyond ``least`` may take together.
    """

    least: int
    most: int
    extra_s: float = math.inf
    done: int = 0
    timed: int = 0
    round_s: float = 0.0

    def left_s(self, round_s: float) -> tuple[float, float]:
        """Return the seconds of its rounds to come, at least and at most, at so many a round."""
        beyond = max(0, self.done - self.least)
        least_s = max(0, self.least - self.done) * round_s
        extra_s = min((self.most - self.least - beyond) * round_s, max(0.0, self.extra_s - beyond * round_s))
        return least_s, least_s + extra_s


def pace_of(measurement: MeasurementConfig) -> Pace:
    """Return the pace of a trial before its first round; ``least`` is ``most`` where no rule decides."""
    fixed = measurement.rule == "rounds" and measurement.max_seconds is None
    least = measurement.max_rounds if fixed else measurement.min_rounds
    return Pace(least, measurement.max_rounds, math.inf if measurement.max_seconds is None else measurement.max_seconds)


def time_left(paces: Collection[Pace], passed_s: float) -> tuple[float, float] | None:
    """Return the seconds that are left at least and at most; None before the first round.

    Rounds, pauses and what else lies between rounds took ``passed_s`` together; what is to come takes as much for each second of rounds. A
    trial without a timed round is taken for an average one.

    Examples
    --------
    >>> time_left([Pace(10, 10, done=5, timed=5, round_s=1.0), Pace(10, 20)], 10.0)
    (30.0, 50.0)
    """
    timed = [pace for pace in paces if pace.timed]
    if not timed:
        return None
    mean_s = sum(pace.round_s for pace in timed) / len(timed)
    share = passed_s / sum(pace.timed * pace.round_s for pace in timed)
    least, most = zip(*(pace.left_s(pace.round_s or mean_s) for pace in paces), strict=True)
    return share * sum(least), share * sum(most)


def time_left_of(records: Sequence[TrialRecord], rounds: Mapping[str, pa.Table]) -> tuple[float, float] | None:
    """Return the seconds that are left at least and at most, by the stored rounds of each trial's last process."""
    paces, began, ended = [], [], []
    for record in records:
        pace, stored = pace_of(record.trial.measurement), rounds.get(record.trial_id)
        if stored is not None and stored.num_rows:
            of_last = stored.filter(pc.equal(stored.column("process"), stored.column("process")[-1]))
            starts, lengths = of_last.column("started_at").to_pylist(), of_last.column("duration_ns").to_numpy() / 1e9
            began.append(starts[0].timestamp())  # hosts have a clock of days in common, and no other
            ended.append(starts[-1].timestamp() + float(lengths[-1]))
            pace = pace._replace(done=stored.num_rows, timed=len(starts), round_s=float(lengths.mean()))
        if record.state not in UNFINISHED:
            pace = pace._replace(least=pace.done, most=pace.done)
        paces.append(pace)
    return time_left(paces, max(ended) - min(began)) if began else None


def left_in_words(left: tuple[float, float] | None, minutes_left_s: float | None = None) -> str:
    """Return what is left in a few words, empty where nothing is known or left; ``minutes=`` bounds it."""
    if left is None or not left[1]:
        return ""
    least, most = (min(bound, minutes_left_s) if minutes_left_s is not None else bound for bound in left)
    return f"about {seconds(most)} left" if most <= 1.1 * least else f"{seconds(least)} to {seconds(most)} left"
