"""What the verbs that read stored campaigns share: opening one, finding a trial of it, writing its report and printing the answer."""

import os
import shlex
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from orchestrator.analysis.campaign_analysis import CampaignAnalysis, SeveralCampaigns, analyse, analyse_several, short, stored_tables
from orchestrator.analysis.ranking import Ranking, rankings, unsearched
from orchestrator.configuration.analysis import AnalysisConfig
from orchestrator.configuration.composition import code_folders, override_analysis
from orchestrator.contracts import InputError
from orchestrator.report.chart_files import PLAIN_LOOK, Look, drawing_meanwhile, write_figures
from orchestrator.report.findings import Finding, text_lines
from orchestrator.report.findings.campaign import RESUME, findings
from orchestrator.report.html.page import report_texts
from orchestrator.report.markdown import folds
from orchestrator.report.pasted import ORCHESTRATOR
from orchestrator.report.record_tables import fault_tables
from orchestrator.report.result_tables import answers, problem_tables, shown
from orchestrator.report.table import Table
from orchestrator.report.terminal import Terminal
from orchestrator.report.trial_names import id_ends
from orchestrator.running.signals import heed_signals
from orchestrator.storage.files import Held, make_output_folder, write_results
from orchestrator.storage.layout import inside, refuse_campaign_folder
from orchestrator.storage.reader import Campaign, open_campaign
from orchestrator.storage.records import utc_now
from orchestrator.subject.targets import add_code_folders


def opened(directory: Path, overrides: Sequence[str]) -> tuple[Campaign, AnalysisConfig]:
    """Return a stored campaign, and its settings of analysis with overrides."""
    campaign = open_campaign(directory)
    return campaign, override_analysis(campaign.record.config.analysis, overrides)


def find_trial(campaign: Campaign, wanted: str) -> str:
    """Return the id of the one trial that begins with these characters, or ends with its hash. Raises InputError if none or several do."""
    ids = [planned.trial_id for planned in campaign.record.trials]
    whole = dict(zip([*id_ends(ids), *ids], [*ids, *ids], strict=True))
    if wanted in whole:
        return whole[wanted]
    found = [trial_id for trial_id in ids if trial_id.startswith(wanted)]
    if len(found) > 1:
        some = ", ".join(found[:3]) + (", ..." if len(found) > 3 else "")
        raise InputError(
            f"trial {wanted!r} begins {len(found)} trials ({some}): write enough of one to tell it from the others",
            "conflict",
            "TRIAL",
            wanted,
        )
    return found[0] if found else campaign.record.planned(wanted).trial_id


def overridden(stored: AnalysisConfig, overrides: Sequence[str]) -> AnalysisConfig:
    """Return settings of analysis with overrides; ``code=[DIR]`` is searched for metrics, and a campaign's own folders are not."""
    folders, others = code_folders(overrides)
    add_code_folders(folders)
    return override_analysis(stored, others)


def refuse_twice(directories: Sequence[Path]) -> None:
    """Raise InputError if a directory is named twice, by whatever path."""
    seen: dict[Path, Path] = {}
    for directory in directories:
        if (before := seen.setdefault(Path(os.path.realpath(directory)), directory)) is not directory:
            raise InputError(f"{before} and {directory} are one campaign: name each campaign once", "conflict", value=directory)


def write_report(
    directory: Path,
    analysis: AnalysisConfig,
    full: bool = False,
    formats: Sequence[str] = (),
    only: Sequence[str] = (),
    look: Look | None = None,
) -> int:
    """Write the result tables, report.md and report.html, and print the answer on stdout.

    Returns the exit code: 1 where a user's own metric could not judge a trial, else 0.
    """
    results, ranked = store_report(directory, analysis, formats, only, look)
    print_summary(results, ranked, directory / "report.html", full=full, figures=bool(formats))
    return int(bool(results.unjudged))


def store_report(
    directory: Path, analysis: AnalysisConfig, formats: Sequence[str] = (), only: Sequence[str] = (), look: Look | None = None
) -> tuple[CampaignAnalysis, Sequence[Ranking]]:
    """Compute and store what a campaign found; return it with how its systems rank.

    ``formats`` are those of figures as files, into ``figures/``; ``only`` names some of them, ``look`` says how they look.
    """
    with closing(Held(directory)) as held, drawing_meanwhile():
        results = analyse(open_campaign(directory), analysis, leave_out=True)
        heed_signals()
        ranked = rankings(results)
        heed_signals()
        held.refuse_gone()  # else what was read may be of another folder, whose owner did not ask for a report
        write_results(directory, results.tables, report_texts(results))
        if formats:
            write_figures(inside(directory, directory / "figures"), formats, only, results, look or PLAIN_LOOK)
    return results, ranked


def report_several(
    directories: Sequence[Path],
    overrides: Sequence[str],
    formats: Sequence[str],
    only: Sequence[str],
    into: Path | None,
    full: bool,
    look: Look,
) -> int:
    """Report several campaigns side by side, with the settings of the first, into a new folder unless one is named."""
    folder = (into or Path("results") / "combined" / utc_now().strftime("%Y-%m-%dT%H-%M-%SZ")).expanduser()
    refuse_campaign_folder(folder, "--into", directories)
    refuse_twice(directories)
    with drawing_meanwhile():
        several = SeveralCampaigns([open_campaign(directory) for directory in directories])
        results = analyse_several(several, overridden(several.record.config.analysis, overrides))
        make_output_folder(folder, "--into")
        ranked = rankings(results)
        said, table = findings_of_several(several, results, ranked), campaigns_table(several)
        texts = report_texts(results, said, table)
        write_results(folder, stored_tables(results, several), texts)
        if formats:
            write_figures(folder / "figures", formats, only, results, look)
    print_summary(results, ranked, folder / "report.html", said, [table], full, directories, bool(formats))
    return int(bool(results.unjudged))


def findings_of_several(several: SeveralCampaigns, results: CampaignAnalysis, ranked: Sequence[Ranking]) -> list[Finding]:
    """Return what is found, and what keeps trials of these campaigns from being compared."""
    found = [one for one in findings(results, ranked) if one.kind != "different_data"]  # said below, with the campaigns
    for task, digests in several.different_data.items():
        data = [{"labels": list(labels), "digest": short(digest)} for digest, labels in digests.items()]
        found.append(Finding("other_data", "", {"task": task, "data": data}))
    first, *others = several.campaigns
    differing = [
        label
        for label, campaign in zip(several.labels[1:], others, strict=True)
        if campaign.record.config.analysis != first.record.config.analysis
    ]
    if differing:
        found.append(Finding("other_settings", "", {"first": several.labels[0], "differing": differing}))
    return found


def campaigns_table(several: SeveralCampaigns) -> Table:
    """Return when, where and by what each campaign was measured."""
    return Table(
        title="Campaigns",
        columns=["campaign", "name", "measured (UTC)", "hosts", "version", "trials done", "command", "folder"],
        rows=[_cells(label, campaign) for label, campaign in zip(several.labels, several.campaigns, strict=True)],
        note="A trial's id and system carry the label of its campaign. Stacks stand under Machines and stacks. Trials are compared with "
        "a baseline across campaigns; what else changed from one day or place to the next is part of such a difference.",
        right=frozenset(["trials done"]),
    )


def _cells(label: str, campaign: Campaign) -> list[str]:
    records = campaign.trials()
    starts = [record.started_at for record in records if record.started_at is not None]
    ends = [record.ended_at or record.started_at for record in records if record.started_at is not None]
    measured = f"{min(starts):%Y-%m-%d %H:%M} to {max(end for end in ends if end):%Y-%m-%d %H:%M}" if starts else "nothing yet"
    hosts = sorted({process.host for record in records for process in record.processes})
    return [
        label,
        campaign.record.name,
        measured,
        ", ".join(hosts),
        campaign.record.code_version,
        f"{sum(record.state == 'done' for record in records)} of {len(records)}",
        " ".join(campaign.record.command),
        str(campaign.directory),
    ]


def print_summary(
    results: CampaignAnalysis,
    ranked: Sequence[Ranking],
    path: Path,
    found: Sequence[Finding] | None = None,
    first: Sequence[Table] = (),
    full: bool = False,
    directories: Sequence[Path] = (),
    figures: bool = False,
) -> None:
    """Print what went wrong, the answer, and at most six lines on each task; the last says where the report is.

    ``found`` is what `findings` returns, if that is known already; ``full`` prints every table as well.
    """
    terminal = Terminal()
    below = (
        [table for _, tables in folds(results) for table in tables]
        if full
        else [*problem_tables(results, unfinished=False), *fault_tables(results), *shown(results, "capacity"), *shown(results, "bounds")]
    )
    terminal.tables((*first, *below, *answers(unsearched(ranked), brief=not full)))
    said = findings(results, ranked) if found is None else list(found)
    if len(directories) < 2:
        resume = Finding("next_step", "", {"command": f"{ORCHESTRATOR} resume {shlex.quote(str(path.parent))}"})
        said = [resume if one.values.get("command") == RESUME else one for one in said]
    drawn = [Finding("figures", "", {"path": str(path.parent / "figures")})] if figures else []
    for line in text_lines([*said, *drawn, Finding("report", "", {"path": str(path)})], terminal.width):
        terminal.line(line)
