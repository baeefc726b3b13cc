"""Campaigns of a history that were measured once and are stored twice."""

from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from orchestrator.analysis.loading import copies_among, copies_in_words, load_trials
from orchestrator.analysis.trial_data import TrialData
from orchestrator.contracts import InputError
from orchestrator.history.stored import Stored
from orchestrator.storage.reader import open_campaign

LeftOut: TypeAlias = tuple[Path, str]
"""A campaign that is left out, or of which some trials are, and why, in words."""


def without_copies(stored: Sequence[Stored]) -> tuple[list[Stored], list[LeftOut]]:
    """Return campaigns without trials that are copies of others, as `copies_among` tells them, and these and what cannot be read.

    Times are read of those campaigns alone that may be copies: which were begun at the same microsecond under the same name as another one,
    or have a trial whose warm-up took, to the nanosecond, as long as another one's. It stays as it is when a trial is extended.
    """
    seen = Counter(mark for one in stored for mark in _marks(one))
    trials = {id(one): _trials(one) for one in stored if any(seen[mark] > 1 for mark in _marks(one))}
    damaged = {id(one): (one.directory, str(why)) for one in stored if isinstance(why := trials.get(id(one)), InputError)}
    suspects = [one for one in stored if id(one) in trials and id(one) not in damaged]
    copies = copies_among([found for found in trials.values() if not isinstance(found, InputError)])
    again = [{copy.trial_id for copy in copies if copy.campaign == place} for place in range(len(suspects))]
    cleaned = {id(one): _without(one, copied) for one, copied in zip(suspects, again, strict=True)}
    kept = [cleaned.get(id(one), one) for one in stored if id(one) not in damaged]
    names = [str(one.directory) for one in suspects]
    of_campaign = groupby(sorted(copies, key=lambda copy: copy.campaign), key=lambda copy: copy.campaign)
    said = [(suspects[place].directory, words) for place, of_one in of_campaign for words in copies_in_words(list(of_one), names)]
    return [one for one in kept if one.quality.num_rows], [*damaged.values(), *said]


def _marks(stored: Stored) -> Iterator[Hashable]:
    yield stored.created_at, stored.head.name
    yield from stored.warmups


def _trials(stored: Stored) -> list[TrialData] | InputError:
    """Return the trials of a campaign, or why they cannot be read, so that nobody can say whether they are copies."""
    try:
        return load_trials(open_campaign(stored.directory))
    except InputError as error:
        return error


def _without(stored: Stored, trials: set[str]) -> Stored:
    if not trials:
        return stored
    copied = pc.is_in(stored.quality.column("trial"), value_set=pa.array(sorted(trials)))
    return replace(stored, quality=stored.quality.filter(pc.invert(copied)))
