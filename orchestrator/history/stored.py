"""What a history needs of stored campaigns: their result tables, and, where these lack a threshold, their times."""

import hashlib
import math
import os
import shlex
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pydantic import AliasPath, BaseModel, ConfigDict, Field

from orchestrator.analysis.loading import load_trials
from orchestrator.analysis.quality import ideal_quality, scale_of
from orchestrator.analysis.table import tables
from orchestrator.analysis.trial_data import TrialData
from orchestrator.configuration.config import MeasurementConfig
from orchestrator.contracts import InputError
from orchestrator.stats.constants import CONFIDENCE
from orchestrator.stats.times import PRIMARY_CLOCK, Clock
from orchestrator.stats.units import spread, t_quantile, units_of
from orchestrator.storage.layout import CAMPAIGN, inside, trial_folder
from orchestrator.storage.load import opened, read_json
from orchestrator.storage.reader import open_campaign
from orchestrator.storage.records import UtcTime
from orchestrator.storage.stored_form import conform

Row = dict[str, Any]
DEPTH = 2
"""How far below a folder campaigns are looked for: ``results/<sweep>/<time>``."""
NAMES = ("trial", "match_key", "model", "task", "system", "runtime", "batch")
QUALITY = (
    *NAMES, "metric", "slice", "clock", "threshold", "threshold_ns", "threshold_origin", "ideal", "mean", "interval_low", "interval_high",
    "rounds",
)  # fmt: skip
DEADLINE = ("trial", "clock", "reference", "deadline_ns", "rounds")
OPEN_CLOCK: str = Clock.RESPONSE
FEW_ROUNDS = 8
"""Of fewer rounds nobody can say whether they depend on each other."""


class PlannedHead(BaseModel):
    """A planned trial, and of how many rounds it is first read for a certificate: the default where it was measured before that key."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    trial_id: str = ""
    certify_rounds: int = Field(MeasurementConfig().certify_rounds, validation_alias=AliasPath("trial", "measurement", "certify_rounds"))


class Head(BaseModel):
    """What a history needs of ``campaign.json``: far less than a campaign, which would take most of its time."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    created_at: UtcTime
    name: str
    code_version: str
    code_digest: str | None = None
    primary: str | None = Field(None, validation_alias=AliasPath("config", "analysis", "primary"))
    under_way: bool = False
    trials: tuple[PlannedHead, ...] = ()

    @property
    def code(self) -> str:
        return f"{self.code_version} {self.code_digest[:8]}" if self.code_digest else self.code_version


@dataclass(frozen=True)
class Stored:
    """One campaign.

    quality
        rows of ``tail_quality.parquet`` that may be points: of the primary metric, all samples, the clock that counts first, and
        thresholds that other trials share.
    deadlines
        certified deadline in ns by trial; None where nothing is certified.
    warmups
        digests of what was timed before the first round of each trial, by which a copy of it is looked for.
    uncertified
        trials whose deadline other code certified of fewer rounds than this version takes, so that it is none.
    """

    directory: Path
    head: Head
    quality: pa.Table
    deadlines: Mapping[str, int | None]
    warmups: frozenset[bytes] = frozenset()
    uncertified: frozenset[str] = frozenset()

    @property
    def created_at(self) -> datetime:
        return self.head.created_at


def find_campaigns(folder: Path, depth: int = DEPTH) -> Iterator[Path]:
    """Yield the directories of campaigns below a folder, in order of their names; links, such as ``latest``, are left out."""
    with os.scandir(folder) as entries:
        below = sorted(entry.path for entry in entries if entry.is_dir(follow_symlinks=False) and not entry.name.startswith("."))
    for path in map(Path, below):
        if not os.access(path, os.R_OK | os.X_OK) or (path / CAMPAIGN).is_file():  # whoever reads it is told why it cannot be read
            yield path
        elif depth > 1:
            yield from find_campaigns(path, depth - 1)


def read_stored(directory: Path) -> Stored:
    """Return a campaign.

    Raises
    ------
    InputError
        for one that is being measured, has no result tables, or holds a damaged file.
    """
    head = read_json(inside(directory, directory / CAMPAIGN), Head)
    if head.under_way:
        finished = f"python -m orchestrator resume {shlex.quote(str(directory))}"
        raise InputError(f"{directory} is being measured, or was interrupted: finish it with `{finished}`")
    deadlines = _read(directory, "deadline", DEADLINE).to_pylist()
    quality = _points_of(_read(directory, "tail_quality", QUALITY))
    clocks = dict(zip(quality.column("trial").to_pylist(), quality.column("clock").to_pylist(), strict=True))
    own = {row["trial"]: row for row in deadlines if row["reference"] == "own" and row["clock"] == clocks.get(row["trial"])}
    takes = {one.trial_id: one.certify_rounds for one in head.trials}
    few = frozenset(trial for trial, row in own.items() if row["deadline_ns"] is not None and row["rounds"] < takes.get(trial, 0))
    certified = {trial: None if trial in few else row["deadline_ns"] for trial, row in own.items()}
    return Stored(directory, head, quality, certified, _warmups_of(directory, clocks.keys()), few)


def _read(directory: Path, name: str, columns: Sequence[str]) -> pa.Table:
    path = inside(directory, directory / f"{name}.parquet")
    remedy = f"write it with `python -m orchestrator report {shlex.quote(str(directory))}`"
    form = pa.schema([tables()[name].schema.field(column) for column in columns])
    if not path.is_file():
        if name != "tail_quality":
            return form.empty_table()  # a table without rows is not written
        raise InputError(f"{path} is missing: {remedy}")
    with opened(path, remedy) as file:
        return conform(file.read(columns=[column for column in columns if column in file.schema_arrow.names]), form)


def _points_of(table: pa.Table) -> pa.Table:
    """Return the rows that may be points. The first metric of a trial is its primary one."""
    columns = [table.column(name).to_pylist() for name in ("trial", "metric", "slice", "clock", "threshold_origin", "threshold_ns")]
    metric: dict[str, str] = {}
    open_ones: set[str] = set()
    for trial, of, _, clock, _, _ in zip(*columns, strict=True):
        metric.setdefault(trial, of)
        if clock == OPEN_CLOCK:
            open_ones.add(trial)
    kept = [
        (of, part, clock) == (metric[trial], "all", OPEN_CLOCK if trial in open_ones else PRIMARY_CLOCK) and origin != "own" and ns > 0
        for trial, of, part, clock, origin, ns in zip(*columns, strict=True)
    ]
    return table.filter(pa.array(kept, pa.bool_()))


def _warmups_of(directory: Path, trials: Set[str]) -> frozenset[bytes]:
    files = (trial_folder(directory, trial).warmup for trial in sorted(trials))
    return frozenset(hashlib.sha256(file.read_bytes()).digest() for file in files if file.is_file())


def at_threshold(stored: Stored, thresholds: Mapping[str, int]) -> list[Row]:
    """Return one row per trial at the threshold of its task, in ns; from the times of trials where the table has none."""
    wanted = pa.array(sorted({*thresholds.values()}), pa.int64())
    of_some = stored.quality.filter(pc.is_in(stored.quality.column("threshold_ns"), value_set=wanted))
    rows = {row["trial"]: row for row in of_some.to_pylist() if row["threshold_ns"] == thresholds[row["task"]]}
    lacking = set(pc.unique(stored.quality.column("trial")).to_pylist()) - set(rows)
    if lacking:
        rows |= {row["trial"]: row for row in _measured(stored.directory, thresholds, lacking)}
    return [rows[trial] for trial in sorted(rows)]


def _measured(directory: Path, thresholds: Mapping[str, int], wanted: set[str]) -> Iterator[Row]:
    """Yield the rows of some trials, from their stored times."""
    for data in load_trials(open_campaign(directory)):
        if data.trial_id not in wanted:
            continue
        judged, labels = data.judged(data.metric), data.record.labels()
        threshold_ns = thresholds[labels["task"]]
        gains = judged.curve(data.times[data.clock], [threshold_ns])
        half = _half_width(data, gains)
        mean, scale = float(np.mean(gains)), scale_of(judged)
        low, high = scale.shown_limits(mean - half, mean + half)
        yield {
            **{name: labels[name] for name in NAMES},
            "metric": data.metric,
            "clock": data.clock,
            "threshold_ns": threshold_ns,
            "ideal": ideal_quality(judged),
            "mean": scale.shown(mean),
            "interval_low": low,
            "interval_high": high,
            "rounds": int(gains.shape[1]),
        }


def _half_width(data: TrialData, gains: NDArray[np.float64]) -> float:
    """Return the half-width of the 95 % interval of the mean of rounds to come, from what each round gained, [1, R]."""
    rounds = gains.shape[1]
    if rounds < 2:
        return 0.0
    found = spread(gains, units_of(rounds, data.visits))
    return float(t_quantile((1 + CONFIDENCE) / 2, found.degrees)) * math.sqrt(found.variance[0])
