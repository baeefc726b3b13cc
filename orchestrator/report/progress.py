"""Progress on stderr: rich on a terminal, plain lines otherwise. Drawn between rounds only, at most twice a second."""

from __future__ import annotations

import math
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TextIO

from rich.console import Console
from rich.live import Live
from rich.text import Text

from orchestrator.report.text import milliseconds, printable, seconds
from orchestrator.running.life import RoundDone
from orchestrator.stats.stopping import Decision
from orchestrator.storage.handover import Prepared
from orchestrator.storage.records import Fault, PlannedTrial
from orchestrator.storage.vocabulary import State

DRAW_EVERY_S = 0.5
LINE_EVERY_S = 10.0


def short_names(trials: Sequence[PlannedTrial]) -> dict[str, str]:
    """Return what trials of one campaign are called while they run, by id: what differs among them; the id where that is not enough.

    Examples
    --------
    Two trials on different systems are called by the systems' names, with the repeat where there are several: ``cpu_1core r2``.
    """
    parts = {one.trial_id: _parts(one) for one in trials}
    differ = [len(set(column)) > 1 for column in zip(*parts.values(), strict=True)]
    names = {trial: " ".join(part for part, apart in zip(of_one, differ, strict=True) if apart) for trial, of_one in parts.items()}
    if len(trials) == 1:
        return {trial: of_one[0] for trial, of_one in parts.items()}
    alike = Counter(names.values())
    return {trial: name if alike[name] == 1 else trial for trial, name in names.items()}


def _parts(one: PlannedTrial) -> tuple[str, ...]:
    trial = one.trial
    batch, repeat = f"batch {trial.measurement.batch}", f"r{trial.repeat}"
    return (trial.model.name, trial.task.name, trial.system.name, trial.runtime.name, batch, repeat)


DISTANCES = (
    ("half_width", "half_width_bound", "quality known to +- {:.3f} (wanted {:.3f})"),
    ("rjsd_total_as_in_paper_code", "rjsd_bound", "rJSD as in the paper's program {:.3f} (bound {:g})"),
    ("rjsd_total", "rjsd_bound", "rJSD {:.3f} (bound {:g})"),
)
"""What a check holds, the bound of it, and how both are said; the first that is known is."""


def _how_far(check: Mapping[str, object]) -> str | None:
    """Return how far the rule is from its end: the half-width of the interval that it waits for, or else the distance of densities."""
    for name, limit, said in DISTANCES:
        value, bound = check.get(name), check.get(limit)
        if isinstance(value, float) and isinstance(bound, float):
            return said.format(value, bound)
    return None


class Progress:
    """Follows a campaign of ``trials`` trials. Each thread that measures has one line: that of the trial whose turn it is there.

    Parameters
    ----------
    stream
        where to write; None (``--quiet``) writes nothing but, once, for whom the campaign waits: it may wait for ever.
    names
        what trials are called here, by id; others are called by their id.
    """

    def __init__(self, trials: int, stream: TextIO | None = sys.stderr, names: Mapping[str, str] | None = None) -> None:
        self._trials = trials
        self._names = names or {}
        self._wait_told = stream is not None
        self._waiting_since: dict[str, float] = {}
        self._waited_s: dict[tuple[str, float], float] = {}
        self._done = 0
        self._started = time.monotonic()
        self._drawn = 0.0
        self._lines: dict[int, tuple[PlannedTrial, str]] = {}
        self._shares: dict[str, float] = {}
        self._checks: dict[str, str] = {}
        self._lock = threading.RLock()  # a signal may have the thread that holds it say something
        self._console = Console(file=stream, stderr=True) if stream is not None else None
        self._live: Live | None = None

    def __enter__(self) -> Progress:
        if self._console is not None and self._console.is_terminal:
            # No thread of rich's own: it would draw while a round is timed.
            self._live = Live(console=self._console, auto_refresh=False, transient=True)
            self._live.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._live is not None:
            self._live.stop()

    def say(self, message: str) -> None:
        """Write one line that stays."""
        with self._lock:
            if self._console is not None:
                self._console.print(Text(printable(message)), soft_wrap=True)

    def add(self, trials: Sequence[PlannedTrial], names: Mapping[str, str]) -> None:
        """Count further trials, and call them by these names."""
        with self._lock:
            self._trials += len(trials)
            self._names = {**self._names, **names}

    @property
    def waited_s(self) -> float:
        """How long its trials have waited, in s, for machines that other campaigns measured on."""
        return sum(self._waited_s.values())

    def fall_silent(self) -> None:
        """Write nothing more, whatever threads have to say that still end: the caller has the last word."""
        with self._lock:
            self._console = None

    def trial_started(self, planned: PlannedTrial) -> None:
        """Say which trial is being loaded."""
        self._show(planned, "loading", now=True)

    def turn_awaited(self, planned: PlannedTrial, holder: str) -> None:
        """Say for whom it waits, and for how long it has."""
        first = planned.trial_id not in self._waiting_since
        since = self._waiting_since.setdefault(planned.trial_id, time.monotonic())
        so_far_s = self._waited_s[planned.trial_id, since] = time.monotonic() - since
        waited = "" if first else f" {seconds(so_far_s)} so far"
        message = f"waits{waited}: {holder} measures on that machine"
        self._show(planned, message, now=first)
        if not self._wait_told:
            self._wait_told = True
            sys.stderr.write(f"{printable(self._name(planned))}: {printable(message)}\n")

    def trial_prepared(self, planned: PlannedTrial, prepared: Prepared) -> None:
        """Say that it is warm."""
        self._waiting_since.pop(planned.trial_id, None)
        self._show(planned, f"warm after {seconds(prepared.cold_start['load_ns'] / 1e9)} of loading", now=False)

    def round_done(self, planned: PlannedTrial, done: RoundDone, decision: Decision) -> None:
        """Say how far it has come and, by the bounds of its rule, how far it may go."""
        measurement = planned.trial.measurement
        self._shares[planned.trial_id] = min(1.0, done.rounds / measurement.min_rounds)
        if (known := _how_far(decision.check or {})) is not None:
            # Checks are rarer than rounds: the last one is shown until the next.
            self._checks[planned.trial_id] = f", {known}"
        shown = self._checks.get(planned.trial_id, "")
        p99 = f", p99 {milliseconds(done.p99_ns)}" if math.isfinite(done.p99_ns) else ""
        message = f"round {done.rounds} of {measurement.min_rounds}+, {seconds(done.duration_s)} each{p99}{shown}"
        self._show(planned, message, now=False)

    def fault_seen(self, planned: PlannedTrial, fault: Fault) -> None:
        """Say what happened."""
        self.say(f"{self._name(planned)}: {fault.name}: {fault.message}")

    def trial_ended(self, planned: PlannedTrial, state: State, reason: str | None) -> None:
        """Say how it ended."""
        with self._lock:
            self._done += 1
            self._lines = {thread: line for thread, line in self._lines.items() if line[0] is not planned}
            self._checks.pop(planned.trial_id, None)
            self._shares.pop(planned.trial_id, None)
            self._waiting_since.pop(planned.trial_id, None)
            if self._live is not None:
                self._live.update(self._drawn_lines())
        ended = f"[{self._done}/{self._trials}] {self._name(planned)} {state}"
        self.say(f"{ended}: {reason}" if reason else ended)

    def _name(self, planned: PlannedTrial) -> str:
        return self._names.get(planned.trial_id, planned.trial_id)

    def _show(self, planned: PlannedTrial, text: str, now: bool) -> None:
        with self._lock:
            if self._console is None:
                return
            line = f"{self._name(planned)}: {text}"
            self._lines[threading.get_ident()] = planned, line
            elapsed = time.monotonic()
            due = elapsed - self._drawn >= (DRAW_EVERY_S if self._live is not None else LINE_EVERY_S)
            if not (now or due):
                return
            self._drawn = elapsed
            if self._live is not None:
                self._live.update(self._drawn_lines(), refresh=True)
            else:
                self._console.print(Text(printable(line)), soft_wrap=True)

    def _drawn_lines(self) -> Text:
        elapsed = time.monotonic() - self._started
        head = f"{self._done} of {self._trials} trials, {seconds(elapsed)} so far{self._left(elapsed)}"
        below = (Text(f"\n  {printable(line)}") for _, line in self._lines.values())
        return Text(head, style="bold").append_text(Text("", style="not bold").join(below))

    def _left(self, elapsed: float) -> str:
        """Return how long the rest takes at least: a trial has come as far as its rounds fill ``min_rounds``; then its rule decides."""
        share = (self._done + sum(self._shares.values())) / max(1, self._trials)
        return f", at least {seconds(elapsed / share * (1 - share))} left" if 0 < share < 1 else ""
