"""How stored timings are read: the block ``analysis`` of a campaign, and the file that the points of its ``tolerance`` may come from."""

import datetime
import math
from collections.abc import Iterable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import pyarrow as pa
from pyarrow import csv
from pydantic import Field, model_validator

from orchestrator.configuration.fields import (
    FEWEST_ARRIVALS_PER_S,
    LARGEST_SEED,
    MOST_ARRIVALS_PER_S,
    MOST_THRESHOLDS,
    Frozen,
    Milliseconds,
    Names,
    Percentile,
    Price,
)
from orchestrator.contracts import InputError, first_line, nearest
from orchestrator.stats.tail_quality import LognormalTolerance, Tolerance, TolerancePoints, lognormal_from_p95
from orchestrator.stats.thresholds import Threshold, thresholds_from_ms

ClockName = Literal["inference", "total", "response", "first_token", "per_token"]
MOST_POINTS = 10_000
COLUMNS = ("tolerance_ms", "weight")
FORMS = "give median_ms with sigma or p95_ms, or points_ms (with weights), or csv"
NS_PER_MS = 10**6

Weight = Annotated[float, Field(gt=0, le=1e12, allow_inf_nan=False)]
FrameRate = Annotated[float, Field(ge=FEWEST_ARRIVALS_PER_S, le=MOST_ARRIVALS_PER_S)]
FramePolicy = Literal["queue", "newest", "idle"]
FRAME_RATES = (10.0, 20.0, 30.0)


class DeadlineConfig(Frozen):
    """What a deadline promises: at least 1 - ``late_share`` of rounds keep ``quality`` of the quality they have without a threshold."""

    quality: float = Field(0.99, gt=0, le=1, description="share of ideal quality that a round must keep")
    late_share: float = Field(0.10, ge=1e-6, lt=1, description="share of rounds that may keep less than `analysis.deadline.quality`")
    confidence: float = Field(0.95, gt=0, lt=1, description="confidence of the certificate")


class ToleranceConfig(Frozen):
    """How long users wait: a lognormal law by its median and ``sigma`` or p95, or points with weights (null: equal ones)."""

    median_ms: Milliseconds | None = Field(None, description="median of a lognormal tolerance")
    sigma: float | None = Field(None, gt=0, le=10, description="standard deviation of its logarithm, in place of `p95_ms`")
    p95_ms: Milliseconds | None = Field(None, description="95th percentile of a lognormal tolerance")
    points_ms: tuple[Milliseconds, ...] = Field((), max_length=MOST_POINTS, description="discrete tolerances")
    weights: tuple[Weight, ...] = Field((), max_length=MOST_POINTS, description="weights of `points_ms`")

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        lognormal = self.median_ms is not None and (self.sigma is None) != (self.p95_ms is None)
        anything = any(value is not None for value in (self.median_ms, self.sigma, self.p95_ms))
        median_ms, p95_ms = self.median_ms or 0, self.p95_ms or math.inf
        return self.sound(
            (lognormal == bool(self.points_ms) or (self.points_ms and anything), f"must have one form: {FORMS}"),
            (
                self.weights and len(self.weights) != len(self.points_ms),
                f"has {len(self.points_ms)} points and {len(self.weights)} weights; give one weight a point",
            ),
            (p95_ms <= median_ms, f"p95_ms={p95_ms:g} must lie above median_ms={median_ms:g}"),
        )

    @property
    def law(self) -> Tolerance:
        if self.points_ms:
            points = tuple(float(math.floor(Fraction(str(point)) * NS_PER_MS)) for point in self.points_ms)
            return TolerancePoints(points, self.weights or (1.0,) * len(points))
        assert self.median_ms is not None
        median_ns = self.median_ms * NS_PER_MS
        if self.sigma is not None:
            return LognormalTolerance(median_ns, self.sigma)
        assert self.p95_ms is not None
        return lognormal_from_p95(median_ns, self.p95_ms * NS_PER_MS)

    @property
    def words(self) -> str:
        if self.points_ms:
            points = f"{len(self.points_ms)} points" if len(self.points_ms) > 1 else "1 point"
            return f"{points} from {min(self.points_ms):g} to {max(self.points_ms):g} ms"
        return f"lognormal, median {self.median_ms:g} ms, " + (f"p95 {self.p95_ms:g} ms" if self.sigma is None else f"sigma {self.sigma:g}")


class BoundsConfig(Frozen):
    """Published bounds on latency, and the conditions under which their source holds a run to them."""

    name: str = Field(description="name of the profile")
    source: str = Field(description="where the bounds were published")
    date: datetime.date = Field(description="when they were read there")
    bounds_ms: dict[ClockName, Milliseconds] = Field(min_length=1, description="bounds by clock; `response` in a closed loop is `total`")
    share: float = Field(0.99, gt=0, lt=1, description="share of requests that must keep each bound")
    load: str | None = Field(None, description="law of arrivals, such as `poisson`")
    seconds: float = Field(0.0, ge=0, description="least length of a run")
    models: Names = Field((), description="names of the model")
    data: Names = Field((), description="names of the data, all of them used")


class AnalysisConfig(Frozen):
    """How stored timings are read. These keys never need a new measurement."""

    thresholds_ms: tuple[Milliseconds, ...] = Field((), max_length=MOST_THRESHOLDS, description="your own thresholds")
    percentiles: tuple[Percentile, ...] = Field(
        (90, 95, 99, 99.9), max_length=MOST_THRESHOLDS, description="thresholds taken from the reference trial, in percent"
    )
    reference: str | None = Field(
        None, description="id of the reference trial, or the same without `-r<repeat>`; null takes the median one"
    )
    primary: str | None = Field(
        None, description='label of the threshold for verdicts and rules, such as `p95` or `"50 ms"`; null takes the reference\'s p95'
    )
    seed: int = Field(0, ge=0, le=LARGEST_SEED, description="seed of samples drawn for a chart, and of the draws of `study`")
    slices: Names = Field((), description="names of slices, such as `[class, size]`: tail quality of each group")
    deadline: DeadlineConfig = Field(DeadlineConfig(), description="what a certified deadline promises")
    metrics: Names = Field(
        (),
        exclude_if=lambda names: not names,
        description="metrics in place of the task's, the primary one first; `report` computes them from stored answers",
    )
    tolerance: ToleranceConfig | None = Field(
        None,
        exclude_if=lambda tolerance: tolerance is None,
        description="how long users wait: `{median_ms: 200, p95_ms: 500}`, `{points_ms: [...]}`, or `{csv: FILE}` with the columns "
        "`tolerance_ms` and `weight`",
    )
    together_ms: dict[ClockName, Milliseconds] | None = Field(
        None,
        exclude_if=lambda together: not together,
        description="bounds by clock that an answer must all meet to be on time: `{first_token: 200, per_token: 50}`",
    )
    bounds: BoundsConfig | None = Field(
        None,
        exclude_if=lambda bounds: bounds is None,
        description="published bounds, by the name of a YAML in `analysis/bounds/`: `mlperf/llama3_1_8b_interactive`",
    )
    price_per_hour: Price | dict[str, Price] | None = Field(
        None,
        exclude_if=lambda price: price is None,
        description="what an hour of a system costs, in place of `system.price_per_hour`: `{cpu_all: 0.12}`, or one number for all",
    )
    frame_rates: tuple[FrameRate, ...] = Field(
        FRAME_RATES,
        min_length=1,
        max_length=MOST_THRESHOLDS,
        exclude_if=lambda rates: rates == FRAME_RATES,
        description="frames a second at which sequences are played for their streaming quality",
    )
    frame_policy: FramePolicy = Field(
        "newest",
        exclude_if=lambda policy: policy == "newest",
        description="frame to answer next: the oldest (`queue`); the newest; or, with `idle`, the next to arrive",
    )
    late: Literal["hold", "drop"] = Field(
        "hold",
        exclude_if=lambda late: late == "hold",
        description="what stands where the last frame's answer is late: the newest answer there is, or none",
    )
    fallback: str | None = Field(
        None,
        exclude_if=lambda fallback: fallback is None,
        description="id of a fast trial, or the same without `-r<repeat>`: its answers stand where they belong to later frames",
    )

    @property
    def thresholds(self) -> tuple[Threshold, ...]:
        return thresholds_from_ms(self.thresholds_ms)

    def price_of(self, system: str, own: float | None) -> float | None:
        """Return what an hour of a system costs; ``own`` is the price in its YAML."""
        given = self.price_per_hour
        return given.get(system, own) if isinstance(given, dict) else own if given is None else given

    def check_trials(self, match_keys: Mapping[str, str]) -> None:
        """Raise InputError for a trial that is none of these, which have match keys by id."""
        for key, name in (("analysis.reference", self.reference), ("analysis.fallback", self.fallback)):
            if name is not None and name not in {*match_keys, *match_keys.values()}:
                raise InputError(f"{key}={name}: no such trial; {nearest(name, match_keys)}", "unknown", key, name)

    def check_slices(self, known: Iterable[str]) -> None:
        """Raise InputError for a name in ``slices`` that no sample has."""
        names = sorted(set(known))
        for name in self.slices:
            if name not in names:
                raise InputError(
                    f"analysis.slices={name}: no sample has this slice; {nearest(name, names)}", "unknown", "analysis.slices", name
                )


def with_tolerance_file(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a composed document in which ``analysis.tolerance={csv: FILE}`` holds the points of that file.

    Only what a user has just composed is read so: a stored campaign holds the points, and names no file. Raises InputError for a file
    that is missing, or has other columns than ``tolerance_ms`` and ``weight``.
    """
    analysis = document.get("analysis") or {}
    tolerance = analysis.get("tolerance")
    if not isinstance(tolerance, Mapping) or tolerance.get("csv") is None:
        return dict(document)
    if set(tolerance) != {"csv"}:
        raise InputError(
            f"analysis.tolerance: csv stands alone, and {', '.join(sorted(set(tolerance) - {'csv'}))} beside it: {FORMS}",
            "conflict",
            "analysis.tolerance",
        )
    path = Path(str(tolerance["csv"])).expanduser()
    where = f"analysis.tolerance.csv={path}"
    try:
        table = csv.read_csv(path, convert_options=csv.ConvertOptions(column_types=dict.fromkeys(COLUMNS, pa.float64())))
    except (OSError, pa.ArrowInvalid) as error:
        reason = getattr(error, "strerror", None) or first_line(error)
        raise InputError(
            f"{where}: cannot be read ({reason}): name a CSV file with the columns tolerance_ms and weight",
            "unreadable",
            "analysis.tolerance.csv",
            path,
        ) from error
    if tuple(table.column_names) not in (COLUMNS[:1], COLUMNS) or not table.num_rows:
        raise InputError(
            f"{where}: must hold a line `tolerance_ms` or `tolerance_ms,weight`, and then points", "invalid", "analysis.tolerance.csv", path
        )
    points = dict(zip(("points_ms", "weights"), (column.to_pylist() for column in table.columns), strict=False))
    return {**document, "analysis": {**analysis, "tolerance": points}}
