"""``report.md``: the answer, one table and one picture; all else that judges it is folded below."""

import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from orchestrator.analysis.campaign_analysis import CampaignAnalysis
from orchestrator.analysis.claims import reach_words
from orchestrator.analysis.ranking import rankings, unsearched
from orchestrator.analysis.trial_data import TrialData
from orchestrator.analysis.turns import begins_of_visits
from orchestrator.report.findings import Finding, say
from orchestrator.report.findings.campaign import findings
from orchestrator.report.record_tables import fault_tables, server_tables
from orchestrator.report.result_tables import (
    answers,
    problem_tables,
    shown_in,
    stack_table,
    trials_table,
)
from orchestrator.report.table import Table, to_markdown
from orchestrator.report.text import markdown_text, printable

PICTURE = "report.svg"  # The file with the picture, beside ``report.md``.

# How everything was measured, by paragraph; words in backticks are code.
METHOD = (
    "A round is one pass over every sample of the task. An answer is on time when its time is at "
    "most the threshold. Tail quality is the quality of a round with every late sample counted as "
    "failed (Yang et al., arXiv 2212.13925v3); ideal quality is that without a threshold. A sample "
    "without an answer is late at every threshold.",
    "The clock inference is the model call alone; total is preprocess, inference and postprocess, "
    "from the sample's encoded bytes to the answer as plain values. Outside both clocks: the "
    "queue, the network, and the disk unless `task.preload=none`. Under load, response counts from "
    "a sample's arrival, queue included. Where a server answered, inference is from sending the "
    "request to the last byte of the answer, network included. For streamed answers, first_token "
    "counts from the arrival (in a closed loop, the start) to the first token, and per_token is "
    "the mean time between two tokens.",
    "Every mean has a 95 % interval for the mean of rounds to come, for these samples and "
    "processes. Its units are visits that lie apart, or streams. A trial with fewer than 12 units "
    "is one stretch, and its interval describes this period alone.",
    "Quality is rounded to three decimals, but never up to 1.000. Intervals are rounded outward, "
    "and the quality within a deadline is rounded down. Times have three digits or are whole ms. "
    "The exact figures stand in the Parquet files beside this report.",
)

Maker = Callable[[CampaignAnalysis], Iterable[Table]]
# What is folded of tasks: the section of declared tables, by what one reads to open it, and other
# tables after them.
FOLDED: tuple[tuple[str, tuple[Maker, ...]], ...] = (
    ("Capacity", ()),
    ("Goodput and cost", ()),
    ("Tail quality at every threshold", ()),
    ("Deadlines kept", ()),
    ("Differences, fresh processes and other figures", ()),
    ("Slices: tail quality of groups of samples", ()),
    ("Own percentiles and predictions", ()),
    ("Latency", ()),
    ("Schedules under load", ()),
    ("Servers", (server_tables,)),
    ("Slow rounds", ()),
    ("First inferences, memory and changed answers", ()),
)
# The same of the campaign.
OF_CAMPAIGN: tuple[tuple[str, tuple[Maker, ...]], ...] = (
    ("Trials: where each ran and how it ended", (lambda results: [trials_table(results)],)),
    (
        "Problems, machines and versions",
        (problem_tables, fault_tables, lambda results: [stack_table(results.records)]),
    ),
)


def to_report(
    results: CampaignAnalysis,
    found: Sequence[Finding] | None = None,
    combined: Table | None = None,
) -> str:
    """Return a report: what is found, the answer and its picture, and folded all the rest.

    ``found`` and ``combined`` are the findings and the table of several campaigns read as one.
    """
    title, measured = "Tail quality of several campaigns", ""
    if combined is None:
        title = f"Tail quality: {results.campaign.name}"
        command = printable(shlex.join(results.campaign.command)).replace("`", "'")
        measured = (
            f"Measured {results.campaign.created_at:%Y-%m-%d %H:%M} UTC with version "
            f"{markdown_text(results.campaign.code_version)}: `{command or ' '}`"
        )
    found = findings(results, rankings(results)) if found is None else found
    shown = list(answers(unsearched(rankings(results))))
    head = [f"# {markdown_text(title)}", ""]
    head += [f"- {say(one, 'markdown')}" for one in found]
    if shown:
        head += ["", f"![Quality against threshold, one line a system]({PICTURE})"]
    parts = ["\n".join([*head, ""]), *map(to_markdown, shown)]
    if combined is not None:
        parts.append(folded(combined.title, to_markdown(combined)))
    parts += [folded(name, *map(to_markdown, tables)) for name, tables in folds(results)]
    reach = reach_of_visits(data for group in results.groups for data in group.trials)
    told = [f"{one}\n" for one in (measured, reach) if one]
    return "\n".join([*parts, folded("How this was measured", *told, "\n\n".join(METHOD))])


def folds(results: CampaignAnalysis) -> Iterator[tuple[str, list[Table]]]:
    """Yield all tables of a report, by what one reads to open each part."""
    for name, makers in (*FOLDED, *OF_CAMPAIGN):
        if tables := [*shown_in(results, name), *(one for make in makers for one in make(results))]:
            yield name, tables


def reach_of_visits(trials: Iterable[TrialData]) -> str:
    """Say how long slow spells may be, by the shortest cycle of trials whose visits lie apart.

    Visits are those of the closed loop; empty without any.
    """
    begins_ns = (
        list(begins_of_visits(data).values()) for data in trials if data.visits is not None
    )
    cycles_s = [
        float(np.median(np.diff(of_trial))) / 1e9 for of_trial in begins_ns if len(of_trial) > 1
    ]
    return reach_words(min(cycles_s), "s") if cycles_s else ""


def folded(name: str, *parts: str) -> str:
    """Return what is shown once a reader opens it by its name, which is one of ours."""
    return "\n".join([f"<details>\n<summary>{name}</summary>\n", *parts, "</details>\n"])
