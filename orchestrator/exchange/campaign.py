"""Recordings become trials of a campaign, written by the writer that measured ones are written by."""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

import orchestrator
from orchestrator.configuration.config import CampaignConfig, Trial, parse_trial
from orchestrator.contracts import InputError
from orchestrator.exchange.moments import moments_of, why_no_schedule
from orchestrator.exchange.notes import is_judged, notes_of
from orchestrator.exchange.recording import BadRecord, Recording
from orchestrator.exchange.rounds import Arrangement, arranged, first_double
from orchestrator.exchange.spool import MISSING, Spool, filled
from orchestrator.exchange.tables import timings_of, write_rounds
from orchestrator.metrics import METRICS, MeanMetric, find_metric
from orchestrator.running.identity import match_key, trial_id
from orchestrator.storage import schema
from orchestrator.storage.records import CampaignRecord, PlannedTrial, Stopping, TrialRecord
from orchestrator.storage.writer import CampaignWriter
from orchestrator.subject.inspection import UNKNOWN
from orchestrator.subject.samples import digest_lines

ON_TIME = "on_time"
"""The score of an answer that nobody has judged: its mean is the share of answers in time."""
NO_QUALITY = "no quality"


@dataclass(frozen=True)
class Names:
    """What the user says of the trials: a task, and model, system and runtime where the files do not say or say otherwise."""

    task: str
    model: str | None = None
    system: str | None = None
    runtime: str | None = None


@dataclass(frozen=True)
class Imported:
    """What became of one recording; ``rows`` are its requests, of which ``aside`` count in no figure."""

    trial_id: str
    rows: int
    aside: int
    rounds: int
    samples: int
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Read:
    """A recording that was read to its end, as numbers on disk."""

    recording: Recording
    spool: Spool
    made: Arrangement
    trial: Trial
    why_closed: str | None
    data_digest: str
    metrics: tuple[str, ...]


def import_recordings(
    recordings: Iterable[Recording],
    form: str,
    files: Sequence[Path],
    names: Names,
    config: CampaignConfig,
    directory: Path,
    command: Sequence[str],
    say: Callable[[str], None],
) -> list[Imported]:
    """Write a campaign of all recordings. Nothing is written before all are read.

    Raises
    ------
    InputError
        for anything that a file should not hold, and for a directory that cannot be a campaign's.
    """
    with TemporaryDirectory(prefix="tail-quality-import-") as folder:
        found: list[_Read] = []
        for number, recording in enumerate(recordings):
            place = Path(folder) / str(number)
            place.mkdir()
            say(f"reading {recording.name}")
            found.append(_read(recording, place, names))
        if not found:
            raise InputError(f"{files[0]} holds nothing to import")
        return _write(found, form, files, config, directory, command, say)


def _read(recording: Recording, folder: Path, names: Names) -> _Read:
    spool = filled(recording, folder)
    if not spool.rows:
        raise BadRecord(f"{recording.place} holds no request: there is nothing to import")
    if not (spool.column("outcome") == schema.OK).any():
        raise BadRecord(f"{recording.place} holds {spool.rows:,} requests, and none was answered: there is no time to import")
    metrics = tuple(sorted(name.removeprefix("score_") for name in spool.present if name.startswith("score_")))
    for metric in metrics:
        if metric in METRICS and not isinstance(find_metric(metric), MeanMetric):
            raise InputError(f"score_{metric}: {metric} is no mean over samples, so that no sample has a score of it; leave the column out")
    why_closed = _why_closed(recording, spool)
    moment = "start_ns" if why_closed is not None else "arrival_ns"
    start = spool.column(moment) if spool.has(moment) else None
    rounds = spool.column("round") if spool.has("round") else None
    samples = spool.column("sample") if spool.has("sample") else None
    made = arranged(rounds, samples, start, spool.rows, bool(metrics) or "reference" in spool.present)
    if (twice := first_double(made)) is not None:
        raise BadRecord(f"{recording.where(twice)}: its round has this sample twice; mend or remove it")
    if made.values is not None or rounds is None:
        _refuse_other_scores(recording, spool, made, metrics)
    digest = _data_digest(spool, made)
    load = None if why_closed is not None else recording.load
    return _Read(recording, spool, made, _trial(recording, names, made, load), why_closed, digest, metrics)


def _why_closed(recording: Recording, spool: Spool) -> str | None:
    """Return why requests have no schedule, empty where the file holds none at all, or None if they have."""
    if recording.load is None or not spool.has("arrival_ns") or (spool.column("arrival_ns") == MISSING).all():
        return ""
    return why_no_schedule(spool)


def _refuse_other_scores(recording: Recording, spool: Spool, made: Arrangement, metrics: Sequence[str]) -> None:
    """Raise BadRecord where a sample has two scores: it has one, whenever it was asked."""
    for metric in metrics:
        scores = spool.column(f"score_{metric}")[made.order]
        other = scores != _first_of_samples(scores, made)[made.samples]
        if other.any():
            row = int(made.order[other].min())
            raise BadRecord(
                f"{recording.where(row)}: score_{metric} is another than before for the same sample; score one answer per sample, or "
                "leave out the columns round and sample, so that each request is a sample of its own"
            )


def _first_of_samples(values: NDArray[Any], made: Arrangement) -> NDArray[Any]:
    """Return the value of the first row of each sample, [S]."""
    first = np.zeros(int(made.samples.max()) + 1, dtype=np.int64)
    first[made.samples[::-1]] = np.arange(made.samples.size)[::-1]
    return values[first]


def _trial(recording: Recording, names: Names, made: Arrangement, load: Mapping[str, Any] | None) -> Trial:
    rounds = int(made.rounds[-1]) + 1
    nothing = {"kind": "imported", "target": "imported:nothing"}
    runtime = names.runtime or "unknown"
    return parse_trial(
        {
            "model": {"name": names.model or _plain(recording.model or "unknown"), "runtimes": [runtime], **nothing},
            "task": {"name": names.task, **nothing},
            "system": {"name": names.system or _plain(recording.name)},
            "runtime": {"name": runtime},
            "measurement": {"rule": "rounds", "min_rounds": rounds, "max_rounds": rounds, "schedule": "sequential", "lead_in": 0},
            "load": load,
        }
    )


def _plain(name: str) -> str:
    """Return a name of a file or model as one of ours."""
    return re.sub(r"\.{2,}", ".", re.sub(r"[^A-Za-z0-9_.+-]+", "_", name)).lstrip("_.+-")[:100] or "unknown"


def _data_digest(spool: Spool, made: Arrangement) -> str:
    """Return the SHA-256 of the samples' names and references, or of their number where they are only places in a round."""
    if made.values is None:
        return digest_lines([f"{int(made.samples.max()) + 1} requests a round"])
    if not spool.names and not spool.details:
        return hashlib.sha256(np.ascontiguousarray(made.values).tobytes()).hexdigest()
    values = made.values.tolist()
    return digest_lines(json.dumps([spool.name_of(value), spool.details.get(value, {}).get("reference")], default=str) for value in values)


def _write(
    found: Sequence[_Read],
    form: str,
    files: Sequence[Path],
    config: CampaignConfig,
    directory: Path,
    command: Sequence[str],
    say: Callable[[str], None],
) -> list[Imported]:
    planned = list(_planned(found))
    tables = [_samples(one) for one in found]
    read = dict.fromkeys([*files, *(path for one in found for path in one.recording.files)])
    record = CampaignRecord(code_version=orchestrator.__version__, name="imported", config=config, trials=tuple(planned))
    about = {
        "command": list(command),
        "format": form,
        "files": [{"name": path.name, "sha256": _file_digest(path)} for path in read if path.is_file()],
    }
    imported = []
    with CampaignWriter.create(directory, record, latest=config.results_dir is None) as writer:
        for one, of_plan, samples in zip(found, planned, tables, strict=True):
            say(f"writing {of_plan.trial_id}")
            imported.append(_write_trial(writer, one, of_plan, samples, about))
    return imported


def _planned(found: Sequence[_Read]) -> Iterator[PlannedTrial]:
    """Yield the trials; those of equal names and data are repeats."""
    seen = Counter[str]()
    for one in found:
        inspection = UNKNOWN.__class__(**{**vars(UNKNOWN), "data_digest": one.data_digest})
        key = match_key(one.trial, inspection)
        trial = one.trial.model_copy(update={"repeat": seen[key]})
        yield PlannedTrial(trial_id=trial_id(key, seen[key]), match_key=key, trial=trial)
        seen[key] += 1


def _write_trial(writer: CampaignWriter, one: _Read, planned: PlannedTrial, samples: pa.Table, about: Mapping[str, Any]) -> Imported:
    spool, made = one.spool, one.made
    of_trial = writer.trial(planned.trial_id)
    scheduled = one.trial.load.is_open
    moments = moments_of(spool, made, scheduled, one_stream=scheduled and one.trial.load.name != "trace")
    notes = notes_of(one.recording, spool, made, moments, one.why_closed)
    began, ended = moments.ends
    record = TrialRecord.from_plan(planned).model_copy(
        update={
            "origin": "imported",
            "state": "running",
            "digests": {"data": one.data_digest},
            "facts": {"imported": {**about, "notes": list(notes), "left_over": int(made.aside.size)}, **one.recording.facts},
            "metrics": one.metrics or (ON_TIME,),
            "ideal": {
                name.removeprefix("score_"): float(samples.column(name).to_numpy().mean())
                for name in samples.column_names
                if "score_" in name
            },
            "stopping": Stopping(rule="rounds", reason="imported"),
            "flags": tuple(filter(None, [made.flag, None if is_judged(spool) else NO_QUALITY])),
            "started_at": began,
            "ended_at": ended,
        }
    )
    writer.set_state(planned.trial_id, "running")
    of_trial.write_samples(samples)
    if made.aside.size:
        of_trial.write_warmup(
            timings_of(spool, made.aside, np.zeros(made.aside.size, np.int32), np.arange(made.aside.size)).to_batches()[0]
        )
    write_rounds(of_trial, spool, made, moments)
    of_trial.finish()
    of_trial.write_record(record)
    writer.set_state(planned.trial_id, "done")
    return Imported(planned.trial_id, spool.rows, made.aside.size, moments.began.size, samples.num_rows, notes)


def _samples(one: _Read) -> pa.Table:
    """Return ``predictions.parquet``: what is known of every sample."""
    spool, made = one.spool, one.made
    number = int(made.samples.max()) + 1
    values = np.arange(number) if made.values is None else made.values
    details = [spool.details.get(value, {}) for value in values.tolist()] if spool.details and _keeps_samples(one) else []
    named = made.values is not None and spool.names
    table = {
        "sample": pa.array(np.arange(number), pa.int32()),
        "name": pa.array([spool.name_of(value) for value in values.tolist()]) if named else pa.array(values).cast(pa.string()),
        "reference": _answers(details, "reference", number),
        "prediction": _answers(details, "prediction", number),
        "input_size": pa.array([int(known.get("input_size") or 0) for known in details] or np.zeros(number, np.int64), pa.int64()),
    }
    for name in sorted(name for name in spool.present if name.startswith("slice_")) if details else ():
        table[name] = pa.array([None if known.get(name) is None else str(known[name]) for known in details], pa.string())
    for metric in one.metrics:
        table[f"score_{metric}"] = pa.array(_first_of_samples(spool.column(f"score_{metric}")[made.order], made))
    if not one.metrics:
        table[f"score_{ON_TIME}"] = pa.array(np.ones(number))
    return pa.table(table)


def _keeps_samples(one: _Read) -> bool:
    """Return whether a sample of the trial is one of the file, or one of its rows."""
    return one.made.values is not None or (one.made.rounds[-1] == 0 and one.made.flag == "one round")


def _answers(details: Sequence[Mapping[str, Any]], name: str, number: int) -> pa.Array:
    values = [known.get(name) for known in details]
    if not any(value is not None for value in values):
        return pa.nulls(number, pa.string())
    try:
        return pa.array(values)
    except (pa.ArrowException, OverflowError, TypeError, ValueError) as error:
        raise InputError(f"{name}: values of different kinds ({' '.join(str(error).split())[:100]}); write all in one way") from error


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
