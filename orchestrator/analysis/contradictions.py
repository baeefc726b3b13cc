"""Stored values that deny each other: a figure is said only where all files of a trial agree on what it is made of. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from orchestrator.analysis.quality import JudgedMean, JudgedSignedMean, ideal_quality
from orchestrator.contracts import InputError
from orchestrator.metrics import Judged
from orchestrator.storage.load import MEASURE_AGAIN
from orchestrator.storage.records import TrialRecord

OTHERWISE = "judged otherwise than when measured"
"""Flag: another version of this program measured it, whose metrics gave these answers other scores."""
ROUNDING = 1e-9


def refuse_other_means(record: TrialRecord, scores: Mapping[str, NDArray[np.float64]]) -> None:
    """Raise InputError where the stored scores of a metric, [S], have another mean than the record's ideal."""
    for metric, ideal in record.ideal.items():
        if metric in scores and not _alike(mean := float(np.mean(scores[metric])), ideal):
            raise InputError(
                f"trials/{record.trial_id}: trial.json has ideal {metric}={ideal:.9g}, and the mean of score_{metric} in "
                f"predictions.parquet is {mean:.9g}: one must be the other; {MEASURE_AGAIN}"
            )


def why_otherwise(metric: str, judged: Judged, record: TrialRecord, scores: Mapping[str, NDArray[np.float64]]) -> str | None:
    """Return what the stored answers give by a metric, and what is stored beside them, if that is another; else None."""
    ideal, known = ideal_quality(judged), record.ideal.get(metric)
    if known is not None and not _alike(ideal, known):
        return f"the answers in predictions.parquet give {metric}={ideal:.9g}, and trial.json has ideal {metric}={known:.9g}"
    stored = scores.get(metric)
    if stored is None or not isinstance(judged, JudgedMean | JudgedSignedMean):
        return None
    other = ~_alike(judged.raw, stored)
    if not other.any():
        return None
    row = int(np.argmax(other))
    return f"predictions.parquet has score_{metric}={stored[row]:.9g} at sample {row}, whose answer gives {judged.raw[row]:.9g}"


def refuse_other_data(trials: Iterable[tuple[TrialRecord, Sequence[Any]]]) -> None:
    """Raise InputError where repeats of one trial, with the references of each, say that they measured different data.

    Where a user has accepted changes they may, and the tables keep them apart.
    """
    firsts: dict[str, tuple[TrialRecord, Sequence[Any]]] = {}
    for record, references in trials:
        first, expected = firsts.setdefault(record.match_key, (record, references))
        if record is first or record.changes or first.changes:
            continue
        both = [str(one.digests.get("data")) for one in (first, record)]
        if both[0] != both[1]:
            what = f"digests.data={both[1]:.12} in trial.json, and {first.trial_id} has {both[0]:.12}"
        elif len(references) != len(expected) or references != expected:
            pairs = enumerate(zip(references, expected, strict=False))
            at = next((number for number, (one, other) in pairs if one != other), min(len(references), len(expected)))
            found, other = (str(of[at])[:40] if at < len(of) else "no sample" for of in (references, expected))
            what = f"reference {found} at sample {at} in predictions.parquet, and {first.trial_id} has {other}"
        else:
            continue
        raise InputError(f"trials/{record.trial_id} has {what}: repeats of one trial have the same data; {MEASURE_AGAIN}")


def _alike(found: ArrayLike, stored: ArrayLike) -> NDArray[np.bool_]:
    """Return where figures are those that are stored, but for rounding."""
    return np.asarray(np.abs(np.subtract(found, stored)) <= ROUNDING * np.maximum(1.0, np.abs(stored)))
