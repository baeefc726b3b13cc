"""The rules that are shipped: `Settled` is the default."""

import math

import numpy as np
from numpy.typing import NDArray

from orchestrator.stats.certificate import samples_to_certify
from orchestrator.stats.constants import CONFIDENCE, FEWEST_UNITS, LOOKS_GROW
from orchestrator.stats.interval import mean_intervals
from orchestrator.stats.latency import percentile_inverted_cdf, times_beyond
from orchestrator.stats.paper import FIT_EVERY, NS_PER_S, THRESHOLD, WARM, PaperLoop
from orchestrator.stats.stopping.rule import (
    AllClocks,
    Cadence,
    CheckRow,
    Decision,
    RoundObservation,
    RuleSettings,
    check_row,
)
from orchestrator.stats.thresholds import (
    DEFAULT_PRIMARY,
    FREEZING_ROUNDS,
    Threshold,
    primary_threshold,
    thresholds_from_percentiles,
)
from orchestrator.stats.times import SERVICE_CLOCKS, Clock, Times
from orchestrator.stats.units import constant, degrees_of, t_quantile

# A reason of its own: where quality never moves, a trial could not have settled otherwise.
CONSTANT = "settled, quality constant"
# What LoadGen bounds, with which confidence, and how many may lie beyond.
PERCENTILE, CERTAINTY, OVERRUNS = 99, 0.99, 1
# A larger design effect says that samples of one round are alike.
CLUSTERED = 1.5
# Later rounds bring no figures: every fit reads all times so far, a comparison six such pools.
MOST_ROUNDS = 2000


class RunningThreshold:
    """The primary threshold as far as it is known while a trial runs.

    A time is known from the start. A percentile is the trial's own, frozen from its first 10 rounds
    and to be applied to the others; where more samples have no time than it allows, there is none.

    Raises InputError if the label is neither a percentile nor a time.
    """

    def __init__(self, label: str | None) -> None:
        chosen = (label or DEFAULT_PRIMARY).strip()
        self.threshold: Threshold | None = primary_threshold(chosen, None)
        self._percentile = None if self.threshold else float(chosen.removeprefix("p"))
        self._first_rounds: list[Times] = []

    def applies(self, observation: RoundObservation) -> Threshold | None:
        """Return the threshold to apply to this round; None to those that choose it."""
        if self._percentile is None or len(self._first_rounds) == FREEZING_ROUNDS:
            return self.threshold
        self._first_rounds.append(observation.primary_times)
        if len(self._first_rounds) == FREEZING_ROUNDS:
            times = np.concatenate(self._first_rounds)
            found = thresholds_from_percentiles(times, [self._percentile], "own")
            self.threshold = found[0] if found else None
        return None


class Settled:
    """Stop when mean tail quality is known well enough at the primary threshold.

    That is, when half the width of its 95 % interval, the one that the report prints, is at most
    ``half_width`` x ideal. Visits are its units, and at least 12 are needed. The rule looks at
    ``min_rounds`` and each time that rounds have doubled; where a bound ends the trial, that is a
    look, too. A trial that has not settled says how many more minutes it lacks. The convergence of
    densities (rJSD) is told and stops nothing.
    """

    name = "settled"

    def __init__(self, settings: RuleSettings) -> None:
        self._settings = settings
        self.may_stop_at = settings.min_rounds
        self._densities, self._cadence = AllClocks(), Cadence()
        self._running = RunningThreshold(settings.primary)
        self._qualities: list[float] = []
        self._visits: list[int | None] = []
        self._reason: str | None = None

    def update(self, observation: RoundObservation, now_s: float) -> Decision:
        self._densities.add(observation)
        threshold = self._running.applies(observation)
        if threshold is not None:
            self._qualities.append(observation.quality(threshold.ns))
            self._visits.append(observation.visit)
        look = observation.rounds >= min(self.may_stop_at, self._settings.max_rounds)
        if look:
            self.may_stop_at = math.ceil(LOOKS_GROW * observation.rounds)
        elif not self._cadence.due(observation.rounds, now_s):
            return Decision(False, self._reason)
        bound, half_width, missing = self._settings.half_width * observation.ideal, None, math.inf
        if len(self._qualities) > 1:
            half_width, missing = self._known(observation, bound)
            self._reason = CONSTANT if constant(np.array([self._qualities]))[0] else "settled"
            if missing > 0:
                self._reason = _lacking(missing, observation.round_s)
        known = self._running.threshold
        own: CheckRow = {
            "quality_mean": float(np.mean(self._qualities)) if self._qualities else None,
            "half_width": half_width,
            "half_width_bound": bound,
            "primary_threshold": known.label if known else None,
            "primary_threshold_ns": known.ns if known else None,
            "primary_threshold_origin": known.origin if known else None,
        }
        return Decision(
            look and missing <= 0, self._reason, check_row(self._densities.check(), own)
        )

    # Half the width of the interval, and how many rounds are missing to a bound.
    def _known(self, observation: RoundObservation, bound: float) -> tuple[float, float]:
        rounds, size = len(self._qualities), observation.primary_times.size
        answers = size if observation.answers is None else observation.answers
        visits = None if None in self._visits else np.array(self._visits)
        [found] = mean_intervals(
            [self._qualities], observation.ideal, answers, visits, bounded=observation.bounded
        )
        half_width = (found.high - found.low) / 2
        units = rounds if visits is None else len(set(self._visits))
        least = 0 if visits is None else FEWEST_UNITS
        wanted = max(units_for(half_width, bound, units), least)
        return half_width, (wanted / units - 1) * rounds


def units_for(half_width: float, bound: float, units: int) -> float:
    """Return about how many units make a half-width of so many units as small as a bound.

    It falls with the root of their number, and with the quantile of Student's t.

    >>> round(units_for(0.09, 0.045, 30))
    77
    """
    if half_width <= bound:
        return units * (half_width / bound) ** 2 if bound > 0 else 0.0
    more = units * (half_width / bound) ** 2
    degrees = degrees_of(units), degrees_of(round(more))
    now, then = (t_quantile((1 + CONFIDENCE) / 2, each) for each in degrees)
    return max(units + 1, more * float(then / now) ** 2)


def _lacking(rounds: float, round_s: float | None) -> str:
    if round_s is None:
        return f"not settled: about {math.ceil(rounds):,} more rounds"
    minutes = math.ceil(rounds * round_s / 60)
    return f"not settled: about {minutes:,} more minute{'s' if minutes > 1 else ''}"


class Rounds:
    """Never stop: ``max_rounds`` does. The densities are followed all the same, for the record."""

    name = "rounds"

    def __init__(self, settings: RuleSettings) -> None:
        self.may_stop_at = settings.max_rounds
        self._densities, self._cadence = AllClocks(), Cadence()

    def update(self, observation: RoundObservation, now_s: float) -> Decision:
        self._densities.add(observation)
        due = self._cadence.due(observation.rounds, now_s)
        return Decision(False, None, check_row(self._densities.check()) if due else None)


class Capacity(Rounds):
    """A rate of a search for the capacity: as many streams as were planned.

    The options say what the search asks, and whether the rate is to be certified.
    """

    name = "capacity"

    def __init__(
        self,
        settings: RuleSettings,
        *,
        deadline_ms: float = 50.0,
        keep: float = 0.99,
        certify: bool = False,
    ) -> None:
        super().__init__(settings)


class Certify:
    """Stop once the samples suffice for the 99th percentile at 99 % with one overrun.

    This is MLCommons LoadGen's early stopping. Then the second-longest time bounds the percentile.
    Inferences without a time lie beyond every bound: where there are more of them than one, they
    are the overruns. LoadGen's samples are inferences here: a batch counts once.

    Those of one round may be alike: with a design effect above 1.5, measured as the spread between
    rounds of the share beyond the percentile of the first 10 rounds, their number is divided by it.
    The bound takes the number of samples as fixed beforehand and this rule looks again and again,
    as LoadGen does; it says when to stop and is no certificate by itself.
    """

    name = "certify"

    def __init__(self, settings: RuleSettings) -> None:
        self._densities, self._cadence = AllClocks(), Cadence(rounds_apart=5)
        self._first_rounds: list[NDArray[np.float64]] = []
        self._bound_ns = 0.0
        self._shares: list[float] = []
        self._samples = self._without_time = 0

    def update(self, observation: RoundObservation, now_s: float) -> Decision:
        self._densities.add(observation)
        times_ns = observation.primary_times
        self._samples += times_ns.size
        self._without_time += int(np.isinf(times_ns).sum())
        if len(self._first_rounds) == FREEZING_ROUNDS:
            self._shares.append(float(times_beyond(times_ns, self._bound_ns).mean()))
        else:
            self._first_rounds.append(times_ns)
            self._bound_ns = percentile_inverted_cdf(np.concatenate(self._first_rounds), PERCENTILE)
        if not self._cadence.due(observation.rounds, now_s):
            return Decision(False)
        effect = self._design_effect(times_ns.size)
        effective = self._samples / (effect if effect and effect > CLUSTERED else 1.0)
        overruns = max(OVERRUNS, self._without_time)
        needed = samples_to_certify(PERCENTILE, CERTAINTY, overruns)
        of_percentile: CheckRow = {
            "percentile": PERCENTILE,
            "overruns": overruns,
            "samples_needed": needed,
            "samples_effective": effective,
            "design_effect": effect,
        }
        certified = effect is not None and effective >= needed
        check = check_row(self._densities.check(), of_percentile)
        return Decision(certified, "certified" if certified else None, check)

    def _design_effect(self, samples: int) -> float | None:
        shares = np.array(self._shares)
        if shares.size < 2:
            return None
        independent = shares.mean() * (1 - shares.mean()) / samples
        return max(1.0, float(shares.var(ddof=1) / independent)) if independent > 0 else 1.0


class Paper:
    """Stop where the program of Yang et al. does: its rJSD is within the threshold on both clocks.

    It fits every ``fit_every`` rounds after the first ``warm``, whose times stay in the pool, and
    compares at fits 6, 11, 16 and so on with the five before; only there is a row of the
    trajectory. Where the program ends with an error, as it finds no bandwidth, there is no fit.
    """

    name = "paper"

    def __init__(
        self,
        settings: RuleSettings,
        *,
        warm: int = WARM,
        fit_every: int = FIT_EVERY,
        threshold: float = THRESHOLD,
    ) -> None:
        self._warm, self._fit_every, self._threshold = warm, fit_every, threshold
        self._densities = AllClocks(threshold)
        self._loops = {clock: PaperLoop(warm, fit_every) for clock in SERVICE_CLOCKS}
        self._last: dict[Clock, float] = {}

    def update(self, observation: RoundObservation, now_s: float) -> Decision:
        if observation.rounds > MOST_ROUNDS:
            return Decision(False)
        self._densities.add(observation)
        compared: CheckRow = {}
        for clock, loop in self._loops.items():
            try:
                _, comparison = loop.add(observation.times[clock] / NS_PER_S)
            except ValueError:
                continue
            if comparison is not None:
                compared[f"rjsd_{clock}_as_in_paper_code"] = self._last[clock] = comparison.rjsd
        after = observation.rounds - self._warm
        if after <= 0 or after % self._fit_every:
            return Decision(False)
        by_definition = self._densities.check()
        if not compared:
            return Decision(False)
        stop = len(self._last) == len(self._loops) and max(self._last.values()) <= self._threshold
        row = check_row(by_definition, compared)
        return Decision(stop, "converged" if stop else None, row)
