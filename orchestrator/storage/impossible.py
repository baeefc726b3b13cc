"""Stamps that no clock can have given: rounds of one process that overlap, and samples that start before the one before has ended."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from orchestrator.contracts import InputError
from orchestrator.storage import schema
from orchestrator.storage.layout import TrialFolder
from orchestrator.storage.load import MEASURE_AGAIN
from orchestrator.storage.stored_form import outcome_codes


def refuse_overlapping_rounds(folder: TrialFolder, rounds: pa.Table) -> None:
    """Raise InputError if a round of a process begins before the one before has ended, or took less than no time.

    ``rounds`` are those of a trial that was measured here, ascending. A process runs one round after another, also where several of its
    requests are on their way at once; rounds of one stream follow each other without a gap.
    """
    durations_ns = rounds.column("duration_ns").to_numpy()
    if len(negative := np.flatnonzero(durations_ns < 0)):
        row = int(negative[0])
        raise _wrong(folder, "rounds", rounds, row, f"has duration_ns {durations_ns[row]}, and a duration is not negative")
    starts_ns, process = (rounds.column(name).to_numpy() for name in ("started_monotonic_ns", "process"))
    order = np.argsort(process, kind="stable")
    before, after = order[:-1], order[1:]
    early = (process[before] == process[after]) & (starts_ns[after] - starts_ns[before] < durations_ns[before])
    if early.any():
        place = int(np.argmax(early))
        row, earlier = int(after[place]), int(before[place])
        raise _wrong(
            folder,
            "rounds",
            rounds,
            row,
            f"has started_monotonic_ns {starts_ns[row]}, and round {rounds.column('round')[earlier].as_py()} of the same process, which "
            f"began at {starts_ns[earlier]}, took {durations_ns[earlier]} ns: a process begins a round when the one before has ended",
        )


def refuse_negative_gaps(folder: TrialFolder, timings: pa.Table) -> None:
    """Raise InputError if a sample starts before the one before has ended; where samples overlap on purpose, gaps are null."""
    gaps_ns = timings.column("start_gap_ns")
    least = pc.min(gaps_ns).as_py()
    if least is None or least >= 0:
        return
    row = int(np.argmax(pc.less(gaps_ns, 0).fill_null(False).to_numpy()))
    sample = timings.column("sample")[row].as_py()
    complaint = f"has start_gap_ns {gaps_ns[row].as_py()} at sample {sample}, and a gap is not negative"
    raise _wrong(folder, "timings", timings, row, complaint)


def refuse_gaps_beside_arrivals(folder: TrialFolder, timings: pa.Table) -> None:
    """Raise InputError if samples of a stream overlap, or if a gap is not what lies between the sample before and this one.

    Under load a sample starts `queue_ns` after its arrival, so that starts are known beside times and gaps, which must agree to the
    nanosecond. After samples that the model raised on, whose ends are not stored, a gap may be shorter. ``timings`` are those of a closed
    loop, which do not tell starts, or of streams with one sample or batch on its way at once.
    """
    served = timings.column("queue_ns").is_valid()
    if not pc.any(served).as_py():
        return
    rows = np.flatnonzero(served.to_numpy())
    of_served = timings.select(["round", "arrival_ns", "queue_ns", "start_gap_ns", *schema.STAGES]).take(pa.array(rows))
    number = of_served.column("round").to_numpy()
    starts_ns, *stages_ns = (_whole(of_served, name) for name in ("arrival_ns", *schema.STAGES))
    starts_ns = starts_ns + _whole(of_served, "queue_ns")
    ends_ns = starts_ns + sum(stages_ns)
    order = np.lexsort((starts_ns, number))
    before, after = order[:-1], order[1:]
    follows = number[before] == number[after]
    follows &= (starts_ns[before] != starts_ns[after]) | (ends_ns[before] != ends_ns[after])  # samples of one batch share their times
    between_ns = starts_ns[after] - ends_ns[before]
    gaps_ns = _whole(of_served, "start_gap_ns")[after]
    told = of_served.column("start_gap_ns").is_valid().to_numpy()[after]
    raised = np.isin(outcome_codes(timings), [schema.OUTCOMES.index(name) for name in ("error", "timeout")])
    unknown = np.isin(number[after], np.unique(timings.column("round").to_numpy()[raised]))
    wrong = follows & ((between_ns < 0) | (told & ((gaps_ns > between_ns) | ((gaps_ns < between_ns) & ~unknown))))
    if wrong.any():
        place = int(np.argmax(wrong))
        sample = timings.column("sample")[int(rows[after[place]])].as_py()
        given = f"start_gap_ns {gaps_ns[place]} " if told[place] else ""
        complaint = f"has {given}at sample {sample}, and by arrivals and times {between_ns[place]} ns lie between it and the one before"
        raise _wrong(folder, "timings", timings, int(rows[after[place]]), complaint)


def _whole(table: pa.Table, name: str) -> NDArray[np.int64]:
    return np.asarray(table.column(name).fill_null(0).to_numpy())


def _wrong(folder: TrialFolder, name: str, table: pa.Table, row: int, complaint: str) -> InputError:
    return InputError(f"{folder.twin(name)}: round {table.column('round')[row].as_py()} {complaint}: {MEASURE_AGAIN}")
