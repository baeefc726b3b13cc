"""How far a campaign has come, and how long it still takes by the pace of its rounds so far.

On stderr, by rich on a terminal and in plain lines otherwise; drawn between rounds only, at most twice a second.
"""

import math
import sys
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple, Self, TextIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from rich.console import Console
from rich.live import Live
from rich.text import Text

from orchestrator.configuration.config import MeasurementConfig
from orchestrator.report.text import printable, seconds
from orchestrator.storage.handover import Prepared
from orchestrator.storage.records import Fault, PlannedTrial, TrialRecord
from orchestrator.storage.schema import UNFINISHED, State

DRAW_EVERY_S, LINE_EVERY_S = 0.5, 10.0


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
    """Return the seconds that are left at least and at most, by the stored rounds of the last processes of trials that go on.

    What counts has begun since all of these have: what lies before, such as loading or an earlier driver's end, comes no second time.
    """
    last: dict[str, tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]] = {}
    for trial_id, stored in rounds.items():
        if stored.num_rows:
            of_last = stored.filter(pc.equal(stored.column("process"), stored.column("process")[-1]))
            # Hosts have a clock of days in common, and no other.
            starts = np.array([moment.timestamp() for moment in of_last.column("started_at").to_pylist()])
            last[trial_id] = starts, of_last.column("duration_ns").to_numpy() / 1e9
    if not last:
        return None
    going = [record.trial_id for record in records if record.state in UNFINISHED and record.trial_id in last] or list(last)
    since = max(last[trial_id][0][0] for trial_id in going)
    paces = []
    for record in records:
        pace = pace_of(record.trial.measurement)
        if record.trial_id in last:
            starts, lengths = last[record.trial_id]
            timed = int((starts >= since).sum()) if record.trial_id in going else 0
            pace = pace._replace(done=rounds[record.trial_id].num_rows, timed=timed, round_s=float(lengths.mean()))
        if record.state not in UNFINISHED:
            pace = pace._replace(least=pace.done, most=pace.done)
        paces.append(pace)
    return time_left(paces, max(float(starts[-1] + lengths[-1]) for starts, lengths in map(last.__getitem__, going)) - since)


def left_in_words(left: tuple[float, float] | None, minutes_left_s: float | None = None) -> str:
    """Return what is left in a few words, empty where nothing is known or left; ``minutes=`` bounds it."""
    if left is None or not left[1]:
        return ""
    least, most = (min(bound, minutes_left_s) if minutes_left_s is not None else bound for bound in left)
    return f"about {seconds(most)} left" if most <= 1.1 * least else f"{seconds(least)} to {seconds(most)} left"


class Progress:
    """Follows a campaign of ``trials`` trials, a line for each thread that measures.

    That of the trial whose turn it is there. Without a stream (``--quiet``) it writes nothing but,
    once, for whom the campaign waits, which may be for ever. Trials are called by ``names``, or
    else by their ids. ``waited_s`` is how long they have waited for other campaigns. ``minutes`` is
    the campaign's budget, which begins now.
    """

    def __init__(
        self,
        trials: int,
        stream: TextIO | None = sys.stderr,
        names: Mapping[str, str] | None = None,
        minutes: float | None = None,
    ) -> None:
        self.waited_s = 0.0
        self._trials, self._names = trials, dict(names or {})
        self._wait_told = stream is not None
        self._waits: dict[str, tuple[float, float]] = {}
        self._done, self._drawn = 0, 0.0
        self._started = time.monotonic()
        self._budget_s = None if minutes is None else minutes * 60
        self._paces: dict[str, Pace] = {}
        self._passed_s = 0.0  # with rounds and what lies between them; while a trial loads, no time passes
        self._event_s: float | None = None
        self._lines: dict[int, tuple[PlannedTrial, str]] = {}
        self._lock = threading.RLock()  # a signal may have its holder say something
        self._console = None if stream is None else Console(file=stream, stderr=True)
        self._live = None
        if self._console is not None and self._console.is_terminal:
            # No thread of rich's own: it would draw while a round is timed.
            self._live = Live(console=self._console, auto_refresh=False, transient=True)

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._live is not None:
            self._live.stop()

    def say(self, message: str) -> None:
        with self._lock:
            if self._console is not None:
                self._console.print(Text(printable(message)), soft_wrap=True)

    def add(self, trials: Sequence[PlannedTrial], names: Mapping[str, str]) -> None:
        """Count further trials, and call them by these names."""
        with self._lock:
            self._trials += len(trials)
            self._names |= names
            self._paces |= {planned.trial_id: pace_of(planned.trial.measurement) for planned in trials}

    def fall_silent(self) -> None:
        """Write nothing more, whatever threads still say: the caller has the last word."""
        with self._lock:
            self._console = None

    def trial_started(self, planned: PlannedTrial) -> None:
        self._show(planned, "loading", now=True)

    def turn_awaited(self, planned: PlannedTrial, holder: str) -> None:
        """Say for whom it waits, and for how long it has."""
        now, first = time.monotonic(), planned.trial_id not in self._waits
        with self._lock:
            since, last = self._waits.get(planned.trial_id, (now, now))
            self._waits[planned.trial_id] = since, now
            self.waited_s += now - last
        so_far = "" if first else f" {seconds(now - since)} so far"
        message = f"waits{so_far}: {holder} measures on that machine"
        self._show(planned, message, now=first)
        if not self._wait_told:
            self._wait_told = True
            sys.stderr.write(f"{printable(f'{self._name(planned)}: {message}')}\n")

    def trial_prepared(self, planned: PlannedTrial, prepared: Prepared) -> None:
        self._waits.pop(planned.trial_id, None)
        self._event_s = self._event_s and time.monotonic()
        load_s = prepared.cold_start["load_ns"] / 1e9
        self._show(planned, f"warm after {seconds(load_s)} of loading")

    def round_done(self, planned: PlannedTrial, rounds: int, duration_s: float) -> None:
        """Say how many rounds are done, how many there can be, what the last one took, and how much time is left."""
        with self._lock:
            before = self._paces.get(planned.trial_id) or pace_of(planned.trial.measurement)
            timed = before.timed + (rounds - before.done if before.timed else 1)
            mean_s = (before.round_s * before.timed + duration_s * (timed - before.timed)) / timed
            self._paces[planned.trial_id] = before._replace(done=rounds, timed=timed, round_s=mean_s)
            now_s = time.monotonic()
            self._passed_s += duration_s if self._event_s is None else now_s - self._event_s
            self._event_s = now_s
        bound = f"{'' if before.least == before.most else 'at most '}{before.most}"
        self._show(planned, f"round {rounds} of {bound}, {seconds(duration_s)}")

    def _left(self) -> str:
        now_s = time.monotonic()
        with self._lock:
            left = time_left(self._paces.values(), self._passed_s)
        budget_s = None if self._budget_s is None else max(0.0, self._budget_s - (now_s - self._started))
        return left_in_words(left, budget_s)

    def fault_seen(self, planned: PlannedTrial, fault: Fault) -> None:
        self.say(f"{self._name(planned)}: {fault.name}: {fault.message}")

    def trial_ended(self, planned: PlannedTrial, state: State, reason: str | None) -> None:
        with self._lock:
            self._done += 1
            if (pace := self._paces.get(planned.trial_id)) is not None:
                self._paces[planned.trial_id] = pace._replace(least=pace.done, most=pace.done)
            self._lines = {thread: line for thread, line in self._lines.items() if line[0] is not planned}
            self._waits.pop(planned.trial_id, None)
            if self._live is not None:
                self._live.update(self._drawn_lines())
        self.say(f"[{self._done}/{self._trials}] {self._name(planned)} {state}" + (f": {reason}" if reason else ""))

    def _name(self, planned: PlannedTrial) -> str:
        return self._names.get(planned.trial_id, planned.trial_id)

    def _show(self, planned: PlannedTrial, text: str, now: bool = False) -> None:
        with self._lock:
            line, elapsed = f"{self._name(planned)}: {text}", time.monotonic()
            self._lines[threading.get_ident()] = planned, line
            every_s = LINE_EVERY_S if self._live is None else DRAW_EVERY_S
            if now or elapsed - self._drawn >= every_s:
                self._drawn = elapsed
                if self._live is None or self._console is None:
                    self.say("; ".join(filter(None, [line, self._left()])))
                else:
                    self._live.update(self._drawn_lines(), refresh=True)

    def _drawn_lines(self) -> Text:
        passed = seconds(time.monotonic() - self._started)
        left = self._left()
        head = Text(f"{self._done} of {self._trials} trials done, {passed}{left and f'; {left}'}", style="bold")
        return Text("\n  ").join([head, *(Text(printable(one)) for _, one in self._lines.values())])
