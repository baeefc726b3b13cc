"""The trials of a campaign and how far they are, and the latest answers of one of them with their neighbours and what else happened."""

import shlex
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from orchestrator.analysis.late_answers import Answer, latest_answers
from orchestrator.contracts import InputError
from orchestrator.report.pasted import ORCHESTRATOR
from orchestrator.report.table import Table
from orchestrator.report.terminal import Terminal, fits
from orchestrator.report.text import memory, milliseconds, trials_counted
from orchestrator.report.trial_names import id_ends, said_once, with_names
from orchestrator.stats.times import PRIMARY_CLOCK, Clock
from orchestrator.storage.reader import Campaign, open_campaign
from orchestrator.storage.records import TrialRecord
from orchestrator.storage.schema import UNFINISHED

MEASURES = {
    "duration_ns": "duration",
    "process": "process",
    "voluntary_switches": "voluntary switches",
    "involuntary_switches": "involuntary switches",
    "minor_faults": "minor faults",
    "major_faults": "major faults",
    "cpu_time_ns": "CPU time",
    "steal_ns": "steal",
    "foreign_cpu_ns": "foreign CPU",
    "program_cpu_ns": "our other CPU",
    "throttled_periods": "throttled periods",
    "throttled_ns": "throttled",
    "run_delay_ns": "waited for a core",
    "cpu_pressure_ns": "CPU pressure",
    "interrupts": "interrupts",
    "frequency_mhz": "frequency MHz",
    "load_1m": "load",
    "resident_peak_bytes": "memory",
    "gpu_clock_mhz": "GPU clock MHz",
    "gpu_temperature_c": "GPU temperature °C",
    "gpu_power_w": "GPU power W",
    "gpu_throttle_reasons": "GPU throttle reasons",
    "gpu_foreign_processes": "other processes on the GPU",
    "gpu_memory_bytes": "GPU memory",
    "gpu_allocated_peak_bytes": "GPU tensors",
}
"""Evidence that is shown, and its heading."""
NO_MEDIAN = ("process", "gpu_throttle_reasons")


def show_answers(directory: Path, trial: str | None, top: int) -> None:
    """Print the latest answers of one trial, or the trials where none is named."""
    campaign = open_campaign(directory)
    if trial is None:
        print_trials(campaign)
        Terminal().prose("choose one, by how its id begins or ends:")
        Terminal().line(f"python -m orchestrator inspect {shlex.quote(str(directory))} TRIAL")  # never broken: it is to be pasted
        return
    trial_id = find_trial(campaign, trial)
    answers = latest_answers(campaign, trial_id, top)
    clock = Clock.RESPONSE if campaign.trial(trial_id).trial.load.is_open else PRIMARY_CLOCK
    why, rounds = _why_table(campaign, trial_id, answers), _rounds_table(campaign, trial_id, answers)  # both may refuse what is stored
    terminal = Terminal()
    terminal.table(_answers_table(trial_id, answers, clock))
    terminal.line()
    if why.rows:
        terminal.table(why)
        terminal.line()
    terminal.table(rounds)


def find_trial(campaign: Campaign, wanted: str) -> str:
    """Return the id of the one trial that begins with these characters, or ends with its hash. Raises InputError if none or several do."""
    ids = [planned.trial_id for planned in campaign.record.trials]
    if wanted in ids:
        return wanted
    by_end = dict(zip(id_ends(ids), ids, strict=True))
    if wanted in by_end:
        return by_end[wanted]
    found = [trial_id for trial_id in ids if trial_id.startswith(wanted)]
    if len(found) > 1:
        some = ", ".join(found[:3]) + (", ..." if len(found) > 3 else "")
        raise InputError(f"trial {wanted!r} begins {len(found)} trials ({some}): write enough of one to tell it from the others")
    return found[0] if found else campaign.record.planned(wanted).trial_id


def _answers_table(trial_id: str, answers: Sequence[Answer], clock: Clock) -> Table:
    heads = ["round", clock, "preprocess", "inference", "postprocess", "before", "after"]
    return Table(
        title=f"Latest answers of {trial_id}",
        columns=["sample", "outcome", *heads],
        rows=[
            [
                _names(answer),
                answer.outcome,
                str(answer.round),
                *map(milliseconds, (answer.total_ns, answer.preprocess_ns, answer.inference_ns, answer.postprocess_ns)),
                *map(milliseconds, (answer.before_ns, answer.after_ns)),
            ]
            for answer in answers
        ],
        note=f"Answers without a time come first, then by {clock} time. before, after: the {clock} times of the inferences before and "
        "after it in that round.",
        right=frozenset(heads),
    )


def _why_table(campaign: Campaign, trial_id: str, answers: Sequence[Answer]) -> Table:
    """Return what is known of the answers that have no time: the message of each, as far as it was kept."""
    names = campaign.samples(trial_id).column("name").to_pylist()
    errors = {(error.round, names[error.sample]): error.message for error in campaign.trial(trial_id).errors if error.sample is not None}
    without_time = [answer for answer in answers if answer.total_ns is None]
    found = [(answer, errors[answer.round, answer.names[0]]) for answer in without_time if (answer.round, answer.names[0]) in errors]
    return Table(
        title="Why answers have no time",
        columns=["sample", "round", "why"],
        rows=[[_names(answer), str(answer.round), message] for answer, message in found],
        right=frozenset(["round"]),
    )


def _names(answer: Answer) -> str:
    more = f" and {len(answer.names) - 1} more of its batch" if len(answer.names) > 1 else ""
    return answer.names[0] + more


def _rounds_table(campaign: Campaign, trial_id: str, answers: Sequence[Answer]) -> Table:
    rounds = campaign.rounds(trial_id)
    shown = [name for name in MEASURES if rounds.column(name).null_count < rounds.num_rows]
    numbers = {answer.round for answer in answers}
    stored = rounds.to_pylist()
    rows = [
        [str(row["round"]), f"{row['started_at']:%Y-%m-%d %H:%M:%S}", *(_measure(name, row[name]) for name in shown)]
        for row in stored
        if row["round"] in numbers
    ]
    medians = ["" if name in NO_MEDIAN else _measure(name, _median(row[name] for row in stored)) for name in shown]
    heads = [MEASURES[name] for name in shown]
    return Table(
        title="Evidence of their rounds",
        columns=["round", "started (UTC)", *heads],
        rows=[*rows, [f"median of {len(stored)}", "", *medians]],
        note="What the operating system and the devices counted over the whole round.",
        right=frozenset(["round", *heads]),
    )


def _median(values: Iterable[Any]) -> float | None:
    known = sorted(value for value in values if value is not None)
    middle = len(known) // 2
    return None if not known else known[middle] if len(known) % 2 else (known[middle - 1] + known[middle]) / 2


def _measure(name: str, value: float | None) -> str:
    if value is None:
        return "-"
    if name.endswith("_ns"):
        return milliseconds(value) if value else "0 ms"
    if name.endswith("_bytes"):
        return memory(value)
    return f"0x{int(value):x}" if name == "gpu_throttle_reasons" else f"{value:.6g}"


def show_status(directory: Path) -> None:
    """Print one line per trial."""
    print_trials(open_campaign(directory))


def print_trials(campaign: Campaign) -> None:
    """Print a line per trial, why trials ended, below where that does not fit, and how many there are of each state."""
    records = campaign.trials()
    terminal = Terminal()
    table = _trials_table(campaign, records)
    named = with_names(table, records, terminal.width)
    if fits(named, terminal.width):
        terminal.table(named)
    else:
        without = replace(table, columns=table.columns[:-1], rows=[row[:-1] for row in table.rows])
        terminal.table(with_names(without, records, terminal.width))
        for whom, (state, why) in said_once(records, {record.trial_id: _why(record) for record in records}):
            terminal.prose(f"{state}: {whom}: {why}")
    counts = Counter(record.state for record in records)
    terminal.line(f"{trials_counted(len(records))}: {', '.join(f'{count} {state}' for state, count in counts.items())}")
    if any(state in UNFINISHED for state in counts):
        terminal.prose("Not finished. If no run of it is under way, go on with:")
        terminal.line(f"{ORCHESTRATOR} resume {shlex.quote(str(campaign.directory))}")


def _why(record: TrialRecord) -> list[tuple[str, str]]:
    """Return the state of a trial with why it ended, nothing where no reason is known."""
    why = (record.stopping.reason if record.stopping else None) or record.reason
    return [(record.state, why)] if why else []


def _trials_table(campaign: Campaign, records: list[TrialRecord]) -> Table:
    return Table(
        title=f"Campaign {campaign.record.name}",
        columns=["trial", "state", "rounds", "faults", "host", "why"],
        rows=[
            [
                record.trial_id,
                record.state,
                str(campaign.rounds(record.trial_id).num_rows) if record.started_at else "0",
                str(len(record.faults)),
                str(record.placement.get("host", "")),
                *(why for _, why in _why(record) or [("", "")]),
            ]
            for record in records
        ],
        right=frozenset(["rounds", "faults"]),
    )
