"""``report DIR DIR…``: one report of campaigns measured on different days or places, in a folder of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from orchestrator.analysis.results import Results
from orchestrator.analysis.several_campaigns import SeveralCampaigns, analyse_several, short
from orchestrator.commands.folders import refuse_campaign_folder
from orchestrator.composition import override_analysis
from orchestrator.contracts import InputError
from orchestrator.report.markdown import METHOD
from orchestrator.report.markdown_text import markdown_text
from orchestrator.report.table import Table, to_markdown
from orchestrator.report.tables import all_tables
from orchestrator.report.verdict import verdict
from orchestrator.storage.reader import Campaign, open_campaign
from orchestrator.storage.records import utc_now


def analyse_directories(directories: Sequence[Path], overrides: Sequence[str]) -> tuple[SeveralCampaigns, Results]:
    """Return the campaigns of all directories and what analysis finds in them, with the settings of the first."""
    refuse_twice(directories)
    several = SeveralCampaigns([open_campaign(directory) for directory in directories])
    analysis = override_analysis(several.record.config.analysis, overrides)
    return several, analyse_several(several, analysis)


def refuse_twice(directories: Sequence[Path]) -> None:
    """Raise InputError where a directory is named twice, by whatever path."""
    seen: dict[Path, Path] = {}
    for directory in directories:
        if (before := seen.setdefault(directory.resolve(), directory)) is not directory:
            raise InputError(f"{before} and {directory} are one campaign: name each campaign once")


def report_folder(into: Path | None, directories: Sequence[Path]) -> Path:
    """Return where a report of several campaigns goes, a new folder unless the user names one; never into a campaign's directory."""
    folder = into or Path("results") / "combined" / utc_now().strftime("%Y-%m-%dT%H-%M-%SZ")
    refuse_campaign_folder(folder, "--into", directories)
    return folder


def to_combined_report(several: SeveralCampaigns, results: Results) -> str:
    """Return the report of several campaigns as Markdown."""
    told = [f"- {markdown_text(sentence, at_start=True)}" for sentence in sentences(several, results)]
    head = ["# Tail quality of several campaigns", "", *told, ""]
    tables = [campaigns_table(several), *all_tables(results)]
    return "\n".join([*head, *(to_markdown(table) for table in tables), METHOD])


def sentences(several: SeveralCampaigns, results: Results) -> Iterator[str]:
    """Yield the verdict, and what keeps trials of these campaigns from being compared."""
    yield from verdict(results)
    yield from _different_data(several)
    first, *others = several.campaigns
    differing = [
        label
        for label, campaign in zip(several.labels[1:], others, strict=True)
        if campaign.record.config.analysis != first.record.config.analysis
    ]
    if differing:
        yield (f"All campaigns are read with the analysis settings of {several.labels[0]}; those of {', '.join(differing)} are other ones.")


def _different_data(several: SeveralCampaigns) -> Iterator[str]:
    for task, digests in several.different_data.items():
        told = "; ".join(f"{', '.join(labels)} (digest {short(digest)})" for digest, labels in digests.items())
        yield f"{task}: the data differ, so that these trials share no table: {told}."


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
