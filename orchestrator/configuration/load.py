"""When samples arrive: the block ``load`` of a trial."""

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from orchestrator.configuration.fields import (
    FEWEST_ARRIVALS_PER_S,
    LARGEST_SEED,
    LONGEST_STREAM_S,
    MOST_ARRIVALS_PER_S,
    MOST_SAMPLES,
    File,
    Frozen,
    Milliseconds,
)
from orchestrator.contracts import InputError
from orchestrator.stats.queueing import LEAST_RAMP_S, RAMP_SHARE, Policy

LoadLaw = Literal["closed", "periodic", "poisson", "gamma", "trace"]


class LoadConfig(Frozen):
    """When samples arrive, and what becomes of those that wait.

    ``closed`` has no arrivals: the next sample starts when the last has ended. Every other law fixes the moments beforehand: ``rate_per_s``
    samples a second in groups of ``group``, or those of ``file``, ``speed`` times as fast. ``deadline_ms`` is what ``skip_late`` skips by.
    A stream takes ``stream_s``, its ramp the first ``ramp_s`` of that. Until an arrival the process sleeps down to ``spin_us`` before it.
    """

    name: LoadLaw = Field("closed", description="law of arrivals")
    rate_per_s: float | None = Field(
        None, ge=FEWEST_ARRIVALS_PER_S, le=MOST_ARRIVALS_PER_S, description="samples that arrive in a second, on average"
    )
    group: int = Field(1, gt=0, le=MOST_SAMPLES, description="samples that arrive at once; the rate counts samples")
    seed: int = Field(0, ge=0, le=LARGEST_SEED, description="another seed draws other gaps and orders")
    burstiness: float = Field(1.0, ge=1e-3, le=1e3, description="shape of the gamma law: 1 is Poisson, below 1 comes in bursts")
    file: File | None = Field(None, description="file of arrival times of a `trace`")
    speed: float = Field(1.0, ge=1e-6, le=1e6, description="how many times faster the trace is played")
    policy: Policy = Field(
        "queue",
        description="sample to serve next: the oldest; the newest (older ones are dropped); or, with `skip_late`, the oldest that has "
        "waited at most `load.deadline_ms` (older ones are dropped)",
    )
    deadline_ms: Milliseconds | None = Field(None, description="policy `skip_late` drops samples that have waited longer than this")
    queue_limit: int | None = Field(None, gt=0, le=MOST_SAMPLES, description="an arrival that finds this many waiting is dropped")
    batch_wait_ms: float = Field(
        0.0, ge=0, le=10**6, description="an incomplete batch starts this long after the arrival of its oldest sample"
    )
    think_s: float = Field(
        0.0,
        ge=0,
        le=LONGEST_STREAM_S,
        exclude_if=lambda think_s: not think_s,
        description="of a task of conversations: time from an answer to the arrival of the next turn",
    )
    stream_s: float | None = Field(
        None, gt=0, le=LONGEST_STREAM_S, description="length of a stream; null takes the longer of 10 s and two rounds, or the whole trace"
    )
    ramp_s: float | None = Field(
        None, ge=0, le=LONGEST_STREAM_S, description="start of a stream that no figure includes; null takes the longer of 1 s and 5 %"
    )
    idle: Literal["sleep", "spin"] = Field(
        "sleep", description="what the process does until the next arrival; `spin` keeps clocks and caches awake"
    )
    spin_us: float = Field(200.0, ge=0, le=10**6, description="a sleeping process wakes this long before the arrival and spins")
    max_backlog_s: float = Field(
        5.0, gt=0, le=LONGEST_STREAM_S, description="a stream ends as overloaded once more samples wait than arrive in this time"
    )

    @property
    def is_open(self) -> bool:
        return self.name != "closed"

    @property
    def words(self) -> str:
        """The load as a reader meets it: ``closed``, ``poisson 40/s``, ``periodic 30/s newest``, ``trace x2``."""
        if not self.is_open:
            return "closed"
        pace = f"x{self.speed:g}" if self.rate_per_s is None else f"{self.rate_per_s:g}/s"
        think = [f"thinking {self.think_s:g} s"] if self.think_s else []
        burst = [f"burstiness {self.burstiness:g}"] if self.name == "gamma" else []
        group = [f"in groups of {self.group}"] if self.group > 1 else []
        return " ".join([self.name, pace, *burst, *group, *think, *([self.policy] if self.policy != "queue" else [])])

    @property
    def all_words(self) -> str:
        """The words with what limits those that wait: ``gamma 60/s burstiness 0.5 skip_late after 20 ms, 3 wait at most``."""
        after = "" if self.deadline_ms is None else f" after {self.deadline_ms:g} ms"
        limit = "" if self.queue_limit is None else f", {self.queue_limit} wait at most"
        return self.words + after + limit

    @model_validator(mode="before")
    @classmethod
    def _null_is_the_default(cls, document: Any) -> Any:
        """In a sweep over laws null stands where a key is of no matter; but a gamma law has its burstiness from its file."""
        if not isinstance(document, dict):
            return document
        told = ("name", "burstiness") if document.get("name") == "gamma" else ("name",)
        return {key: value for key, value in document.items() if value is not None or key in told or key not in cls.model_fields}

    @model_validator(mode="after")
    def _keys_fit_the_law(self) -> Self:
        changed = {*self.changed()} - {"name"}
        first = min(changed, default="")
        owners = {"rate_per_s": ("periodic", "poisson", "gamma"), "burstiness": ("gamma",), "file": ("trace",), "speed": ("trace",)}
        alien = next((key for key, laws in owners.items() if key in changed and self.name not in laws), "")
        return self.sound(
            (
                not self.is_open and changed,
                f"{first}={getattr(self, first, None)} has no effect under load=closed; choose load=periodic, poisson, gamma or trace",
            ),
            (
                self.is_open and self.name != "trace" and self.rate_per_s is None,
                f"load={self.name} has no rate; add load.rate_per_s=SAMPLES_PER_SECOND",
            ),
            (self.name == "trace" and self.file is None, "load=trace has no arrival times; add load.file=PATH"),
            (
                alien,
                f"{alien}={getattr(self, alien, None)} has no effect under load={self.name}; leave it out, or choose "
                f"load={owners.get(alien, ('closed',))[-1]}",
            ),
            (
                (self.policy == "skip_late") != (self.deadline_ms is not None),
                "load.policy=skip_late needs load.deadline_ms=MILLISECONDS, and no other policy takes one",
            ),
            (
                self.stream_s is not None and self.ramp_s is not None and self.ramp_s >= self.stream_s,
                f"ramp_s={self.ramp_s or 0:g} leaves nothing of stream_s={self.stream_s or 0:g}; lower load.ramp_s",
            ),
        )


def refuse_empty_streams(load: LoadConfig) -> None:
    """Raise InputError for a load whose streams would be ramps alone, or drop every sample that waits for company.

    Not part of the model: what older versions have measured stays readable.
    """
    if load.stream_s is not None and load.ramp_s is None and load.stream_s <= LEAST_RAMP_S:
        raise InputError(
            f"load.stream_s={load.stream_s:g} leaves nothing after its ramp, which takes {LEAST_RAMP_S:g} s at least; raise load.stream_s, "
            f"or set load.ramp_s={RAMP_SHARE * load.stream_s:g}",
            "conflict",
            "load.stream_s",
            load.stream_s,
        )
    if load.deadline_ms is not None and load.batch_wait_ms >= load.deadline_ms:
        raise InputError(
            f"load.batch_wait_ms={load.batch_wait_ms:g} lets an incomplete batch wait until load.policy=skip_late drops it, after "
            f"load.deadline_ms={load.deadline_ms:g}; lower load.batch_wait_ms",
            "conflict",
            "load.batch_wait_ms",
            load.batch_wait_ms,
        )
