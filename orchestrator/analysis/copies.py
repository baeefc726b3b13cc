"""Trials that were measured once and are read twice: of a copied campaign, extended or not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from orchestrator.analysis.trial_data import TrialData


@dataclass(frozen=True)
class Copy:
    """A trial whose every round is one of another, with the places of their campaigns."""

    campaign: int
    trial_id: str
    of_campaign: int
    of_trial_id: str


def copies_among(campaigns: Sequence[Sequence[TrialData]]) -> list[Copy]:
    """Return the trials that show nothing that another does not, of the trials of each campaign.

    The times of all rounds of a copy are the other's first ones: two processes never take the same
    nanoseconds throughout. So one that was copied and then extended is found, too, and the longer
    one is kept; of equal ones the first. Trials without any answer all count.
    """
    placed = [
        (place, data)
        for place, trials in enumerate(campaigns)
        for data in trials
        if np.isfinite(data.times[data.clock]).any()
    ]
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
        np.array_equal(times, longer.times[clock][:rounds])
        for clock, times in shorter.times.items()
    )


def copies_in_words(copies: Sequence[Copy], names: Sequence[str] | None = None) -> Iterator[str]:
    """Yield one sentence per pair of campaigns that share what was measured.

    ``names`` are those of all campaigns; without them they are counted from 1, in the order given.
    """
    by_pair: dict[tuple[int, int], list[Copy]] = {}
    for copy in copies:
        by_pair.setdefault((copy.campaign, copy.of_campaign), []).append(copy)
    for places, of_pair in sorted(by_pair.items()):
        campaign, original = (
            f"campaign {place + 1}" if names is None else names[place] for place in places
        )
        where = "" if campaign == original else f" of {original}"
        if len(of_pair) == 1:
            times = f"{of_pair[0].trial_id} of {campaign} has the times of {of_pair[0].of_trial_id}"
            yield f"{times}{where}: it is a copy and counts once"
        else:
            others = f"trials{where}" if where else "others of it"
            yield (
                f"{len(of_pair)} trials of {campaign} have the times of {others}: they are copies "
                "and count once"
            )
