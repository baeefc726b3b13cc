"""What a history needs of stored campaigns: their result tables, times where these lack a threshold, and which are copies of others."""

import hashlib
import math
import os
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import AliasPath, BaseModel, ConfigDict, Field

from orchestrator.analysis.loading import copies_among, copies_in_words, load_trials
from orchestrator.analysis.quality import ideal_quality
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
# A campaign that is left out, or of which some trials are, and why, in words.
LeftOut: TypeAlias = tuple[Path, str]
# How far below a folder campaigns are looked for: ``results/<sweep>/<time>``.
DEPTH = 2
NAMES = ("trial", "match_key", "model", "task", "system", "runtime", "batch")
QUALITY = (
    *NAMES, "metric", "slice", "clock", "threshold", "threshold_ns", "threshold_origin", "ideal", "mean", "interval_low", "interval_high",
    "rounds",
)  # fmt: skip
DEADLINE = ("trial", "clock", "reference", "deadline_ns", "rounds")


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
        raise InputError(f"{directory} is being measured, or was interrupted: finish it with `{finished}`", "in_use")
    deadlines = _read(directory, "deadline", DEADLINE).to_pylist()
    quality = _points_of(_read(directory, "tail_quality", QUALITY))
    clocks = dict(zip(quality.column("trial").to_pylist(), quality.column("clock").to_pylist(), strict=True))
    own = {row["trial"]: row for row in deadlines if row["reference"] == "own" and row["clock"] == clocks.get(row["trial"])}
    takes = {one.trial_id: one.certify_rounds for one in head.trials}
    few = frozenset(trial for trial, row in own.items() if row["deadline_ns"] is not None and row["rounds"] < takes.get(trial, 0))
    certified = {trial: None if trial in few else row["deadline_ns"] for trial, row in own.items()}
    files = [trial_folder(directory, trial).warmup for trial in sorted(clocks)]
    warmups = frozenset(hashlib.sha256(file.read_bytes()).digest() for file in files if file.is_file())
    return Stored(directory, head, quality, certified, warmups, few)


def _read(directory: Path, name: str, columns: Sequence[str]) -> pa.Table:
    path = inside(directory, directory / f"{name}.parquet")
    remedy = f"write it with `python -m orchestrator report {shlex.quote(str(directory))}`"
    form = pa.schema([tables()[name].schema.field(column) for column in columns])
    if not path.is_file():
        if name != "tail_quality":
            return form.empty_table()  # a table without rows is not written
        raise InputError(f"{path} is missing: {remedy}", "not_found", value=path)
    with opened(path, remedy) as file:
        return conform(file.read(columns=[column for column in columns if column in file.schema_arrow.names]), form)


def _points_of(table: pa.Table) -> pa.Table:
    """Return the rows that may be points. The first metric of a trial is its primary one."""
    rows = table.select(["trial", "metric", "slice", "clock", "threshold_origin", "threshold_ns"]).to_pylist()
    metric = {row["trial"]: row["metric"] for row in reversed(rows)}
    clock = {row["trial"]: row["clock"] for row in rows if row["clock"] == Clock.RESPONSE}
    kept = [
        (row["metric"], row["slice"], row["clock"]) == (metric[row["trial"]], "all", clock.get(row["trial"], PRIMARY_CLOCK))
        and row["threshold_origin"] != "own"
        and row["threshold_ns"] > 0
        for row in rows
    ]
    return table.filter(pa.array(kept, pa.bool_()))


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
    for data in load_trials(open_campaign(directory)):
        if data.trial_id not in wanted:
            continue
        judged, labels = data.judged(data.metric), data.record.labels()
        threshold_ns = thresholds[labels["task"]]
        gains = judged.curve(data.times[data.clock], [threshold_ns])
        mean, half = float(np.mean(gains)), 0.0
        if (rounds := gains.shape[1]) > 1:
            found = spread(gains, units_of(rounds, data.visits))
            half = float(t_quantile((1 + CONFIDENCE) / 2, found.degrees)) * math.sqrt(found.variance[0])
        low, high = judged.shown_limits(mean - half, mean + half)
        yield {
            **{name: labels[name] for name in NAMES},
            "metric": data.metric,
            "clock": data.clock,
            "threshold_ns": threshold_ns,
            "ideal": ideal_quality(judged),
            "mean": judged.shown(mean),
            "interval_low": low,
            "interval_high": high,
            "rounds": rounds,
        }


def without_copies(stored: Sequence[Stored]) -> tuple[list[Stored], list[LeftOut]]:
    """Return campaigns without trials that are copies of others, as `copies_among` tells them, and these and what cannot be read.

    Times are read of those campaigns alone that may be copies: which were begun at the same microsecond under the same name as another one,
    or have a trial whose warm-up took, to the nanosecond, as long as another one's. It stays as it is when a trial is extended.
    """
    marks = {id(one): {(one.head.created_at, one.head.name), *one.warmups} for one in stored}
    seen = Counter(mark for of_one in marks.values() for mark in of_one)
    suspects: list[Stored] = []
    trials: list[list[TrialData]] = []
    damaged: list[LeftOut] = []
    for one in stored:
        if any(seen[mark] > 1 for mark in marks[id(one)]):
            try:
                trials.append(load_trials(open_campaign(one.directory)))
                suspects.append(one)
            except InputError as error:  # nobody can say whether it is a copy
                damaged.append((one.directory, str(error)))
    left_out, said = {directory for directory, _ in damaged}, []
    cleaned = {one.directory: one for one in stored if one.directory not in left_out}
    names = [str(one.directory) for one in suspects]
    every = copies_among(trials)
    for place, one in enumerate(suspects):
        copies = [copy for copy in every if copy.campaign == place]
        copied = pc.is_in(one.quality.column("trial"), value_set=pa.array([copy.trial_id for copy in copies], pa.string()))
        cleaned[one.directory] = replace(one, quality=one.quality.filter(pc.invert(copied)))
        said += [(one.directory, words) for words in copies_in_words(copies, names)]
    return [one for one in cleaned.values() if one.quality.num_rows], [*damaged, *said]
