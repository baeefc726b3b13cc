"""Find what somebody or something has taken away: no death of a driver leaves a trial's parts as these checks refuse them.

A driver writes a part of timings, then its twin of rounds, then the next part, and counts parts and rounds from 0 without a gap. What a
death may leave is the newest part of timings alone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

from orchestrator.contracts import InputError
from orchestrator.storage.layout import TrialFolder, part_name, parts
from orchestrator.storage.load import MEASURE_AGAIN


def refuse_gap(folder: Path, numbers: Collection[int]) -> None:
    """Raise InputError where parts are counted past one that is not there."""
    gap = _first_missing(numbers)
    if gap is not None:
        raise _lost(folder / part_name(gap), "later parts are there")


def refuse_unpaired(folder: TrialFolder) -> None:
    """Raise InputError for parts that lack their twin, but for a newest part of timings. Only where no driver writes meanwhile."""
    timed, told = (parts(folder.twin(name)) for name in ("timings", "rounds"))
    refuse_gap(folder.twin("timings"), timed)
    refuse_gap(folder.twin("rounds"), told)
    if lost := told.keys() - timed.keys():
        raise _lost(folder.twin("timings") / part_name(min(lost)), "rounds/ has its twin")
    refuse_many_alone(folder, timed, told)


def refuse_many_alone(folder: TrialFolder, timed: Iterable[int], told: Iterable[int]) -> None:
    """Raise InputError where more than one part of timings has no twin."""
    alone = set(timed) - set(told)
    if len(alone) > 1:
        raise _lost(folder.twin("rounds") / part_name(min(alone)), "timings/ has its twin and later parts")


def refuse_lost_rounds(folder: TrialFolder, timed: Collection[int], told: Collection[int], least: int) -> None:
    """Raise InputError where rounds lack their timings, where numbers of rounds have a gap, or where fewer than ``least`` are there."""
    if set(told) - set(timed):
        raise _lost(_unpaired(folder, "timings", "rounds"), "rounds/ tells of rounds that timings/ lacks")
    if (gap := _first_missing(told)) is not None:
        raise _lost(_unpaired(folder, "rounds", "timings"), f"later rounds than {gap} are there and it is not")
    if len(set(told)) < least:
        told_by = f"{folder.record.name} tells of {least} rounds and {len(set(told))} are there"
        raise _lost(_unpaired(folder, "rounds", "timings"), told_by)


def _first_missing(numbers: Collection[int]) -> int | None:
    """Return the first number that is not there of those below the highest, or None. A stranger's highest may be any."""
    expected = 0
    for number in sorted(set(numbers)):
        if number > expected:
            return expected
        expected = number + 1
    return None


def _unpaired(folder: TrialFolder, name: str, other: str) -> Path:
    """Return the first part of ``name`` whose twin alone is there, or else the folder."""
    lost = parts(folder.twin(other)).keys() - parts(folder.twin(name)).keys()
    return folder.twin(name) / part_name(min(lost)) if lost else folder.twin(name)


def _lost(path: Path, because: str) -> InputError:
    what = "is missing" if path.suffix else "lacks a part"
    return InputError(f"{path} {what} ({because}): {MEASURE_AGAIN}")
