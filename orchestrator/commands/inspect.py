"""``inspect DIR [TRIAL]``: the latest answers of a trial one by one, or the trials there are."""

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator.commands.line import COUNT, PLACE, verb
from orchestrator.contracts import InputError
from orchestrator.report.pasted import ORCHESTRATOR
from orchestrator.report.text import memory, milliseconds

if TYPE_CHECKING:
    from orchestrator.analysis.late_answers import Answer
    from orchestrator.report.table import Table
    from orchestrator.storage.reader import Campaign

TOP = 10
# Evidence that is shown, and its heading
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
NO_MEDIAN = ("process", "gpu_throttle_reasons")


@verb("inspect results/latest", "inspect results/latest efficientnet_lite0-imagenet_samples-cpu_1core --top 20")
@click.argument("directory", metavar="DIR", type=PLACE)
@click.argument("trial", metavar="[TRIAL]", required=False)
@click.option("--top", type=COUNT, metavar="N", help=f"how many answers to list (default {TOP})")
def command(directory: Path, trial: str | None, top: int | None) -> int:
    """Show the latest answers of a trial, one by one.

    Show them with the answers before and after, and what else happened in their rounds. Without TRIAL, list the trials.
    """
    from orchestrator.analysis.late_answers import latest_answers
    from orchestrator.commands.reading import find_trial
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
    terminal = Terminal()
    for place, table in enumerate(
        filter(lambda table: table.rows, tables_of(campaign, trial_id, latest_answers(campaign, trial_id, top or TOP)))
    ):
        if place:
            terminal.line()
        terminal.table(table)
    return 0


def tables_of(campaign: "Campaign", trial_id: str, answers: "Sequence[Answer]") -> "Iterator[Table]":
    """Yield the answers, why some have no time, as far as that was kept, and the evidence of their rounds."""
    from statistics import median

    from orchestrator.report.table import Table
    from orchestrator.stats.times import PRIMARY_CLOCK, Clock

    trial = campaign.trial(trial_id)
    clock = Clock.RESPONSE if trial.trial.load.is_open else PRIMARY_CLOCK
    heads = ["round", clock, "preprocess", "inference", "postprocess", "before", "after"]
    whose = {
        answer: answer.names[0] + (f" and {len(answer.names) - 1} more of its batch" if len(answer.names) > 1 else "") for answer in answers
    }
    yield Table(
        title=f"Latest answers of {trial_id}",
        columns=["sample", "outcome", *heads],
        rows=[
            [
                whose[answer],
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

    names = campaign.samples(trial_id).column("name").to_pylist()
    errors = {(error.round, names[error.sample]): error.message for error in trial.errors if error.sample is not None}
    without_time = [(answer, errors.get((answer.round, answer.names[0]))) for answer in answers if answer.total_ns is None]
    yield Table(
        title="Why answers have no time",
        columns=["sample", "round", "why"],
        rows=[[whose[answer], str(answer.round), message] for answer, message in without_time if message is not None],
        right=frozenset(["round"]),
    )

    rounds = campaign.rounds(trial_id)
    shown = [name for name in MEASURES if rounds.column(name).null_count < rounds.num_rows]
    heads, numbers = [MEASURES[name] for name in shown], {answer.round for answer in answers}
    stored = rounds.to_pylist()
    known = {name: [row[name] for row in stored if row[name] is not None] for name in shown if name not in NO_MEDIAN}
    yield Table(
        title="Evidence of their rounds",
        columns=["round", "started (UTC)", *heads],
        rows=[
            *(
                [str(row["round"]), f"{row['started_at']:%Y-%m-%d %H:%M:%S}", *(_measure(name, row[name]) for name in shown)]
                for row in stored
                if row["round"] in numbers
            ),
            [f"median of {len(stored)}", "", *(_measure(name, median(known[name])) if name in known else "" for name in shown)],
        ],
        note="What the operating system and the devices counted over the whole round.",
        right=frozenset(["round", *heads]),
    )


def _measure(name: str, value: float | None) -> str:
    if value is None:
        return "-"
    if name.endswith("_ns"):
        return milliseconds(value) if value else "0 ms"
    if name.endswith("_bytes"):
        return memory(value)
    return f"0x{int(value):x}" if name == "gpu_throttle_reasons" else f"{value:.6g}"
