"""Recordings become trials of a campaign, written by the writer that measured ones are written by."""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

import orchestrator
from orchestrator.configuration.config import CampaignConfig, parse_trial
from orchestrator.contracts import InputError, Task
from orchestrator.exchange.formats import GAPS, Recording
from orchestrator.exchange.long_form import long_form
from orchestrator.exchange.rounds import MISSING, Arrangement, Numbers, Timeline, arranged, moments, timeline, why_no_schedule
from orchestrator.metrics import METRICS, ON_TIME, Answers, MeanMetric, find_metric
from orchestrator.report.html import said
from orchestrator.running.identity import match_key, trial_id
from orchestrator.storage import schema
from orchestrator.storage.records import CampaignRecord, PlannedTrial, Stopping, TrialRecord
from orchestrator.storage.writer import CampaignWriter
from orchestrator.subject.digests import digest_files
from orchestrator.subject.inspection import UNKNOWN
from orchestrator.subject.samples import digest_lines

# Columns, by their beginnings, of which a sample's first row counts.
OF_SAMPLE = ("reference", "prediction", "input_size", "slice_")
# Rows that are put together at once: those of whole rounds, and of one round at least.
PART_ROWS = 2**20


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
    """A recording and its rows in long form.

    why_closed
        why there is no schedule, empty where the file holds none at all; None where there is one.
    metrics, is_judged
        those that the file has scores of; whether there are any, or answers with references.
    samples, data_digest
        ``predictions.parquet``, and what tells these samples from others.
    """

    recording: Recording
    rows: pa.Table
    made: Arrangement
    why_closed: str | None
    metrics: tuple[str, ...]
    is_judged: bool
    samples: pa.Table
    data_digest: str


def import_recordings(
    recordings: Iterable[Recording],
    form: str,
    files: Sequence[Path],
    names: Mapping[str, str],
    config: CampaignConfig,
    directory: Path,
    command: Sequence[str],
    say: Callable[[str], None],
) -> list[Imported]:
    """Write a campaign of all recordings. Nothing is written before all are read.

    ``names`` are those of the task and, where the files do not say or say otherwise, of model, system and runtime.

    Raises
    ------
    InputError
        for anything that a file should not hold, and for a directory that cannot be a campaign's.
    """
    found = []
    for recording in recordings:
        say(f"reading {recording.name}")
        found.append(_read(recording))
    planned = list(_planned(found, names))
    record = CampaignRecord(code_version=orchestrator.__version__, name="imported", config=config, trials=tuple(planned))
    read = [path for path in dict.fromkeys([*files, *(path for one in found for path in one.recording.files)]) if path.is_file()]
    about = {
        "command": list(command),
        "format": form,
        "files": [{"name": path.name, "sha256": digest} for path, digest in zip(read, digest_files(read), strict=True)],
    }
    imported = []
    with CampaignWriter.create(directory, record, latest=config.results_dir is None) as writer:
        for one, of_plan in zip(found, planned, strict=True):
            say(f"writing {of_plan.trial_id}")
            imported.append(_write_trial(writer, one, of_plan, about))
    return imported


def graded(recordings: Iterable[Recording], task: Task) -> Iterator[Recording]:
    """Yield recordings with the scores of their answers, by a task that has their prompts. Raises InputError where it has not."""
    samples = {task.decode(sample.read()).strip(): sample for sample in task.samples()}
    metrics = [metric for metric in map(find_metric, task.metrics) if isinstance(metric, MeanMetric)]
    for one in recordings:
        asked = [samples[prompt.strip()] for prompt, _ in one.texts if prompt is not None and prompt.strip() in samples]
        if len(asked) < (rows := one.table.num_rows):
            raise InputError(
                f"{one.path}: {rows - len(asked):,} of {rows:,} requests have a prompt that the task does not have, or none in the file; "
                "name the task that was asked, with its keys, or leave out --grade",
                "incomparable",
                "--grade",
                rows - len(asked),
            )
        said = [None if text is None else getattr(task, "answer", str)(text) for _, text in one.texts]
        slices = {name: [sample.slices.get(name) for sample in asked] for name in asked[0].slices}
        answers = Answers(said, [sample.reference for sample in asked], slices)
        columns = {"reference": answers.references, "prediction": said, **{f"slice_{name}": groups for name, groups in slices.items()}}
        table = one.table
        for name, values in {**columns, **{f"score_{metric.name}": metric.score(answers) for metric in metrics}}.items():
            table = table.append_column(name, pa.array(values))
        yield replace(one, table=table)


def _read(recording: Recording) -> _Read:
    rows = long_form(recording)
    metrics = tuple(sorted(name.removeprefix("score_") for name in rows.column_names if name.startswith("score_")))
    for metric in metrics:
        if metric in METRICS and not isinstance(find_metric(metric), MeanMetric):
            raise InputError(
                f"score_{metric}: {metric} is no mean over samples, so that no sample has a score of it; leave the column out",
                "unsupported",
                f"score_{metric}",
            )
    why_closed: str | None = ""
    if recording.load is not None and (moments(rows, "arrival_ns") != MISSING).any():
        why_closed = why_no_schedule(rows)
    start = moments(rows, "start_ns" if why_closed is not None else "arrival_ns")
    rounds = rows.column("round").to_numpy() if "round" in rows.column_names else None
    samples = None
    if "sample" in rows.column_names:
        column = rows.column("sample").combine_chunks()
        samples = (column.indices if pa.types.is_dictionary(column.type) else column).to_numpy()
    is_judged = bool(metrics) or "reference" in rows.column_names
    made = arranged(rounds, samples, start, rows.num_rows, is_judged)
    again = (np.diff(made.rounds) == 0) & (np.diff(made.samples) == 0)
    if again.any():
        twice = int(made.order[1:][again].min())
        raise InputError(f"{recording.where(twice)}: its round has this sample twice; mend or remove it", "conflict", "sample")
    first = np.full(int(made.samples.max()) + 1, rows.num_rows)
    np.minimum.at(first, made.samples, made.order)
    for metric in metrics if made.values is not None or rounds is None else ():
        scores = rows.column(f"score_{metric}").to_numpy()
        other = scores[made.order] != scores[first][made.samples]
        if other.any():
            raise InputError(
                f"{recording.where(int(made.order[other].min()))}: score_{metric} is another than before for the same sample; score one "
                "answer per sample, or leave out the columns round and sample, so that each request is a sample of its own",
                "conflict",
                f"score_{metric}",
            )
    samples_known, digest = _samples(rows, made, first, metrics)
    return _Read(
        replace(recording, table=recording.table.schema.empty_table()), rows, made, why_closed, metrics, is_judged, samples_known, digest
    )


def _planned(found: Sequence[_Read], names: Mapping[str, str]) -> Iterator[PlannedTrial]:
    """Yield the trials; those of equal names and data are repeats."""
    seen = Counter[str]()
    nothing = {"kind": "imported", "target": "imported:nothing"}
    runtime = names.get("runtime", "unknown")
    for one in found:
        rounds = int(one.made.rounds[-1]) + 1
        trial = parse_trial(
            {
                "model": {"name": names.get("model") or _plain(one.recording.model or "unknown"), "runtimes": [runtime], **nothing},
                "task": {"name": names["task"], **nothing},
                "system": {"name": names.get("system") or _plain(one.recording.name)},
                "runtime": {"name": runtime},
                "measurement": {"rule": "rounds", "min_rounds": rounds, "max_rounds": rounds, "schedule": "sequential", "lead_in": 0},
                "load": None if one.why_closed is not None else one.recording.load,
            }
        )
        key = match_key(trial, replace(UNKNOWN, data_digest=one.data_digest))
        yield PlannedTrial(trial_id=trial_id(key, seen[key]), match_key=key, trial=trial.model_copy(update={"repeat": seen[key]}))
        seen[key] += 1


def _plain(name: str) -> str:
    """Return a name of a file or model as one of ours."""
    return re.sub(r"\.{2,}", ".", re.sub(r"[^A-Za-z0-9_.+-]+", "_", name)).lstrip("_.+-")[:100] or "unknown"


def _samples(rows: pa.Table, made: Arrangement, first: Numbers, metrics: Sequence[str]) -> tuple[pa.Table, str]:
    """Return ``predictions.parquet``, and the SHA-256 of the samples' names and references.

    ``first`` is the row that says what is known of each sample, [S]. Where samples are only places in a round, their number has a digest.
    """
    has_samples = made.values is not None or (made.rounds[-1] == 0 and made.flag == "one round")
    names = pa.array(np.arange(first.size))
    if made.values is not None:
        names = rows.column("sample").take(first).combine_chunks()
        names = names.cast(names.type.value_type) if pa.types.is_dictionary(names.type) else names

    def of_samples(name: str) -> list[Any]:
        if name not in rows.column_names or not has_samples:
            return [None] * first.size
        return list(rows.column(name).take(first).to_pylist())

    table = {"sample": pa.array(np.arange(first.size), pa.int32()), "name": names.cast(pa.string())}
    for name in ("reference", "prediction"):
        answers = of_samples(name)
        table[name] = pa.array(answers, None if any(answer is not None for answer in answers) else pa.string())
    table["input_size"] = pa.array([size or 0 for size in of_samples("input_size")], pa.int64())
    for name in sorted(name for name in rows.column_names if name.startswith("slice_") and has_samples):
        table[name] = pa.array([None if value is None else str(value) for value in of_samples(name)], pa.string())
    for metric in metrics:
        table[f"score_{metric}"] = rows.column(f"score_{metric}").take(first)
    if not metrics:
        table[f"score_{ON_TIME}"] = pa.array(np.ones(first.size))
    if made.values is None:
        digest = digest_lines([f"{first.size} requests a round"])
    elif pa.types.is_integer(names.type) and not any(name.startswith(OF_SAMPLE) for name in rows.column_names):
        digest = hashlib.sha256(names.to_numpy().tobytes()).hexdigest()
    else:
        pairs = zip(names.to_pylist(), of_samples("reference"), strict=True)
        digest = digest_lines(json.dumps([str(name), reference], default=str) for name, reference in pairs)
    return pa.table(table), digest


def _write_trial(writer: CampaignWriter, one: _Read, planned: PlannedTrial, about: Mapping[str, Any]) -> Imported:
    rows, made, samples = one.rows, one.made, one.samples
    scheduled = planned.trial.load.is_open
    times = timeline(rows, made, scheduled, one_stream=scheduled and planned.trial.load.name != "trace")
    notes = _notes(one, times)
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
            "flags": tuple(filter(None, [made.flag, None if one.is_judged else "no quality"])),
            "started_at": times.began,
            "ended_at": times.ended,
        }
    )
    of_trial = writer.trial(planned.trial_id)
    writer.set_state(planned.trial_id, "running")
    of_trial.write_samples(samples)
    if made.aside.size:
        warmup = _timings(rows.take(made.aside), made.aside * 0, np.arange(made.aside.size))
        of_trial.write_warmup(warmup.combine_chunks().to_batches()[0])
    first, bounds = 0, times.first_row
    while first < times.rounds.num_rows:
        last = max(first + 1, int(np.searchsorted(bounds, bounds[first] + PART_ROWS, side="right")) - 1)
        part = slice(int(bounds[first]), int(bounds[last]))
        timings = _timings(rows.take(made.order[part]), made.rounds[part], made.samples[part])
        for name in times.requests.column_names:
            timings = timings.append_column(name, times.requests.column(name)[part])
        of_trial.append(timings, times.rounds[first:last])
        of_trial.flush()
        first = last
    of_trial.finish()
    of_trial.write_record(record)
    writer.set_state(planned.trial_id, "done")
    return Imported(planned.trial_id, rows.num_rows, made.aside.size, times.rounds.num_rows, samples.num_rows, notes)


def _timings(rows: pa.Table, rounds: Numbers, samples: Numbers) -> pa.Table:
    """Return rows, each of a round and a sample, as columns of ``schema.TIMINGS``."""
    codes = rows.column("outcome").combine_chunks()
    no_time = pa.array(np.zeros(rows.num_rows, np.int64), mask=codes.to_numpy() != schema.OK)
    stages = {name: rows.column(name) if name in rows.column_names else no_time for name in schema.STAGES}
    return pa.table(
        {
            "round": rounds.astype(np.int32),
            "sample": samples.astype(np.int32),
            "outcome": pa.DictionaryArray.from_arrays(codes, pa.array(schema.OUTCOMES)),
            "start_gap_ns": pa.nulls(rows.num_rows, pa.int64()),
            **stages,
            **{name: rows.column(name) for name in schema.ANSWER if name in rows.column_names},
        }
    )


def _notes(one: _Read, times: Timeline) -> tuple[str, ...]:
    """Return what a reader must know of an imported trial: how its rounds came about, and on what its clocks rest."""
    columns = one.rows.column_names
    ok = one.rows.column("outcome").to_numpy() == schema.OK
    first, tokens = (
        one.rows.column(name).is_valid().to_numpy() if name in columns else np.zeros(ok.size, dtype=bool)
        for name in ("first_token_ns", "tokens")
    )
    lacking = {"first_token": ok & ~first, "tokens": ok & first & ~tokens & tokens.any()}
    notes = said(
        "orchestrator.exchange",
        "notes",
        made=one.made,
        requests=ok.size,
        times=times,
        visits=1 + (pc.max(times.rounds.column("visit")).as_py() or 0),
        has_moments="start_ns" in columns and one.rows.column("start_ns").null_count < ok.size,
        is_staged="preprocess_ns" in columns or "postprocess_ns" in columns,
        why_closed=one.why_closed,
        first=first.any(),
        tokens=tokens.any(),
        tells_last=any(name.startswith(("last_token_", GAPS)) for name in one.recording.table.column_names),
        lacking={
            what: f"{np.count_nonzero(rows):,} of {np.count_nonzero(ok):,}, {one.recording.where(int(np.argmax(rows)))}"
            if rows.any()
            else ""
            for what, rows in lacking.items()
        },
        is_judged=one.is_judged,
    )
    return (*one.recording.remarks, *filter(None, notes.splitlines()))
