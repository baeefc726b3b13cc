"""``replay DIR [TRIAL] --rate R``: what tail quality would be if samples arrived by a schedule, from stored closed-loop times."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orchestrator.commands.line import COUNT, PLACE, Number, output_folder, places, verb
from orchestrator.contracts import InputError
from orchestrator.report.text import printable

if TYPE_CHECKING:
    from orchestrator.analysis.groups import Group
    from orchestrator.analysis.replay import Question
    from orchestrator.analysis.trial_data import TrialData
    from orchestrator.stats.thresholds import Threshold

LAWS = ("periodic", "poisson", "gamma", "trace")
POLICIES = ("queue", "newest", "skip_late", "idle")
PER_S = Number(1e-3, 1e6)


def rates_per_s(text: str) -> tuple[float, ...]:
    """Read numbers of samples a second with commas between them."""
    return tuple(sorted({PER_S.convert(one, None, None) for one in text.split(",")}))


def window(text: str) -> tuple[int, int]:
    """Read K late of N answers in a row."""
    found = re.fullmatch(r"([1-9]\d{0,8})/([1-9]\d{0,8})", text, re.ASCII)
    if not found or int(found[1]) > int(found[2]):
        raise click.BadParameter(f"{text[:40]!r}: must be K/N with K at most N, such as 3/30")
    return int(found[1]), int(found[2])


@verb(
    "replay results/latest --rate 10,20 --deadline '50 ms'",
    "replay results/latest TRIAL --rate 30 --late-in 3/30",
)
@places("DIR [TRIAL] [analysis.KEY=...]", most=2)
@click.option(
    "--load",
    "law",
    type=click.Choice(LAWS),
    default="poisson",
    metavar="LAW",
    help="arrivals: poisson (default), periodic, gamma or trace",
)
@click.option("--rate", "rates", type=rates_per_s, metavar="R,R", help="samples a second (default with trace: its own)")
@click.option("--group", type=COUNT, default=1, metavar="N", help="samples that arrive at once, as from N cameras")
@click.option("--burstiness", type=PER_S, metavar="X", help="with gamma: 1 is poisson, below 1 comes in bursts")
@click.option("--trace", type=PLACE, metavar="FILE", help="with trace: recorded arrival times, CSV or JSONL")
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), default=0, metavar="N", help="seed of arrivals and orders (default 0)")
@click.option(
    "--policy",
    type=click.Choice(POLICIES),
    default="queue",
    metavar="RULE",
    help="next sample: queue (default), newest, skip_late or idle",
)
@click.option("--queue-limit", type=COUNT, metavar="N", help="drop an arrival when N are waiting")
@click.option("--deadline", metavar="TIME", help="a time such as '50 ms' (default: the primary threshold)")
@click.option("--fallback", metavar="TRIAL", help="a fast trial that answers where this one is late")
@click.option("--late-in", type=window, metavar="K/N", help="count windows of N answers with at least K late")
@click.option("--error-after", metavar="TIME", help="count spells longer than this without an answer in time")
@click.option("--to", type=PLACE, metavar="FOLDER", help="write into this folder, not into DIR")
def command(
    found: tuple[Path, ...],
    overrides: tuple[str, ...],
    law: Any,
    rates: tuple[float, ...] | None,
    group: int,
    burstiness: float | None,
    trace: Path | None,
    seed: int,
    policy: Any,
    queue_limit: int | None,
    deadline: str | None,
    fallback: str | None,
    late_in: tuple[int, int] | None,
    error_after: str | None,
    to: Path | None,
) -> int:
    """Estimate tail quality under a load from stored times.

    Play stored closed-loop times back as if samples had arrived at a rate. Writes DIR/replay.parquet, and for several
    rates DIR/replay.svg. See docs/load.md.
    """
    from orchestrator.analysis.groups import check_names, grouped
    from orchestrator.analysis.loading import load_trials
    from orchestrator.analysis.replay import Question
    from orchestrator.analysis.replay_streams import Arrivals, Rule, can_play
    from orchestrator.analysis.table import check_intervals
    from orchestrator.analysis.tables.replay import REPLAY
    from orchestrator.commands.reading import find_trial, opened
    from orchestrator.commands.searching import time_of
    from orchestrator.report.replayed import replay_picture, replay_tables
    from orchestrator.report.terminal import Terminal
    from orchestrator.stats import queueing
    from orchestrator.storage.files import write_results
    from orchestrator.storage.schema import LABELS, schema_of
    from orchestrator.storage.stored_form import table_of
    from orchestrator.subject.schedule import read_trace

    if (law == "trace") != (trace is not None):
        raise InputError("--trace FILE and --load trace go together: give both, or neither", "missing", "--trace")
    if rates is None and trace is None:
        raise InputError(
            "replay needs --rate R: how many samples arrive in a second, such as --rate 20 or --rate 10,20,40", "missing", "--rate"
        )
    if burstiness is not None and law != "gamma":
        raise InputError(
            f"--burstiness {burstiness:g}: is of --load gamma; leave it out, or choose that law", "conflict", "--burstiness", burstiness
        )
    directory, *rest = found
    campaign, analysis = opened(directory, overrides)
    folder = output_folder("--to", to, campaign.directory, [campaign.directory])
    wanted = find_trial(campaign, str(rest[0])) if rest else None
    other = None if fallback is None else find_trial(campaign, fallback)
    trials = load_trials(campaign, analysis.metrics)
    check_names(trials, analysis)
    groups = grouped(trials, analysis)
    playable = {data.trial_id: data for data in trials if can_play(data)}
    for one in [*filter(None, [wanted, other]), *(data.trial_id for data in trials[:1] if not playable)]:
        if one not in playable:
            why = "was measured in batches or under load, or has no stored round"
            raise InputError(f"{one}: {why}; replay takes a closed loop with measurement.batch=1", "unsupported", "TRIAL", one)
    if wanted is not None and wanted == other:
        raise InputError(f"fallback {other}: is the trial itself; choose a faster one of {directory}", "conflict", "--fallback", other)
    moments = None
    if trace is not None:
        try:
            moments = queueing.trace(read_trace(trace), group=group)
        except InputError as error:
            raise InputError(f"--trace {trace}: {str(error).removeprefix(f'load.file={trace}: ')}", error.code, "--trace", trace) from error
        rates = rates or (queueing.mean_rate(moments),)
    question = Question(
        Arrivals(law, group, burstiness or 1.0, seed, moments),
        rates or (),
        Rule(policy, queue_limit),
        playable.get(other or ""),
        late_in,
        None if error_after is None else time_of(error_after, "--error-after").ns,
    )
    answers = [(one, rows) for one in groups if (rows := _rows(one, question, deadline, wanted, trials))]
    if not answers:
        what = "a trial with a complete round in a closed loop" + ("" if other is None else f" beside {other}")
        raise InputError(
            f"nothing of {directory} can be replayed at this deadline: it takes {what}; name a --deadline, or measure again", "no_data"
        )
    terminal = Terminal()
    for of_group, rows in answers:
        terminal.tables(replay_tables(of_group, rows))
    every = [row for _, rows in answers for row in rows]
    check_intervals("replay", REPLAY, every)
    picture = replay_picture(answers)
    if picture is None:
        (folder / "replay.svg").unlink(missing_ok=True)  # that of an earlier question
    tables = {"replay": table_of(every, schema_of((*LABELS, *REPLAY)))}
    write_results(folder, tables, {} if picture is None else {"replay.svg": picture})
    terminal.line(printable(f"written: {folder / 'replay.parquet'}" + (f" and {folder / 'replay.svg'}" if picture else "")))
    return 0


def _rows(
    group: "Group", question: "Question", asked: str | None, wanted: str | None, trials: "Sequence[TrialData]"
) -> list[dict[str, Any]]:
    from orchestrator.analysis.replay import replay_rows
    from orchestrator.analysis.replay_streams import can_play

    deadline = _deadline(group, asked)
    if deadline is None:
        return []
    other = question.fallback
    chosen = [data for data in group.trials if wanted in (None, data.trial_id) and can_play(data)]
    if other is not None:
        if other not in group.trials and any(data.trial_id == wanted for data in group.trials):
            raise InputError(
                f"fallback {other.trial_id}: answers other samples than {wanted}; choose one of the same task and data",
                "incomparable",
                "--fallback",
                other.trial_id,
            )
        chosen = [data for data in chosen if data is not other] if other in group.trials else []
    return [dict(row) for data in chosen for row in replay_rows(data, question, deadline, group.flags[data.trial_id], trials)]


def _deadline(group: "Group", asked: str | None) -> "Threshold | None":
    from orchestrator.stats.thresholds import primary_threshold
    from orchestrator.stats.times import PRIMARY_CLOCK

    if asked is None:
        return group.thresholds.primary
    reference = group.thresholds.reference
    chosen = next((data for data in group.trials if reference is not None and data.trial_id == reference.trial), None)
    try:
        return primary_threshold(
            asked, None if chosen is None else chosen.inferences[PRIMARY_CLOCK], None if chosen is None else chosen.trial_id
        )
    except InputError as error:
        raise InputError(str(error).replace("primary threshold", "--deadline", 1)) from error
