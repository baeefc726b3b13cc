"""``inspect DIR [TRIAL]``: the latest answers of a trial one by one, or the trials there are."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator.commands.line import COUNT, PLACE, verb
from orchestrator.contracts import InputError
from orchestrator.report.pasted import ORCHESTRATOR

if TYPE_CHECKING:
    from orchestrator.analysis.late_answers import Answer
    from orchestrator.report.table import Table
    from orchestrator.storage.reader import Campaign

TOP = 10
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


@verb("inspect results/latest", "inspect results/latest efficientnet_lite0-imagenet_samples-cpu_1core --top 20")
@click.argument("directory", metavar="DIR", type=PLACE)
@click.argument("trial", metavar="[TRIAL]", required=False)
@click.option("--top", type=COUNT, metavar="N", help=f"how many answers to list, {TOP} if not given")
def command(directory: Path, trial: str | None, top: int | None) -> int:
    """Show the latest answers of a trial, one by one.

    Show a trial's latest answers with their neighbours and what else happened in their rounds; without TRIAL, list the trials.
    """
    from orchestrator.analysis.late_answers import latest_answers
    from orchestrator.commands.status import print_trials
    from orchestrator.report.terminal import Terminal
    from orchestrator.storage.reader import open_campaign

    campaign, folder = open_campaign(directory), shlex.quote(str(directory))
    if trial is None:
        if top is not None:
            raise InputError(f"--top {top}: counts answers of a trial, and none is named; see them with `inspect {folder}`")
        print_trials(campaign)
        Terminal().prose("choose one, by how its id begins or ends:")
        Terminal().line(f"{ORCHESTRATOR} inspect {folder} TRIAL")  # never broken: it is to be pasted
        return 0
    trial_id = find_trial(campaign, trial)
    answers = latest_answers(campaign, trial_id, top or TOP)
    tables = [
        _answers_table(campaign, trial_id, answers),
        _why_table(campaign, trial_id, answers),
        _rounds_table(campaign, trial_id, answers),
    ]
    terminal = Terminal()
    for place, table in enumerate(table for table in tables if table.rows):
        if place:
            terminal.line()
        terminal.table(table)
    return 0


def find_trial(campaign: Campaign, wanted: str) -> str:
    """Return the id of the one trial that begins with these characters, or ends with its hash. Raises InputError if none or several do."""
    from orchestrator.report.trial_names import id_ends

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


def _answers_table(campaign: Campaign, trial_id: str, answers: Sequence[Answer]) -> Table:
    from orchestrator.report.table import Table
    from orchestrator.report.text import milliseconds
    from orchestrator.stats.times import PRIMARY_CLOCK, Clock

    clock = Clock.RESPONSE if campaign.trial(trial_id).trial.load.is_open else PRIMARY_CLOCK
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
    from orchestrator.report.table import Table

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
    from statistics import median

    from orchestrator.report.table import Table

    rounds = campaign.rounds(trial_id)
    shown = [name for name in MEASURES if rounds.column(name).null_count < rounds.num_rows]
    numbers = {answer.round for answer in answers}
    stored = rounds.to_pylist()
    rows = [
        [str(row["round"]), f"{row['started_at']:%Y-%m-%d %H:%M:%S}", *(_measure(name, row[name]) for name in shown)]
        for row in stored
        if row["round"] in numbers
    ]
    known = {name: [row[name] for row in stored if row[name] is not None] for name in shown if name not in NO_MEDIAN}
    medians = [_measure(name, median(known[name])) if name in known else "" for name in shown]
    heads = [MEASURES[name] for name in shown]
    return Table(
        title="Evidence of their rounds",
        columns=["round", "started (UTC)", *heads],
        rows=[*rows, [f"median of {len(stored)}", "", *medians]],
        note="What the operating system and the devices counted over the whole round.",
        right=frozenset(["round", *heads]),
    )


def _measure(name: str, value: float | None) -> str:
    from orchestrator.report.text import memory, milliseconds

    if value is None:
        return "-"
    if name.endswith("_ns"):
        return milliseconds(value) if value else "0 ms"
    if name.endswith("_bytes"):
        return memory(value)
    return f"0x{int(value):x}" if name == "gpu_throttle_reasons" else f"{value:.6g}"
