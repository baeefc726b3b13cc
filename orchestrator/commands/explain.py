"""What slow rounds go with, on stdout, from the stored files alone."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from orchestrator.analysis.campaign_analysis import Row
from orchestrator.analysis.groups import Group, check_names, grouped
from orchestrator.analysis.loading import load_trials
from orchestrator.analysis.tables.explain import explain
from orchestrator.commands.inspect import find_trial
from orchestrator.configuration.composition import override_analysis
from orchestrator.contracts import InputError
from orchestrator.report.explained import evidence_table, sentences, slow_rounds_table
from orchestrator.report.terminal import Terminal
from orchestrator.storage.reader import open_campaign


def show_causes(directory: Path, trial: str | None, overrides: Sequence[str] = ()) -> None:
    """Print what the late answers of one trial go with, or one row per trial where none is named.

    Raises
    ------
    InputError
        for an unknown trial, and one without a stored round.
    """
    campaign = open_campaign(directory)
    analysis = override_analysis(campaign.record.config.analysis, overrides)
    wanted = None if trial is None else find_trial(campaign, trial)
    trials = load_trials(campaign, analysis.metrics)
    check_names(trials, analysis)
    groups = grouped(trials, analysis)
    if wanted is not None:
        _show_one(groups, wanted)
        return
    terminal = Terminal()
    found = [(group, [row for data in group.trials for row in _rows(group, data.trial_id)]) for group in groups]
    for group, rows in found:
        if rows:
            terminal.table(slow_rounds_table(group, rows))
            terminal.line()
    if trials and all(data.record.imported for data in trials):
        terminal.prose(f"the trials of {directory} are imported, and their files hold no evidence of what slow rounds go with")
        return
    if not any(rows for _, rows in found):
        terminal.prose(
            f"no trial of {directory} has a stored round with a time: `status {shlex.quote(str(directory))}` says how far each is"
        )
        return
    terminal.line(f"one trial in detail: python -m orchestrator explain {shlex.quote(str(directory))} TRIAL")


def _show_one(groups: Sequence[Group], trial_id: str) -> None:
    group = next((group for group in groups if trial_id in group.flags), None)
    rows = [] if group is None else _rows(group, trial_id)
    if group is None or not rows:
        raise InputError(f"{trial_id} has no stored round with a time and evidence: choose another trial")
    terminal = Terminal()
    for sentence in sentences(rows, group.clock):
        terminal.prose(sentence)
    terminal.line()
    terminal.table(evidence_table(trial_id, rows))


def _rows(group: Group, trial_id: str) -> list[Row]:
    data = next(data for data in group.trials if data.trial_id == trial_id)
    return list(explain(None, group, data))
