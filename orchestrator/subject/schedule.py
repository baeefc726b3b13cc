"""The schedule of a stream: which sample arrives when, drawn from the trial's seed before the stream starts, or recorded in a file."""

import csv
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from orchestrator.configuration.config import Trial
from orchestrator.configuration.fields import LONGEST_STREAM_S
from orchestrator.configuration.load import LoadConfig
from orchestrator.contracts import InputError
from orchestrator.stats import queueing
from orchestrator.stats.queueing import LEAST_RAMP_S, RAMP_SHARE

LEAST_STREAM_S, LEAST_ROUNDS = 10.0, 2  # a stream takes the longer of the two, where ``load.stream_s`` is not set
MOST_ARRIVALS = 10**7  # of one stream: their stamps lie in memory
# Names of the column or field of a trace that holds the times; a file of one column needs none.
COLUMNS = ("arrival_s", "arrival", "timestamp", "time", "TIMESTAMP")
LATEST_S = 1e11  # a later moment, of the year 5138 if counted from 1970, is one in milliseconds or less


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
    bounds
        the first arrival of each conversation, whose later turns have its moment until they `came`, and N. None: each arrival stands alone.
    """

    moments_ns: NDArray[np.int64]
    samples: NDArray[np.intp]
    ramp: int
    round_size: int
    bounds: Sequence[int] | None = None

    def came(self, stamps: NDArray[np.int64], origin_ns: int, think_ns: int) -> "Schedule":
        """Return when each turn came by stamps, [N, 4]: the one before it had been answered, or failed, and the user thought.

        A turn whose turn before has not ended keeps its moment.
        """
        if self.bounds is None:
            return self
        later = np.setdiff1d(np.arange(len(stamps)), self.bounds)
        ended = np.where(stamps[:, 3] > 0, stamps[:, 3] - origin_ns + think_ns, self.moments_ns)[later - 1]
        moments = self.moments_ns.copy()
        moments[later] = ended
        return replace(self, moments_ns=moments)

    @property
    def rounds(self) -> int:
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
            "set a shorter load.stream_s",
            "too_large",
            "load.rate_per_s",
            rate_per_s,
        )
    return found


def schedule_of(trial: Trial, samples: int, stream: int, turns: Sequence[int] | None = None) -> Schedule:
    """Return the schedule of a stream of a trial by its number.

    Conversations, of which ``turns`` says how many samples each has, come in a random order; a trace that is the task's own comes in its
    order. Such a stream is one round without a ramp.

    Raises
    ------
    InputError
        for a stream that is too long, and a trace that is damaged or has fewer arrivals than the ramp and one round.
    """
    load = trial.load
    random = np.random.default_rng([load.seed, stream])
    sizes = np.ones(samples, np.intp) if turns is None else np.asarray(turns, np.intp)
    whole = turns is not None or trial.replays_its_task
    if load.name == "trace":
        moments, length = (_trace_of(load)[: sizes.size], Length(0, 1)) if whole else _traced(load, samples)
    else:
        assert load.name != "closed"
        assert load.rate_per_s is not None
        length = Length(0, 1) if whole else length_of_stream(load, load.rate_per_s, samples)
        count = sizes.size if whole else length.arrivals(samples)
        rate_per_s = load.rate_per_s if turns is None else load.rate_per_s * sizes.size / samples  # of conversations
        moments = queueing.drawn(load.name, count, rate_per_s, random, load.group, load.burstiness)
    if whole:
        if moments.size < sizes.size:
            raise InputError(
                f"load.file={load.file}: {moments.size} arrivals are fewer than the {sizes.size} that the task has; give a longer trace",
                key="load.file",
                value=load.file,
            )
        order = np.arange(samples) if turns is None else random.permutation(sizes.size)
        numbers = np.split(np.arange(samples), np.cumsum(sizes)[:-1])
        bounds = None if turns is None else [0, *np.cumsum(sizes[order]).tolist()]
        return Schedule(np.repeat(moments, sizes[order]), np.concatenate([numbers[one] for one in order]), 0, samples, bounds)
    orders = [random.permutation(samples) for _ in range(length.rounds + -(-length.ramp // samples))]
    parts = [np.concatenate(orders[length.rounds :] or [np.zeros(0, np.intp)])[: length.ramp], *orders[: length.rounds]]
    return Schedule(moments, np.concatenate(parts).astype(np.intp), length.ramp, samples)


def refuse_torn(trial: Trial, turns: Sequence[int] | None) -> None:
    """Raise InputError for keys that would tear conversations or a trace apart, and for a time to think where there is no conversation."""
    load, measurement = trial.load, trial.measurement
    together = turns is not None or trial.replays_its_task
    whole = "a stream is all samples once, in the task's own order; leave it out, and take fewer by the task's own keys"
    of_whole: list[tuple[str, object, object]] = [
        ("task.limit", trial.task.limit, None),
        ("measurement.order", measurement.order, "fixed"),
        ("measurement.batch", measurement.batch, 1),
        ("load.stream_s", load.stream_s, None),
        ("load.ramp_s", load.ramp_s, None),
        ("load.group", load.group if trial.replays_its_task else 1, 1),
    ]
    rules: list[tuple[str, object, object, str]] = [
        *((key, value, together and value != only, whole) for key, value, only in of_whole),
        (
            "load.think_s",
            load.think_s,
            load.think_s and turns is None,
            "the task has no conversations in which anyone would think; leave it out",
        ),
        (
            "load",
            load.name,
            load.is_open and turns is not None and not trial.server.is_asked,
            "the turns of a conversation wait for their answers, which takes a server; choose one, or load=closed",
        ),
    ]
    for key, value, broken, why in rules:
        if broken:
            raise InputError(f"{key}={value}: {why}", "conflict", key, value)


def refuse_cut_groups(group: int, arrivals: int, key: str = "load.group", stream: str = "a stream", remedy: str = "lower it") -> None:
    """Raise InputError for groups of more samples than a stream has arrivals: one could never come whole."""
    if group > arrivals:
        raise InputError(
            f"{key}={group}: {stream} has {arrivals:,} arrivals, so that {group:,} never come at once; {remedy}", "conflict", key, group
        )


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
    times = read_trace(Path(load.file))
    try:
        return queueing.trace(times, load.speed, load.group)
    except InputError as error:
        raise InputError(f"load.file={load.file}: {error}", "damaged", "load.file", load.file) from error


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
            "give a longer trace, or lower task.limit or load.ramp_s",
            key="load.file",
            value=load.file,
        )
    rounds = min(held, max(1, -(-(within - ramp) // samples) if load.stream_s is not None else held))
    length = Length(ramp, rounds)
    return moments[: length.arrivals(samples)], length


def read_trace(path: Path) -> NDArray[np.float64]:
    """Return the times of a file in s, in the order of its lines. Raises InputError for what holds no such column, or what is no time."""
    if path.exists() and not path.is_file():  # a pipe or a device would be read without end
        raise InputError(f"load.file={path}: must be a regular file; copy what is to be played into one", key="load.file", value=path)
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            values = _of_jsonl(file) if path.suffix in (".jsonl", ".json") else _of_csv(file)
            return np.array([_seconds(value, line) for line, value in values], dtype=np.float64)
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(
            f"load.file={path}: cannot be read as arrival times in CSV or JSONL: {error}", "damaged", "load.file", path
        ) from error


def _of_jsonl(lines: Iterable[str]) -> Iterator[tuple[int, object]]:
    column: str | None = None
    for number, line in enumerate(lines, start=1):
        if line.strip():
            row = json.loads(line)
            if isinstance(row, dict):
                column = column or _column(row)
                row = float(str(row[column])) / 1000 if "hash_ids" in row else row.get(column)  # Mooncake counts ms
            yield number, row


def _of_csv(lines: Iterable[str]) -> Iterator[tuple[int, object]]:
    reader = csv.reader(lines, strict=True)
    rows = ((reader.line_num, row) for row in reader if row)
    first_line, first = next(rows, (1, [""]))
    has_names = len(first) > 1 or first[0] in COLUMNS
    place = first.index(_column(first)) if has_names else 0
    for number, row in rows if has_names else chain([(first_line, first)], rows):
        if len(row) != len(first):
            raise ValueError(
                f"line {number}, {','.join(row)[:40]!r}, has {len(row)} cells, and the first line {len(first)}; "
                "give every line as many as the first, write decimals with a point, and quote cells that contain commas"
            )
        yield number, row[place]


def _column(names: Iterable[str]) -> str:
    found = next((name for name in COLUMNS if name in names), None)
    if found is None:
        raise ValueError(f"no column of arrival times; name it one of {', '.join(COLUMNS)}")
    return found


def _seconds(value: object, line: int) -> float:
    """Return a number of seconds, or those of an ISO time since 1970. Python would take true for 1, and 1_0 for 10."""
    seconds = math.nan
    try:
        seconds = math.nan if isinstance(value, bool) or "_" in str(value) else float(value)  # type: ignore[arg-type]
    except (OverflowError, TypeError, ValueError):
        with suppress(ValueError):
            moment = datetime.fromisoformat(str(value).strip())
            seconds = moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()
    if not abs(seconds) <= LATEST_S:
        raise ValueError(
            f"{str(value)[:40]!r} in line {line} is no time in seconds before the year 5138; write seconds, with a decimal point, or ISO "
            "times, and divide milliseconds by 1000"
        )
    return seconds
