"""``explain DIR [TRIAL]``: what slow rounds and late answers go with, from the stored files alone."""

import shlex
from pathlib import Path

from orchestrator.commands.line import places, verb
from orchestrator.contracts import InputError


@verb("explain results/latest", "explain results/latest efficientnet_lite0-imagenet_samples-cpu_1core analysis.primary=p99")
@places("DIR [TRIAL] [analysis.KEY=VALUE...]", most=2)
def command(found: tuple[Path, ...], overrides: tuple[str, ...]) -> int:
    """Explain why rounds are slow and answers late.

    Show which evidence moves with late answers, and how many are explained by their sample, by their round, or by neither.
    Without TRIAL, show all trials.
    """
    from orchestrator.analysis.campaign_analysis import CampaignAnalysis
    from orchestrator.analysis.groups import check_names, grouped
    from orchestrator.analysis.loading import load_trials
    from orchestrator.analysis.table import Context, tables
    from orchestrator.commands.reading import find_trial, opened
    from orchestrator.report.explained import sentences
    from orchestrator.report.result_tables import shown, shown_in
    from orchestrator.report.terminal import Terminal
    from orchestrator.storage.stored_form import table_of

    directory, *rest = found
    campaign, analysis = opened(directory, overrides)
    wanted = find_trial(campaign, str(rest[0])) if rest else None
    trials = load_trials(campaign, analysis.metrics)
    check_names(trials, analysis)
    groups, declared = grouped(trials, analysis), tables()["explain"]
    context = Context(analysis, campaign.record, (), groups)
    rows = [
        row for group in groups for data in group.trials if wanted in (None, data.trial_id) for row in declared.rows(context, group, data)
    ]
    stored = {"explain": table_of(rows, declared.schema)}
    results = CampaignAnalysis(campaign.record, (), analysis, groups, stored)
    terminal = Terminal()
    if wanted is not None:
        if not rows:
            raise InputError(f"{wanted} has no stored round with a time and evidence: choose another trial", "no_data", "TRIAL", wanted)
        clock = next(group.clock for group in groups if wanted in group.flags)
        for sentence in sentences(rows, clock):
            terminal.prose(sentence)
        terminal.line()
        for table in shown(results, "evidence"):
            terminal.table(table)
        return 0
    terminal.tables(shown_in(results, "Slow rounds"))
    folder = shlex.quote(str(directory))
    if trials and all(data.record.imported for data in trials):
        terminal.prose(f"the trials of {directory} are imported, and their files hold no evidence that could explain slow rounds")
    elif not rows:
        terminal.prose(f"no trial of {directory} has a stored round with a time: `status {folder}` says how far each is")
    else:
        terminal.line(f"one trial in detail: python -m orchestrator explain {folder} TRIAL")
    return 0
