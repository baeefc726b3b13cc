"""What ``status`` and ``inspect`` print of a campaign: its trials, the slowest answers of one, and the evidence of their rounds."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from statistics import median

from orchestrator.analysis.late_answers import Answer
from orchestrator.commands.progress import left_in_words, time_left_of
from orchestrator.compare.sides import going_on
from orchestrator.report.table import Table
from orchestrator.report.terminal import Terminal, fits
from orchestrator.report.text import memory, milliseconds, trials_counted
from orchestrator.report.trial_names import said_once, with_names
from orchestrator.stats.times import PRIMARY_CLOCK, Clock
from orchestrator.storage.reader import Campaign
from orchestrator.storage.schema import UNFINISHED

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
    "neighbour_cpu_ns": "neighbour CPU",
    "throttled_periods": "throttled periods",
    "throttled_ns": "throttled",
    "run_delay_ns": "waited for a core",
    "cpu_pressure_ns": "CPU pressure",
    "interrupts": "interrupts",
    "package_energy_uj": "package energy uJ",
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


def print_trials(campaign: Campaign) -> None:
    """Print a line per trial, why trials ended, below where that does not fit, and how many there are of each state."""
    records, terminal = campaign.trials(), Terminal()
    rounds = {record.trial_id: campaign.rounds(record.trial_id) for record in records if record.started_at}
    why = {record.trial_id: (record.stopping.reason if record.stopping else None) or record.reason for record in records}
    columns = ["trial", "state", "rounds", "faults", "host", "why"]
    rows = [
        [
            record.trial_id,
            record.state,
            str(rounds[record.trial_id].num_rows if record.trial_id in rounds else 0),
            str(len(record.faults)),
            str(record.placement.get("host", "")),
            why[record.trial_id] or "",
        ]
        for record in records
    ]
    table = Table(title=f"Campaign {campaign.record.name}", columns=columns, rows=rows, right=frozenset(["rounds", "faults"]))
    named = with_names(table, records, terminal.width)
    if fits(named, terminal.width):
        terminal.table(named)
    else:
        without = replace(table, columns=columns[:-1], rows=[row[:-1] for row in rows])
        terminal.table(with_names(without, records, terminal.width))
        ended = {record.trial_id: [(record.state, why[record.trial_id])] if why[record.trial_id] else [] for record in records}
        for whom, (state, reason) in said_once(records, ended):
            terminal.prose(f"{state}: {whom}: {reason}")
    counts = Counter(record.state for record in records)
    terminal.line(f"{trials_counted(len(records))}: {', '.join(f'{count} {state}' for state, count in counts.items())}")
    if any(state in UNFINISHED for state in counts):
        if left := left_in_words(time_left_of(records, rounds)):
            terminal.prose(f"At the pace of its rounds so far: {left}.")
        terminal.prose("Not finished. If no run of it is under way, go on with:")
        terminal.line(going_on(campaign))


def tables_of(campaign: Campaign, trial_id: str, answers: Sequence[Answer]) -> Iterator[Table]:
    """Yield the answers, why some have no time, as far as that was kept, and the evidence of their rounds."""
    trial = campaign.trial(trial_id)
    clock = Clock.RESPONSE if trial.trial.load.is_open else PRIMARY_CLOCK
    heads = ["round", clock, "preprocess", "inference", "postprocess", "before", "after"]
    whose = {
        answer: answer.names[0] + (f" and {len(answer.names) - 1} more of its batch" if len(answer.names) > 1 else "") for answer in answers
    }
    yield Table(
        title=f"Slowest answers of {trial_id}",
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
