"""The schedule of a stream: which sample arrives when. Drawn from the trial's seed before the stream starts, alike on every machine."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from orchestrator.configuration.config import Trial
from orchestrator.configuration.fields import LONGEST_STREAM_S
from orchestrator.configuration.load import LoadConfig
from orchestrator.contracts import InputError
from orchestrator.stats import queueing
from orchestrator.stats.queueing import LEAST_RAMP_S, RAMP_SHARE
from orchestrator.subject.trace_file import read_trace

LEAST_STREAM_S, LEAST_ROUNDS = 10.0, 2
"""A stream takes the longer of the two, where ``load.stream_s`` is not set."""
MOST_ARRIVALS = 10**7
"""Of one stream: their stamps lie in memory."""


@dataclass(frozen=True)
class Schedule:
    """The arrivals of one stream: first those of the ramp, then those of whole rounds. N arrivals.

    moments_ns
        int64 from the start of the stream, ascending, [N].
    samples
        which sample arrives, [N]; every round has each once, in an order of its own.
    ramp
        how many arrivals belong to the ramp.
    round_size
        samples of a round.
    """

    moments_ns: NDArray[np.int64]
    samples: NDArray[np.intp]
    ramp: int
    round_size: int

    @property
    def rounds(self) -> int:
        """Number of whole rounds."""
        return (self.moments_ns.size - self.ramp) // self.round_size

    def of_round(self, number: int) -> slice:
        """Return which arrivals are those of a round, counted within the stream; -1 is the ramp."""
        if number < 0:
            return slice(0, self.ramp)
        start = self.ramp + number * self.round_size
        return slice(start, start + self.round_size)


@dataclass(frozen=True)
class Length:
    """How many arrivals the ramp of a stream has, and how many rounds follow it."""

    ramp: int
    rounds: int

    def arrivals(self, samples: int) -> int:
        """Return the number of all arrivals."""
        return self.ramp + self.rounds * samples


def length_of_stream(load: LoadConfig, rate_per_s: float, samples: int) -> Length:
    """Return how long a stream of a mean rate is, for rounds of so many samples. Raises InputError for one that no memory would hold."""
    pass_s = samples / rate_per_s
    ramp_s = LEAST_RAMP_S if load.ramp_s is None else load.ramp_s
    if load.stream_s is None:
        stream_s, least = max(LEAST_STREAM_S, ramp_s + LEAST_ROUNDS * pass_s), LEAST_ROUNDS
    else:
        stream_s, least = load.stream_s, 1
    if load.ramp_s is None:
        ramp_s = max(LEAST_RAMP_S, RAMP_SHARE * stream_s)
    found = Length(math.ceil(ramp_s * rate_per_s), max(least, math.ceil((stream_s - ramp_s) / pass_s)))
    if found.arrivals(samples) > MOST_ARRIVALS:
        raise InputError(
            f"load.rate_per_s={rate_per_s:g}: a stream would have {found.arrivals(samples):,} arrivals and may have {MOST_ARRIVALS:,}; "
            "set a shorter load.stream_s"
        )
    return found


def schedule_of(trial: Trial, samples: int, stream: int) -> Schedule:
    """Return the schedule of a stream of a trial by its number.

    Raises
    ------
    InputError
        for a stream that is too long, and a trace that is damaged or has fewer arrivals than the ramp and one round.
    """
    load = trial.load
    random = np.random.default_rng([load.seed, stream])
    if load.name == "trace":
        moments, length = _traced(load, samples)
    else:
        assert load.name != "closed"
        assert load.rate_per_s is not None
        length = length_of_stream(load, load.rate_per_s, samples)
        count = length.arrivals(samples)
        moments = queueing.drawn(load.name, count, load.rate_per_s, random, load.group, load.burstiness)
    orders = [random.permutation(samples) for _ in range(length.rounds + -(-length.ramp // samples))]
    whole = np.concatenate([np.concatenate(orders[length.rounds :] or [np.zeros(0, np.intp)])[: length.ramp], *orders[: length.rounds]])
    return Schedule(moments, whole.astype(np.intp), length.ramp, samples)


def refuse_cut_groups(group: int, arrivals: int, key: str = "load.group", stream: str = "a stream", remedy: str = "lower it") -> None:
    """Raise InputError for groups of more samples than a stream has arrivals: one could never come whole."""
    if group > arrivals:
        raise InputError(f"{key}={group}: {stream} has {arrivals:,} arrivals, so that {group:,} never come at once; {remedy}")


def mean_rate(trial: Trial) -> float:
    """Return the rate that a trial's load asks for, in samples a second. Raises InputError for a damaged trace."""
    load = trial.load
    return load.rate_per_s if load.rate_per_s is not None else queueing.mean_rate(_trace_of(load))


def longest_stream_s(trial: Trial, samples: int) -> float:
    """Return how long the schedule of a stream lasts at most, in s: random gaps may take twice their mean, which no stream has seen."""
    load = trial.load
    if load.rate_per_s is not None:
        return 2 * length_of_stream(load, load.rate_per_s, samples).arrivals(samples) / load.rate_per_s + load.max_backlog_s
    try:
        return int(schedule_of(trial, samples, 0).moments_ns[-1]) / queueing.SECOND_NS + load.max_backlog_s
    except InputError:  # the trace lies on the system's host alone
        return float(LONGEST_STREAM_S)


def _trace_of(load: LoadConfig) -> NDArray[np.int64]:
    assert load.file is not None
    try:
        return queueing.trace(read_trace(Path(load.file)), load.speed, load.group)
    except InputError as error:
        raise InputError(str(error) if load.file in str(error) else f"load.file={load.file}: {error}") from error


def _traced(load: LoadConfig, samples: int) -> tuple[NDArray[np.int64], Length]:
    """Return the beginning of a trace that fills whole rounds; without ``load.stream_s`` as many as it holds."""
    moments = _trace_of(load)
    length_s = load.stream_s if load.stream_s is not None else (int(moments[-1]) + 1) / queueing.SECOND_NS
    ramp_s = load.ramp_s if load.ramp_s is not None else max(LEAST_RAMP_S, RAMP_SHARE * length_s)
    within = int(np.searchsorted(moments, length_s * queueing.SECOND_NS))
    ramp = int(np.searchsorted(moments, ramp_s * queueing.SECOND_NS))
    held = (moments.size - ramp) // samples
    if held < 1:
        of_samples = f" of {samples} samples" if samples > 1 else ""
        raise InputError(
            f"load.file={load.file}: {moments.size} arrivals, of which {ramp} are the ramp, fill no round{of_samples}; "
            "give a longer trace, or lower task.limit or load.ramp_s"
        )
    rounds = min(held, max(1, -(-(within - ramp) // samples) if load.stream_s is not None else held))
    length = Length(ramp, rounds)
    if length.arrivals(samples) > MOST_ARRIVALS:
        raise InputError(f"load.file={load.file}: more than {MOST_ARRIVALS:,} arrivals for one stream; set a shorter load.stream_s")
    return moments[: length.arrivals(samples)], length
