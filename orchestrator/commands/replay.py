"""``replay``: rows of stored trials under arrivals, printed, and written as Parquet and SVG."""

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.campaign_analysis import Row
from orchestrator.analysis.groups import Group, check_names, grouped
from orchestrator.analysis.loading import load_trials
from orchestrator.analysis.replay import Question, replay_rows
from orchestrator.analysis.replay_streams import Arrivals, Law, Moments, Rule, can_play
from orchestrator.analysis.table import check_intervals
from orchestrator.analysis.tables.replay import REPLAY
from orchestrator.analysis.trial_data import TrialData
from orchestrator.commands.asked import Replaying
from orchestrator.commands.inspect import find_trial
from orchestrator.configuration.composition import override_analysis
from orchestrator.contracts import InputError
from orchestrator.report.replayed import replay_picture, replay_tables
from orchestrator.report.terminal import Terminal
from orchestrator.report.text import printable
from orchestrator.stats import queueing
from orchestrator.stats.queueing import Policy
from orchestrator.stats.thresholds import Threshold, primary_threshold
from orchestrator.stats.times import PRIMARY_CLOCK
from orchestrator.storage.columns import LABELS, schema_of
from orchestrator.storage.files import make_output_folder, write_results
from orchestrator.storage.layout import refuse_campaign_folder
from orchestrator.storage.reader import open_campaign
from orchestrator.storage.stored_form import table_of
from orchestrator.subject.schedule import read_trace


def replay(options: Replaying) -> None:
    """Replay a campaign's trials, or one. Raises InputError for what cannot be replayed."""
    campaign = open_campaign(options.directory)
    folder = campaign.directory
    if options.to is not None:
        refuse_campaign_folder(options.to, "--to", [campaign.directory])
        folder = make_output_folder(options.to, "--to")
    analysis = override_analysis(campaign.record.config.analysis, options.overrides)
    wanted = None if options.trial is None else find_trial(campaign, options.trial)
    other = None if options.fallback is None else find_trial(campaign, options.fallback)
    trials = load_trials(campaign, analysis.metrics)
    check_names(trials, analysis)
    groups = grouped(trials, analysis)
    _refuse_unplayable(trials, wanted, other, options.directory)
    law, rates = _law(options)
    question = Question(
        law,
        rates,
        Rule(cast(Policy, options.policy), options.queue_limit),
        next((data for data in trials if data.trial_id == other), None),
        options.late_in,
        None if options.error_after is None else _time(options.error_after),
    )
    answers = [(group, _rows(group, question, options.deadline, wanted, trials)) for group in groups]
    answers = [(group, rows) for group, rows in answers if rows]
    if not answers:
        raise InputError(_nothing_answered(groups, options, question.fallback))
    terminal = Terminal()
    for group, rows in answers:
        for table in replay_tables(group, rows):
            terminal.table(table)
            terminal.line()
    check_intervals("replay", REPLAY, [row for _, rows in answers for row in rows])
    picture = replay_picture(answers)
    table = table_of([row for _, rows in answers for row in rows], schema_of((*LABELS, *REPLAY)))
    if picture is None:
        (folder / "replay.svg").unlink(missing_ok=True)  # that of an earlier question
    write_results(folder, {"replay": table}, {} if picture is None else {"replay.svg": picture})
    terminal.line(printable(f"written: {folder / 'replay.parquet'}" + (f" and {folder / 'replay.svg'}" if picture else "")))


def _nothing_answered(groups: Sequence[Group], options: Replaying, other: TrialData | None) -> str:
    """Return why nothing was replayed, and what to do about it."""
    if other is not None:
        beside = [data for group in groups if other in group.trials for data in group.trials if data is not other and can_play(data)]
        if not beside:
            return (
                f"fallback {other.trial_id}: is the only closed-loop trial of its task and data in {options.directory}, so that nothing is "
                "left to replay beside it; leave --fallback out, or measure another model"
            )
    if options.deadline is not None:
        return f"no trial of {options.directory} has a complete round with an answer that could be right: measure again"
    return f"no trial of {options.directory} has a complete round that can be replayed at this deadline: name a --deadline"


def _rows(group: Group, question: Question, asked: str | None, wanted: str | None, trials: Sequence[TrialData]) -> list[Row]:
    deadline = _deadline(group, asked)
    if deadline is None:
        return []
    other = question.fallback
    chosen = [data for data in group.trials if wanted in (None, data.trial_id) and can_play(data)]
    if other is not None:
        if other not in group.trials and any(data.trial_id == wanted for data in group.trials):
            raise InputError(f"fallback {other.trial_id}: answers other samples than {wanted}; choose one of the same task and data")
        chosen = [data for data in chosen if data is not other] if other in group.trials else []
    return [dict(row) for data in chosen for row in replay_rows(data, question, deadline, group.flags[data.trial_id], trials)]


def _deadline(group: Group, asked: str | None) -> Threshold | None:
    if asked is None:
        return group.thresholds.primary
    reference = group.thresholds.reference
    chosen = next((data for data in group.trials if reference is not None and data.trial_id == reference.trial), None)
    times = None if chosen is None else chosen.inferences[PRIMARY_CLOCK]
    return _threshold("--deadline", asked, times, None if chosen is None else chosen.trial_id)


def _threshold(option: str, text: str, times: NDArray[np.float64] | None = None, trial_id: str | None = None) -> Threshold | None:
    """Return a threshold as an option gives it. Raises InputError that names the option."""
    try:
        return primary_threshold(text, times, trial_id)
    except InputError as error:
        raise InputError(str(error).replace("primary threshold", option, 1)) from error


def _time(text: str) -> int:
    found = _threshold("--error-after", text)
    if found is None:
        raise InputError(f"--error-after {text[:40]}: must be a time, such as '500 ms'")
    return found.ns


def _refuse_unplayable(trials: Sequence[TrialData], wanted: str | None, other: str | None, directory: Path) -> None:
    known = {data.trial_id: data for data in trials}
    for trial_id in (wanted, other):
        if trial_id is None:
            continue
        if trial_id not in known:
            raise InputError(f"{trial_id} has no stored round: choose another trial")
        _refuse_other_loops(known[trial_id])
    if trials and not any(map(can_play, trials)):
        _refuse_other_loops(trials[0])
    if wanted is not None and wanted == other:
        raise InputError(f"fallback {other}: is the trial itself; choose a faster one of {directory}")


def _refuse_other_loops(data: TrialData) -> None:
    if not can_play(data):
        raise InputError(f"{data.trial_id}: was measured in batches or under load; replay takes a closed loop with measurement.batch=1")


def _law(options: Replaying) -> tuple[Arrivals, Sequence[float]]:
    """Return the law of arrivals and the rates in samples a second. Raises InputError for a trace that cannot be read."""
    trace: Moments | None = None
    rates = options.rates_per_s
    if options.trace is not None:
        try:
            trace = queueing.trace(read_trace(options.trace), group=options.group)
        except InputError as error:
            raise InputError(f"--trace {options.trace}: {str(error).removeprefix(f'load.file={options.trace}: ')}") from error
        rates = rates or (queueing.mean_rate(trace),)
    return Arrivals(cast(Law, options.law), options.group, options.burstiness, options.seed, trace), rates
