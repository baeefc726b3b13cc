"""What must be known of all trials together: searches, what is doubtful, and what to run next."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from orchestrator.analysis.campaign_analysis import CampaignAnalysis, rows_of
from orchestrator.analysis.flags import UNSTEADY, flag_of, missing, remedies
from orchestrator.analysis.ranking import WHO, Ranking, unsearched
from orchestrator.analysis.tables.comparison import EXACTLY
from orchestrator.analysis.trial_data import TrialData
from orchestrator.contracts import by_key
from orchestrator.report.findings import Finding
from orchestrator.report.findings.task import of_task
from orchestrator.report.pasted import ORCHESTRATOR, measured_again, plain_word
from orchestrator.report.record_tables import too_short_for
from orchestrator.storage.schema import UNFINISHED

RESUME = f"{ORCHESTRATOR} resume DIR"  # an unfinished campaign, wherever it lies
REPEATED = "measurement.repeat=5"
PRIMARY = "analysis.primary="
# Settings that cause flags: whoever measures again leaves them out.
DROPPED = {
    "unpinned": "cluster=inline",
    "machine shared with other trials": "system.exclusive=false",
}


def findings(results: CampaignAnalysis, ranked: Sequence[Ranking]) -> list[Finding]:
    """Return what is found of each task, then of the campaign."""
    of_tasks = (finding for one in unsearched(ranked) for finding in of_task(results, one))
    return [*of_tasks, *of_campaign(results, ranked)]


def of_campaign(results: CampaignAnalysis, ranked: Sequence[Ranking]) -> Iterator[Finding]:
    # A search says itself what it is too short for.
    measured = unsearched(ranked) if results.campaign.capacity is None else []
    single = [
        one
        for one in measured
        if len(one.found) > 1 and all(system.processes == 1 for system in one.found)
    ]
    yield from _capacities(results)
    yield from _doubts(measured, bool(single))
    if not ranked:
        yield Finding("nothing_stored", "", {})
    tasks = Counter(task for task, _ in {group.trials[0].group[:2] for group in results.groups})
    for task, count in tasks.items():
        if count > 1:
            yield Finding("different_data", "", {"task": task, "count": count})
    by_node = results.campaign.config.cluster.machines == "node"
    placed = [record.placement for record in results.records if record.placement and by_node]
    for of_machine in by_key(placed, lambda one: str(one.get("boot_id"))).values():
        names = {str(one.get("host")) for one in of_machine}
        if len(names) > 1:
            yield Finding("one_machine", "", {"hosts": sorted(names)})
    imported = [record.facts.get("imported", {}) for record in results.records if record.imported]
    notes = dict.fromkeys(str(note) for facts in imported for note in facts.get("notes", ()))
    if notes:
        yield Finding("imported", "", {"notes": list(notes)})
    states = Counter(one.state for one in results.campaign.trials if one.state != "done")
    if states:
        yield Finding(
            "unfinished", "", {"trials": len(results.campaign.trials), "states": dict(states)}
        )
    paired = results.campaign.capacity is not None or results.campaign.pairing is not None
    if not paired and any(state in UNFINISHED for state in states):
        yield Finding("next_step", "", {"command": RESUME})
        return
    equal = all(
        round(one.judged.gained(one.ideal) - one.judged.gained(one.mean), EXACTLY) <= 0
        for of_one in single
        for one in of_one.found
    )
    all_imported = all(data.record.imported for one in single for data in one.group.trials)
    if not single or equal or all_imported:
        return
    flags = {flag for one in single for system in one.found for flag in system.flags}
    dropped = {word for flag, word in DROPPED.items() if flag in flags}
    again = (_repeated(words, results, dropped) for words in results.commands)
    for command in dict.fromkeys(again):
        yield Finding("next_step", "", {"command": command})


def _repeated(words: Sequence[str], results: CampaignAnalysis, dropped: set[str]) -> str:
    used = results.analysis.primary
    kept = [word for word in words if word not in dropped]
    if used is None or used == results.campaign.config.analysis.primary:
        return measured_again(kept, REPEATED)
    return measured_again(
        [word for word in kept if not word.startswith(PRIMARY)],
        REPEATED,
        plain_word(f'{PRIMARY}"{used}"', f"{PRIMARY}VALUE"),
    )


def _capacities(results: CampaignAnalysis) -> Iterator[Finding]:
    every = (row for group in results.groups for row in rows_of(results, "capacity", group))
    for rows in by_key(every, lambda row: int(row["search"])).values():
        row, best = rows[0], ("kept", rows[0]["certified_per_s"])
        kept = [dict(one) for one in rows if (one["verdict"], one["rate_per_s"]) == best]
        names = ("estimate_per_s", "estimate_low_per_s", "estimate_high_per_s")
        rate, low, high = ("-" if row[name] is None else f"{row[name]:.3g}" for name in names)
        yield Finding(
            "capacity",
            "",
            {
                **{name: row[name] for name in ("task", "load", "keep", "metric")},
                "name": " · ".join(row[name] for name in WHO),
                "within": row["threshold"],
                "certified": kept[0] if kept else None,
                "why": row["ending"] or "the search has not come so far",
                "minutes_needed": row["minutes_needed"],
                "estimate": f"{rate}/s [{low}, {high}]" if rate != "-" else None,
            },
            tuple(kept[0]["flags"]) if kept else (),
        )


def _doubts(ranked: Sequence[Ranking], single: bool) -> Iterator[Finding]:
    """Yield flags, that each system has a ``single`` process, and what rounds are too few for."""
    whose: dict[str, list[TrialData]] = {}
    for one in ranked:
        unsteady = {trial for of in one.found if UNSTEADY in of.marks for trial in of.trials}
        for data in one.group.trials:
            wide = [UNSTEADY] if data.trial_id in unsteady else []
            flags = (flag_of(flag).name for flag in [*one.group.flags[data.trial_id], *wide])
            for name in dict.fromkeys(flags):
                whose.setdefault(name, []).append(data)
    trials = [data for one in ranked for data in one.group.trials]
    if whose or single:
        values = {
            "trials": len(trials),
            "flags": [
                {"name": name, "count": len(of), "hint": hint(name, of)}
                for name, of in whose.items()
            ],
            "single": single,
            "imported": any(data.record.imported for data in trials),
        }
        yield Finding("caution", "", values, tuple(whose))
    short = too_short_for(trials)
    if short is not None:
        yield Finding("too_short", "", short)


def hint(name: str, whose: Sequence[TrialData]) -> str:
    """Return the settings or the command that help against a flag of these trials, in backticks."""
    trials = [data.record.trial for data in whose]
    imported = all(data.record.imported for data in whose)
    clause = next(iter(remedies(flag_of(name), trials, imported)), "")
    return " ".join(missing(clause, trials) or re.findall(r"`[^`]+`", clause)) or clause
