"""``report.md``: everything a reader needs to judge the figures, as Markdown."""

from __future__ import annotations

from orchestrator.analysis.campaign_analysis import CampaignAnalysis
from orchestrator.report.result_tables import all_tables
from orchestrator.report.table import to_markdown
from orchestrator.report.text import markdown_text, printable
from orchestrator.report.verdict import verdict

METHOD = """## Method

A *round* is one pass over every sample of the task. An answer is *on time* when its time is at most the threshold; tail quality is the
quality of a round with every late sample counted as failed (Yang et al., arXiv 2212.13925v3). The clock *inference* is the model call
alone; *total* is preprocess + inference + postprocess, from the sample's encoded bytes to the answer as plain values. Outside both
clocks: the queue, the network, and the disk unless `task.preload=none`. Quality is rounded to three decimals, though
nothing below 1 to 1.000; intervals are rounded outward and what a deadline keeps is rounded down; times have three digits or are whole
ms. The exact figures, with every interval, stand in the Parquet files beside this report.
"""


def to_report(results: CampaignAnalysis) -> str:
    """Return the report of a campaign."""
    created = f"{results.campaign.created_at:%Y-%m-%d %H:%M} UTC"
    command = printable(" ".join(results.campaign.command)).replace("`", "'")
    head = [
        f"# Tail quality: {markdown_text(results.campaign.name)}",
        "",
        f"Measured {created} with version {markdown_text(results.campaign.code_version)}: `{command or ' '}`",
        "",
        *(f"- {markdown_text(sentence, at_start=True)}" for sentence in verdict(results)),
        "",
    ]
    return "\n".join([*head, *(to_markdown(table) for table in all_tables(results)), METHOD])
