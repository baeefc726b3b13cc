"""Trials that were measured once and are read twice: a copied campaign, or one that went on after it was copied."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from orchestrator.analysis.trial_data import TrialData


@dataclass(frozen=True)
class Copy:
    """A trial whose every round is one of another trial of the same match key; the places are those of their campaigns."""

    campaign: int
    trial_id: str
    of_campaign: int
    of_trial_id: str


def copies_among(campaigns: Sequence[Sequence[TrialData]]) -> list[Copy]:
    """Return the trials that show nothing that another one does not, of all campaigns together.

    One is a copy of another where the times of all its rounds are the other's first ones, sample by sample: two processes never take
    the same nanoseconds throughout. So one that was copied and then extended is found, too, and the longer one is kept; of equal ones
    the first. Trials without any answer are told apart by nothing, so that all of them count.

    Parameters
    ----------
    campaigns
        the trials with rounds of each campaign.
    """
    placed = [(place, data) for place, trials in enumerate(campaigns) for data in trials if np.isfinite(data.times[data.clock]).any()]
    placed.sort(key=lambda one: -len(one[1].times[one[1].clock]))
    kept: dict[tuple[str, bytes], list[tuple[int, TrialData]]] = {}
    found = []
    for place, data in placed:
        begins = kept.setdefault((data.record.match_key, data.times[data.clock][0].tobytes()), [])
        whole = next((one for one in begins if _begins_with(one[1], data)), None)
        if whole is None:
            begins.append((place, data))
        else:
            found.append(Copy(place, data.trial_id, whole[0], whole[1].trial_id))
    return found


def _begins_with(longer: TrialData, shorter: TrialData) -> bool:
    rounds = len(shorter.times[shorter.clock])
    return shorter.times.keys() == longer.times.keys() and all(
        np.array_equal(times, longer.times[clock][:rounds]) for clock, times in shorter.times.items()
    )


def copies_in_words(copies: Sequence[Copy], names: Sequence[str] | None = None) -> Iterator[str]:
    """Yield one sentence per pair of campaigns that share what was measured.

    ``names`` are those of all campaigns; without them they are counted from 1, in the order given.
    """
    ordered = sorted(copies, key=_places)
    trials_of = Counter(map(_places, ordered))
    for places, of_pair in groupby(ordered, key=_places):
        first, number = next(of_pair), trials_of[places]
        campaign, original = (f"campaign {place + 1}" if names is None else names[place] for place in places)
        if number == 1:
            where = "" if campaign == original else f" of {original}"
            yield f"{first.trial_id} of {campaign} has the times of {first.of_trial_id}{where}: it is a copy and counts once"
        else:
            where = "others of it" if campaign == original else f"trials of {original}"
            yield f"{number} trials of {campaign} have the times of {where}: they are copies and count once"


def _places(copy: Copy) -> tuple[int, int]:
    return copy.campaign, copy.of_campaign
